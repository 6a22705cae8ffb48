"""Palette: colors that mean the same on all slides of one encoder."""

from functools import cached_property

import numpy as np

from sknic.exceptions import DegenerateDataError

_SD_LIMIT = 2.5


class Palette:
    """What turns embeddings into colors, fitted to all the grids of one encoder that are shown.

    Parameters
    ----------
    grids : sequence of Grid
    """

    def __init__(self, grids):
        self._grids = list(grids)

    @classmethod
    def of_encoders(cls, grids):
        """A palette for each grid, in their order; grids of the same encoder share one."""
        kinds = {}
        for grid in grids:
            kinds.setdefault((grid.fingerprint, grid.code_size), []).append(grid)
        palettes = {kind: cls(members) for kind, members in kinds.items()}
        return [palettes[grid.fingerprint, grid.code_size] for grid in grids]

    @cached_property
    def _colors(self):
        from sknic.plotting import pca_rgb

        self._check_cells()
        colors = pca_rgb(*self._grids)
        return colors if len(self._grids) > 1 else [colors]

    def colors(self, grid):
        """Principal components as colors, float (rows, columns, 3) between 0 and 1."""
        return next(colors for own, colors in zip(self._grids, self._colors) if own is grid)

    @cached_property
    def _ranges(self):
        self._check_cells()
        cells = np.concatenate([np.asarray(grid.embeddings, np.float32) for grid in self._grids])
        spread = _SD_LIMIT * cells.std(axis=0)
        spread[spread == 0] = 1
        return np.stack([cells.mean(axis=0) - spread, cells.mean(axis=0) + spread])

    def _check_cells(self):
        if not any(grid.n_cells for grid in self._grids):
            raise DegenerateDataError("the grid has no tissue cell; there is nothing to show")

    def range(self, feature):
        """Values of a feature at which its colors begin and end: 2.5 standard deviations either side of the mean."""
        return tuple(self._ranges[:, feature].tolist())
