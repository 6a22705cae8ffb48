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
        The components are those of all grids together, so that a color means the same in each.

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
    embeddings = [np.asarray(each.embeddings, dtype=np.float32) for each in grids]
    table = np.concatenate(embeddings)
    if min(table.shape) < 3 or not np.ptp(table, axis=0).any():
        raise DegenerateDataError(
            f"{table.shape[0]} cells of {table.shape[1]} features; colors want 3 of each that vary"
        )
    pca = PCA(3, random_state=0).fit(table)
    low, high = np.percentile(pca.transform(table), [1, 99], axis=0)
    scale = np.where(high > low, high - low, 1)
    images = []
    for each, values in zip(grids, embeddings):
        image = np.ones((*each.shape, 3))
        if len(values):
            image[tuple(np.asarray(each.cells).T)] = np.clip((pca.transform(values) - low) / scale, 0, 1)
        images.append(image)
    return images if others else images[0]
