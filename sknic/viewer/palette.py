"""Palette: colours that mean the same on all slides of one encoder."""

from functools import cached_property

import numpy as np

from sknic.exceptions import DegenerateDataError

_SD_LIMIT = 2.5


class Palette:
    """What turns embeddings into colours, fitted to all the grids of one encoder that are shown.

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
    def _colours(self):
        from sknic.plotting import pca_rgb

        self._check_cells()
        colours = pca_rgb(*self._grids)
        return colours if len(self._grids) > 1 else [colours]

    def colours(self, grid):
        """Principal components as colours, float (rows, columns, 3) between 0 and 1."""
        return next(colours for own, colours in zip(self._grids, self._colours) if own is grid)

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
        """Values of a feature at which its colours begin and end: 2.5 standard deviations either side of the mean."""
        return tuple(self._ranges[:, feature].tolist())
