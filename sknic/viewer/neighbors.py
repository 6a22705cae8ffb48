"""The cells whose embeddings are nearest to that of a cell, among all grids of its encoder."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sknic.grids import Grid

# Embeddings that are compared at once: 8 MB of float32 at 128 features.
_CHUNK = 2**14


@dataclass(frozen=True, order=True)
class Neighbor:
    """A cell that is similar to another one.

    Attributes
    ----------
    distance : float
        Euclidean distance of the two embeddings.
    grid : int
        Index of its grid among those that were searched.
    row, column : int
        Place of the cell.
    """

    distance: float
    grid: int
    row: int
    column: int


def nearest_cells(embedding: np.ndarray, grids: Iterable[Grid], n: int, *, besides: tuple | None = None) -> list:
    """Find the nearest cells, exactly; one grid is in memory at a time.

    Parameters
    ----------
    embedding : float array (C,)
        Embedding to search for.
    grids : iterable of Grid
        Grids of one encoder.
    n : int
        Number of cells to find.
    besides : (grid, row, column), default=None
        The cell in question, which is not its own neighbor.

    Returns
    -------
    list of Neighbor
        Nearest first; fewer than `n` if there are fewer cells.
    """
    found: list[Neighbor] = []
    for number, grid in enumerate(grids):
        distances, cells = _distances(embedding, grid.embeddings), grid.cells
        # One more than is wanted, for the cell that is asked about.
        for index in np.argsort(distances, kind="stable")[: n + 1]:
            neighbor = Neighbor(float(distances[index]), number, *map(int, cells[index]))
            if (neighbor.grid, neighbor.row, neighbor.column) != besides:
                found.append(neighbor)
        found = heapq.nsmallest(n, found)
    return found


def neighbors_of(
    views: list, number: int, grid: int, row: int, column: int, n: int, *, others: bool = False
) -> list[dict] | None:
    """Describe the neighbors of a cell to the page.

    Parameters
    ----------
    views : list of SlideView
        The slides that are shown.
    number, grid : int
        Numbers of the slide and of its grid.
    row, column : int
        Place of the cell.
    n : int
        Number of neighbors to find.
    others : bool, default=False
        Whether to find only cells of other slides.

    Returns
    -------
    list of dict, or None if there is no tissue cell
        "slide" and "grid" (numbers), "name" of the slide, "row", "column" and "distance".
    """
    frame = views[number].frames[grid]
    inside = row < frame.grid.shape[0] and column < frame.grid.shape[1]
    embedding = frame.embedding(row, column) if inside else None
    if embedding is None:
        return None
    shown = [(i, k, one.grid) for i, view in enumerate(views) for k, one in enumerate(view.frames)]
    kin = [(i, k, one) for i, k, one in shown if _encoder(one) == _encoder(frame.grid) and not (others and i == number)]
    asked = next((index for index, (i, k, _) in enumerate(kin) if (i, k) == (number, grid)), None)
    found = []
    for neighbor in nearest_cells(embedding, [one for _, _, one in kin], n, besides=(asked, row, column)):
        slide, its_grid, _ = kin[neighbor.grid]
        cell = {"row": neighbor.row, "column": neighbor.column, "distance": neighbor.distance}
        found.append({"slide": slide, "name": views[slide].name, "grid": its_grid, **cell})
    return found


def _encoder(grid):
    return grid.fingerprint, grid.code_size


def _distances(embedding, embeddings):
    """Distances (n_cells,), from differences, so that an equal cell has exactly 0, unlike with a matrix product."""
    wanted = np.asarray(embedding, np.float32)
    chunks = (embeddings[start : start + _CHUNK].astype(np.float32) for start in range(0, len(embeddings), _CHUNK))
    squares = [np.square(chunk - wanted).sum(axis=1) for chunk in chunks]
    return np.sqrt(np.concatenate([*squares, np.empty(0, np.float32)]))
