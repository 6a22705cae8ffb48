"""The cells of a cohort that speak most and least."""

import numpy as np
import pytest

from sknic.grids import Grid
from sknic.saliency import rank_cells


def _cohort():
    """Two slides of 2 x 3 cells; the last column is background, where the maps have their extremes."""
    cells = [[0, 0], [0, 1], [1, 0], [1, 1]]
    grids = [Grid(np.ones((4, 2)), cells, (2, 3)) for _ in range(2)]
    maps = [np.array([[5, 1, 99], [-2, 0, -99.0]]), np.array([[4, 3, 99], [2, -7, -99.0]])]
    return grids, maps


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"n": 3}, [(0, 0, 0, 5), (1, 0, 0, 4), (1, 0, 1, 3)]),
        ({"n": 3, "lowest": True}, [(1, 1, 1, -7), (0, 1, 0, -2), (0, 1, 1, 0)]),
        ({"n": 3, "max_per_slide": 1}, [(0, 0, 0, 5), (1, 0, 0, 4)]),
        ({"n": 0}, []),
    ],
)
def test_the_tissue_cells_with_the_most_extreme_saliency_come_first(options, wanted):
    found = rank_cells(*_cohort(), **options)
    assert [(cell.slide, cell.row, cell.column, cell.saliency) for cell in found] == wanted


def test_all_cells_come_where_more_are_wanted_than_there_are():
    found = rank_cells(*_cohort(), n=99)
    assert [cell.saliency for cell in found] == [5, 4, 3, 2, 1, 0, -2, -7]


def test_equals_are_taken_from_all_slides_and_the_same_with_the_same_seed():
    grids, maps = _cohort()
    flat = [np.zeros((2, 3)) for _ in range(20)]
    found = rank_cells(grids * 10, flat, n=20)
    assert len({cell.slide for cell in found}) > 8
    assert found == rank_cells(grids * 10, flat, n=20)


def test_a_slide_without_tissue_has_no_cell():
    empty = Grid(np.ones((0, 2)), np.ones((0, 2)), (2, 3))
    assert rank_cells([empty], [np.ones((2, 3))]) == []
