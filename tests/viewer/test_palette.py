"""Colours of grids that have little to show."""

import numpy as np
import pytest

from sknic import Grid
from sknic.exceptions import DegenerateDataError
from sknic.viewer.palette import Palette


@pytest.mark.parametrize("ask", [lambda palette, grid: palette.colors(grid), lambda palette, grid: palette.range(0)])
def test_a_grid_without_cells_says_that_it_has_nothing_to_show(ask):
    grid = Grid(np.empty((0, 3)), np.empty((0, 2)), (4, 4))
    with pytest.raises(DegenerateDataError, match="no tissue cell"):
        ask(Palette([grid]), grid)
