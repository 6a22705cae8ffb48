"""Palette: colors that mean the same on all slides of one encoder."""

from functools import cached_property

import numpy as np

from sknic.exceptions import DegenerateDataError
from sknic.grids.colors import PrincipalColors

_SD_LIMIT = 2.5
# Cells that colors and ranges are taken from: more change them no more, and would fill the memory.
_MAX_CELLS = 100_000


class Palette:
    """Converts embeddings to colors; fitted to all shown grids of one encoder.

    Parameters
    ----------
    grids : sequence of Grid
    """

    def __init__(self, grids):
        self._grids = list(grids)

    @classmethod
    def of_encoders(cls, grids):
        """A palette for each grid, in order; grids of the same encoder share one."""
        kinds = {}
        for grid in grids:
            kinds.setdefault((grid.fingerprint, grid.code_size), []).append(grid)
        palettes = {kind: cls(members) for kind, members in kinds.items()}
        return [palettes[grid.fingerprint, grid.code_size] for grid in grids]

    @cached_property
    def _cells(self):
        """Embeddings, float32 (n_cells, C): all of them, or every k-th of each grid."""
        total = sum(grid.n_cells for grid in self._grids)
        if not total:
            raise DegenerateDataError("the grid has no tissue cells; there is nothing to show")
        step = -(-total // _MAX_CELLS)
        return np.concatenate([np.asarray(grid.embeddings[::step], np.float32) for grid in self._grids])

    @cached_property
    def _colors(self):
        return PrincipalColors(self._cells)

    def colors(self, grid):
        """Principal components as colors, float (rows, columns, 3) between 0 and 1."""
        return self._colors.image(grid)

    @cached_property
    def _ranges(self):
        spread = _SD_LIMIT * self._cells.std(axis=0)
        spread[spread == 0] = 1
        mean = self._cells.mean(axis=0)
        return np.stack([mean - spread, mean + spread])

    def range(self, feature):
        """Values of a feature at which its colors start and end: 2.5 standard deviations on either side of the mean."""
        return tuple(self._ranges[:, feature].tolist())
