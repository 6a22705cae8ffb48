"""The cells of a cohort that speak most, and least, for a model's predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sknic.grids import Grid


@dataclass(frozen=True)
class RankedCell:
    """A cell and its saliency.

    Attributes
    ----------
    slide : int
        Index of its slide among those that were ranked.
    row, column : int
        Position of the cell in the grid.
    saliency : float
        Value of the map at the cell.
    """

    slide: int
    row: int
    column: int
    saliency: float


def rank_cells(
    grids: Sequence[Grid],
    maps: Sequence[np.ndarray],
    n: int = 12,
    *,
    lowest: bool = False,
    max_per_slide: int | None = None,
    random_state: int = 0,
) -> list[RankedCell]:
    """Find the tissue cells of a cohort with the highest, or lowest, saliency.

    Parameters
    ----------
    grids : sequence of Grid
        Slides of the cohort.
    maps : sequence of float array (rows, columns)
        Saliency of each slide, for the same model and class, so that values can be compared.
    n : int, default=12
        Number of cells to find.
    lowest : bool, default=False
        Whether to find the lowest saliency: with `integrated_gradients` cells that speak against, with `grad_cam` cells
        without meaning.
    max_per_slide : int, default=None
        Maximum number of cells per slide; unlimited by default.
    random_state : int, default=0
        Seed of the order among equal values, which would otherwise all come from the first slide.

    Returns
    -------
    list of RankedCell
        The most extreme first; fewer than `n` if there are fewer cells.
    """
    random = np.random.RandomState(random_state)
    candidates = []
    for slide, (grid, saliency) in enumerate(zip(grids, maps, strict=True)):
        cells = np.asarray(grid.cells)
        values = np.asarray(saliency, float)[tuple(cells.T)]
        keys = values if lowest else -values
        best = np.lexsort((random.permutation(len(keys)), keys))[: n if max_per_slide is None else max_per_slide]
        for i in best:
            row, column = cells[i].tolist()
            candidates.append((keys[i], random.rand(), RankedCell(slide, row, column, float(values[i]))))
    return [cell for *_, cell in sorted(candidates, key=lambda found: found[:2])[:n]]
