"""Two slides of some kB with a grid each, and a model, as the viewer opens them."""

import numpy as np
import pytest

from sknic.datasets import write_pyramid
from sknic.estimators import GridCNNRegressor
from sknic.grids import Grid
from sknic.viewer import create_app, open_views

TOKEN = "letmein"
ROWS, COLUMNS, CELL, N_FEATURES = 12, 16, 64, 6
BACKGROUND = (0, 0)


def draw_slide(path, seed):
    """Coloured cells of 64 px at 0.5 um/px, so that a shift by one cell is seen."""
    random = np.random.RandomState(seed)
    colours = random.randint(60, 200, (ROWS, COLUMNS, 3)).astype(np.uint8)
    colours[BACKGROUND] = 255
    return write_pyramid(path, np.repeat(np.repeat(colours, CELL, axis=0), CELL, axis=1), mpp=0.5)


def make_grid(slide, seed):
    """Every cell but one holds tissue; feature 0 is the cell's number."""
    random = np.random.RandomState(seed)
    embeddings = random.normal(size=(ROWS * COLUMNS, N_FEATURES))
    embeddings[:, 0] = np.arange(ROWS * COLUMNS)
    cells = np.argwhere(np.ones((ROWS, COLUMNS)))
    place = {"mpp": 0.5, "patch_size": CELL, "slide": slide, "slide_mpp": 0.5, "fingerprint": "f"}
    return Grid(embeddings[1:], cells[1:], (ROWS, COLUMNS), **place)


@pytest.fixture(scope="session")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    return [draw_slide(folder / f"{name}.tiff", seed) for seed, name in enumerate(("left", "right"))]


@pytest.fixture(scope="session")
def grids(slides):
    return [make_grid(slide, seed) for seed, slide in enumerate(slides)]


@pytest.fixture(scope="session")
def model(grids):
    model = GridCNNRegressor(max_steps=32, n_filters=4, device="cpu", n_threads=1, random_state=0)
    return model.fit(grids * 2, [0.0, 1.0, 0.0, 1.0])


@pytest.fixture(scope="session")
def views(slides, grids, model):
    return open_views(slides, grids, lambda: model)


@pytest.fixture(scope="session")
def app(views):
    return create_app(views, TOKEN)
