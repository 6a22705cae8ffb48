"""GridFrame: a grid where it lies on its slide."""

from functools import cached_property

import numpy as np

from sknic.exceptions import MissingMppError
from sknic.viewer.layers import Picture


class GridFrame:
    """A grid where it lies on its slide.

    Parameters
    ----------
    grid : Grid
    slide : Slide
    number : int
        Among the grids of the slide.

    Raises
    ------
    MissingMppError
        If the grid does not say how large its cells are.
    """

    def __init__(self, grid, slide, number):
        if grid.mpp is None or grid.stride is None:
            raise MissingMppError(f"{grid} has no mpp or no stride; its place on {slide.path} is not known")
        self.grid = grid
        self.id = f"grid{number}"
        size = f"{grid.stride} px at {grid.mpp:.4g} µm/px"
        self.name = f"Grid {number + 1}: {size}, {grid.code_size} features"
        self.cell_size = grid.stride * grid.mpp / slide.mpp
        self.corner = tuple(int(a) - int(b) for a, b in zip(grid.origin, slide.origin))

    cells = property(lambda self: np.asarray(self.grid.cells), doc="int32 (n_cells, 2).")
    embeddings = property(lambda self: np.asarray(self.grid.embeddings), doc="float16 (n_cells, C).")

    def picture(self, colours, legend=None):
        """Picture of one colour a tissue cell, float (n_cells, 3 or 4) between 0 and 1."""
        rows, columns = self.grid.shape
        pixels = np.zeros((rows, columns, 4), np.uint8)
        rgba = np.ones((len(colours), 4))
        rgba[:, : colours.shape[1]] = colours
        pixels[tuple(self.cells.T)] = np.rint(rgba * 255)
        return Picture(pixels, (*self.corner, columns * self.cell_size, rows * self.cell_size), legend)

    @cached_property
    def _index(self):
        index = np.full(self.grid.shape, -1)
        index[tuple(self.cells.T)] = np.arange(self.grid.n_cells)
        return index

    def embedding(self, row, column):
        """float16 (C,), or None on background."""
        found = self._index[row, column]
        return None if found < 0 else self.grid.embeddings[found]

    def describe(self):
        """What the page needs to find the cell under the cursor."""
        rows, columns = self.grid.shape
        place = {"x": self.corner[0], "y": self.corner[1], "cell": self.cell_size}
        return {"name": self.name, "rows": rows, "columns": columns, **place}
