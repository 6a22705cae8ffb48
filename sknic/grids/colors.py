"""The colors of a grid: its first three principal components as red, green and blue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.decomposition import PCA

from sknic.exceptions import DegenerateDataError

if TYPE_CHECKING:
    from sknic.grids.grid import Grid


def pca_rgb(grid: Grid, *others: Grid) -> Any:
    """Color the cells of one or more grids by their first three principal components.

    Parameters
    ----------
    grid, *others : Grid
        Grids to color. The components are computed from all grids together, so that a color means the same in each.

    Returns
    -------
    ndarray of float, shape (rows, columns, 3), or a list of them when there are `others`
        0 to 1; background is white. Each component is stretched between its 1st and 99th percentile.

    Raises
    ------
    DegenerateDataError
        With fewer than three cells or features, or no variation.
    """
    grids = [grid, *others]
    colors = PrincipalColors(np.concatenate([np.asarray(each.embeddings, np.float32) for each in grids]))
    images = [colors.image(each) for each in grids]
    return images if others else images[0]


class PrincipalColors:
    """Colors for embeddings, from the principal components of a table of embeddings.

    Parameters
    ----------
    table : float array (n_cells, C)
        Embeddings; each component is stretched between its 1st and 99th percentile over them.

    Raises
    ------
    DegenerateDataError
        With fewer than three cells or features, or no variation.
    """

    def __init__(self, table: np.ndarray) -> None:
        if min(table.shape) < 3 or not np.ptp(table, axis=0).any():
            raise DegenerateDataError(
                f"{table.shape[0]} cells of {table.shape[1]} features; colors need at least 3 of each that vary"
            )
        self._pca = PCA(3, random_state=0).fit(table)
        self._low, high = np.percentile(self._pca.transform(table), [1, 99], axis=0)
        self._scale = np.where(high > self._low, high - self._low, 1)

    def image(self, grid: Grid) -> np.ndarray:
        """Color a grid.

        Parameters
        ----------
        grid : Grid
            Grid of the same encoder.

        Returns
        -------
        float ndarray, shape (rows, columns, 3)
            0 to 1; background is white.
        """
        image = np.ones((*grid.shape, 3))
        if grid.n_cells:
            values = self._pca.transform(np.asarray(grid.embeddings, np.float32))
            image[tuple(np.asarray(grid.cells).T)] = np.clip((values - self._low) / self._scale, 0, 1)
        return image
