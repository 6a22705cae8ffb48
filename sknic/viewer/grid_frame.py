"""GridFrame: a grid at its position on the slide."""

from copy import copy
from functools import cached_property

import numpy as np

from sknic.grids import Placement
from sknic.plotting.patches import cell_pixels
from sknic.viewer.layers import Picture

# Side of a cell's thumbnail at most, px.
_THUMBNAIL = 128


class GridFrame:
    """A grid at its position on the slide.

    Parameters
    ----------
    grid : Grid
    slide : Slide
    number : int
        Index among the grids of the slide.

    Raises
    ------
    MissingMppError
        If the size of the grid's cells is unknown.
    SlideMismatchError
        If the grid was made from another slide.
    """

    def __init__(self, grid, slide, number):
        place = Placement.on(grid.header, slide)
        self.grid = grid
        self.id = f"grid{number}"
        size = f"{grid.stride} px at {grid.mpp:.4g} µm/px" if grid.mpp else f"{place.cell:.4g} level-0 px"
        self.name = f"Grid {number + 1}: {size}, {grid.code_size} features"
        self.cell_size = place.cell
        self._slide = slide
        self._rectangle = place.rectangle(grid.shape)
        self.corner = self._rectangle[:2]

    cells = property(lambda self: np.asarray(self.grid.cells), doc="int32 (n_cells, 2).")
    embeddings = property(lambda self: np.asarray(self.grid.embeddings), doc="float16 (n_cells, C).")

    def picture(self, colors, legend=None):
        """Picture of one color a tissue cell, float (n_cells, 3 or 4) between 0 and 1."""
        rows, columns = self.grid.shape
        pixels = np.zeros((rows, columns, 4), np.uint8)
        rgba = np.ones((len(colors), 4))
        rgba[:, : colors.shape[1]] = colors
        pixels[tuple(self.cells.T)] = np.rint(rgba * 255)
        return Picture(pixels, self._rectangle, legend)

    @cached_property
    def _index(self):
        index = np.full(self.grid.shape, -1)
        index[tuple(self.cells.T)] = np.arange(self.grid.n_cells)
        return index

    def embedding(self, row, column):
        """float16 (C,), or None on background."""
        found = self._index[row, column]
        return None if found < 0 else self.grid.embeddings[found]

    def patch(self, row, column):
        """Pixels of a cell, for a thumbnail: uint8 (side, side, 3)."""
        # A closed slide copies to an open one.
        with copy(self._slide) as slide:
            return cell_pixels(slide, self.grid, row, column, max_size=_THUMBNAIL)

    def describe(self):
        """What the page needs to find the cell under the cursor."""
        rows, columns = self.grid.shape
        place = {"x": self.corner[0], "y": self.corner[1], "cell": self.cell_size}
        return {"name": self.name, "rows": rows, "columns": columns, **place}
