"""Slides of some kB whose cells have colours of their own, and grids of them."""

import numpy as np

from sknic.datasets import write_pyramid
from sknic.grids import Grid

TOKEN = "letmein"
ROWS, COLUMNS, CELL, N_FEATURES = 12, 16, 64, 6
BACKGROUND = (0, 0)
# This cell of the left slide has a twin on the right one.
CELL_WITH_TWIN, TWIN = (3, 4), (5, 6)


def draw_slide(path, seed):
    """Coloured cells of 64 px at 0.5 um/px, so that a shift by one cell is seen."""
    random = np.random.RandomState(seed)
    colours = random.randint(60, 200, (ROWS, COLUMNS, 3)).astype(np.uint8)
    colours[BACKGROUND] = 255
    return write_pyramid(path, np.repeat(np.repeat(colours, CELL, axis=0), CELL, axis=1), mpp=0.5)


def number_of(cell):
    """Place of a cell among all cells of a slide, row by row."""
    return cell[0] * COLUMNS + cell[1]


def make_grid(slide, seed):
    """Every cell but one holds tissue; feature 0 is the cell's number, but for the twin of a cell of seed 0."""
    random = np.random.RandomState(seed)
    embeddings = random.normal(size=(ROWS * COLUMNS, N_FEATURES))
    embeddings[:, 0] = np.arange(ROWS * COLUMNS)
    if seed == 1:
        embeddings[number_of(TWIN)] = make_grid(slide, 0).embeddings[number_of(CELL_WITH_TWIN) - 1]
    cells = np.argwhere(np.ones((ROWS, COLUMNS)))
    place = {"mpp": 0.5, "patch_size": CELL, "slide": slide, "slide_mpp": 0.5, "fingerprint": "f"}
    return Grid(embeddings[1:], cells[1:], (ROWS, COLUMNS), **place)
