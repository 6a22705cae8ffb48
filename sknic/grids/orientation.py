"""The eight orientations of a picture: four quarter turns, each with and without a mirror."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def orient(array: np.ndarray, k: int, axes: tuple[int, int] = (-2, -1)) -> np.ndarray:
    """Rotate and mirror the rows and columns of an array.

    Parameters
    ----------
    array : ndarray
        Any array with an axis of rows and one of columns.
    k : int, 0 to 7
        Number of the orientation: `k % 4` counter-clockwise quarter turns, after a left-right mirror when `k >= 4`.
    axes : (int, int), default=(-2, -1)
        Axes of the rows and of the columns.

    Returns
    -------
    ndarray
        A view of `array`.
    """
    mirrored = np.flip(array, axes[1]) if k >= 4 else array
    return np.rot90(mirrored, k % 4, axes=axes)


def orient_back(array: np.ndarray, k: int, axes: tuple[int, int] = (-2, -1)) -> np.ndarray:
    """Undo `orient`.

    Parameters
    ----------
    array : ndarray
        An oriented array.
    k : int, 0 to 7
        Number of the orientation that it has.
    axes : (int, int), default=(-2, -1)
        Axes of the rows and of the columns.

    Returns
    -------
    ndarray
        A view of `array` in its original orientation.
    """
    turned = np.rot90(array, -(k % 4), axes=axes)
    return np.flip(turned, axes[1]) if k >= 4 else turned


def orient_cells(cells: ArrayLike, shape: tuple[int, int], k: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Return where `orient` moves each cell.

    Parameters
    ----------
    cells : int array (n, 2)
        Row and column of each cell.
    shape : (rows, columns)
        Size of the grid.
    k : int, 0 to 7
        Number of the orientation.

    Returns
    -------
    cells : int32 ndarray (n, 2)
        Row and column of each cell in the oriented grid.
    shape : (rows, columns)
        Size of the oriented grid.
    """
    rows, columns = shape
    r, c = np.asarray(cells, np.int32).T
    if k >= 4:
        c = columns - 1 - c
    for _ in range(k % 4):
        r, c = columns - 1 - c, r
        rows, columns = columns, rows
    return np.stack([r, c], axis=1).astype(np.int32), (rows, columns)
