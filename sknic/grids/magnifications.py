"""Grids of one slide at several magnifications as one grid: what surrounds a cell, beside what is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from sknic.grids.placement import Placement

if TYPE_CHECKING:
    from sknic.grids.grid import Grid
    from sknic.grids.header import GridHeader


class Repeated:
    """The cells of the finest of several storages, with the channels of all: coarse cells are repeated over fine ones.

    A fine cell gets the coarse cell whose patch has the nearest center: the one that it lies in, unless that has too
    little tissue to be stored. Numbers are put together on every access, so that grids in files stay there.

    Parameters
    ----------
    storages : sequence of InMemory or InFile
        Storages of grids of one slide, the finest first; those of the coarser ones have cells.
    """

    path = None

    def __init__(self, storages):
        self._storages = tuple(storages)

    @cached_property
    def header(self) -> GridHeader:
        """Header of the finest grid, with what is known of the coarser ones."""
        fine, *coarse = (storage.header for storage in self._storages)
        damage = "; ".join(dict.fromkeys(header.damage for header in (fine, *coarse) if header.damage)) or None
        return replace(fine, coarse_mpp=tuple(header.mpp for header in coarse), damage=damage)

    @cached_property
    def _rows(self):
        """For each coarser storage, the row of the cell that each fine cell gets, int array (n_cells,)."""
        fine, *coarse = self._storages
        places = _centers(fine)
        return [cKDTree(_centers(storage)).query(places)[1] if len(places) else np.empty(0, int) for storage in coarse]

    def _joined(self, first, others):
        return np.concatenate([first, *(np.asarray(other)[rows] for other, rows in zip(others, self._rows))], axis=1)

    @property
    def embeddings(self):
        """Embeddings of all magnifications, (n_cells, sum of C)."""
        first, *others = (storage.embeddings for storage in self._storages)
        return self._joined(first, others)

    def oriented_embeddings(self, k):
        """Embeddings after orientation k of the pixels, 1 to 7, (n_cells, sum of C)."""
        first, *others = (storage.oriented_embeddings(k) for storage in self._storages)
        return self._joined(first, others)

    @property
    def oriented(self):
        """Array (7, n_cells, sum of C), or None."""
        return np.stack([self.oriented_embeddings(k) for k in range(1, 8)]) if self.has_oriented else None

    cells = property(lambda self: self._storages[0].cells)
    n_cells = property(lambda self: self._storages[0].n_cells)
    code_size = property(lambda self: sum(storage.code_size for storage in self._storages))
    dtype = property(lambda self: np.result_type(*(storage.dtype for storage in self._storages)))
    has_oriented = property(lambda self: all(storage.has_oriented for storage in self._storages))

    def __getstate__(self):
        return self._storages

    def __setstate__(self, storages):
        self.__init__(storages)


def stack_magnifications(grids: Sequence[Grid]) -> Grid:
    """Combine grids of one slide and encoder at several um/px into one grid with the cells of the finest.

    Parameters
    ----------
    grids : sequence of Grid
        Grids of one slide, the finest first; each has cells.

    Returns
    -------
    Grid
        The first grid with the channels of all; of a coarser grid, each cell gets the patch whose center is nearest.

    Raises
    ------
    ValueError
        If they are of different slides or encoders, one has no cells, or their um/px do not ascend.
    """
    first = grids[0].header
    for index, grid in enumerate(grids[1:], 1):
        # A path says less than what is in the file: one slide may have been compressed under two paths.
        for name in ("slide_digest" if first.slide_digest else "slide", "fingerprint"):
            if getattr(grid.header, name) != getattr(first, name):
                raise ValueError(
                    f"grids[{index}]: its {name} differs from that of grids[0]; expected grids of one slide"
                )
        finer = grids[index - 1].header.mpp
        if finer is None or grid.header.mpp is None or not grid.header.mpp > finer:
            raise ValueError(f"grids[{index}]: {grid.header.mpp} um/px after {finer}; expected the finest first")
        if not grid.n_cells:
            raise ValueError(f"grids[{index}] has no cells, so there is nothing to repeat")
    return type(grids[0])._of(Repeated([grid._storage for grid in grids]))


def _centers(storage):
    """Centers (x, y) of the patches, in level-0 px."""
    place = Placement.of(storage.header)
    return np.asarray(storage.cells)[:, ::-1] * place.cell + np.asarray(place.corner) + place.patch / 2
