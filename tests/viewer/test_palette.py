"""Colours of grids that have little to show."""

import numpy as np
import pytest

from sknic import Grid
from sknic.exceptions import DegenerateDataError
from sknic.viewer.palette import Palette


@pytest.mark.parametrize("ask", [lambda palette, grid: palette.colors(grid), lambda palette, grid: palette.range(0)])
def test_a_grid_without_cells_says_that_it_has_nothing_to_show(ask):
    grid = Grid(np.empty((0, 3)), np.empty((0, 2)), (4, 4))
    with pytest.raises(DegenerateDataError, match="no tissue cells"):
        ask(Palette([grid]), grid)


def test_of_a_large_cohort_some_cells_of_every_slide_make_the_colors(monkeypatch):
    monkeypatch.setattr("sknic.viewer.palette._MAX_CELLS", 10)
    random, cells = np.random.RandomState(0), np.argwhere(np.ones((3, 4)))
    grids = [Grid(random.normal(size=(12, 4)), cells, (3, 4)) for _ in range(4)]
    palette = Palette(grids)
    low, high = palette.range(0)
    taken = np.concatenate([np.asarray(grid.embeddings[::5, 0], np.float32) for grid in grids])  # 12 of 48 cells
    assert (low + high) / 2 == pytest.approx(taken.mean(), abs=1e-6)
    assert palette.colors(grids[3]).shape == (3, 4, 3)
