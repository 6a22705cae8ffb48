"""Several targets per slide, of which some may be missing: NaN, None or pandas.NA is a label that nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sknic.targets.cells import as_numbers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def n_columns(y: Any) -> int:
    """Return the number of columns of a user's y; 1 for one value per slide."""
    shape = np.asarray(y, dtype=object).shape  # of objects, because rows may differ in length, which `read` refuses
    return shape[1] if len(shape) == 2 else 1


def numbers_or_missing(y: Any) -> np.ndarray:
    """Convert a user's table of targets to floats, with NaN for a missing label.

    Parameters
    ----------
    y : array-like of numbers, bools (all of them) or text, shape (n, k)
        NaN, None and pandas.NA are missing.

    Returns
    -------
    float array (n, k)

    Raises
    ------
    ValueError
        With the first value that is not a number, or the first row without a known label.
    """
    import pandas as pd

    values = np.asarray(y, None if hasattr(y, "dtype") else object)
    missing = pd.isna(values)
    empty = np.flatnonzero(missing.all(axis=1))
    if len(empty):
        more = f" ({len(empty)} such rows)" if len(empty) > 1 else ""
        raise ValueError(
            f"y[{empty[0]}]: all {values.shape[1]} labels are missing{more}; leave out the rows without a known label"
        )
    if not missing.any():
        return as_numbers(y).astype(float)
    # A known value stands in for the missing ones while the others are checked.
    filled = values.copy()
    filled[missing] = values[tuple(np.argwhere(~missing)[0])]
    numbers = as_numbers(filled).astype(float)
    numbers[missing] = np.nan
    return numbers


def known_columns(y: np.ndarray, *others: Any) -> list[tuple[np.ndarray, ...]]:
    """Return each target alone, with only the slides whose label is known.

    Parameters
    ----------
    y : float array (n, k)
        Targets; NaN is missing.
    *others : arrays (n, k)
        What belongs to them, such as predictions.

    Returns
    -------
    list of k tuples of arrays
        The known values of a column of y, and the same rows of that column of the others.
    """
    rows = [np.flatnonzero(~np.isnan(column)) for column in y.T]
    return [tuple(values[known, k] for values in (y, *others)) for k, known in enumerate(rows)]


def r2_of_known(y: np.ndarray, prediction: np.ndarray, weights: ArrayLike | None = None) -> float:
    """Mean over the targets of R2 on the slides whose label is known: scikit-learn's if none is missing.

    Parameters
    ----------
    y, prediction : float arrays (n, k)
        Truth, with NaN for missing, and prediction.
    weights : array-like (n,), optional
        Weight of each slide.

    Returns
    -------
    float
        R2, averaged over the targets.
    """
    from sklearn.metrics import r2_score

    _need_same_shape(y, prediction)
    of_rows = np.ones(len(y)) if weights is None else _weights_of(y, weights)
    table = np.repeat(of_rows[:, None], y.shape[1], axis=1)
    return float(np.mean([r2_score(*pair, sample_weight=w) for *pair, w in known_columns(y, prediction, table)]))


def accuracy_of_known(y: np.ndarray, labels: np.ndarray, weights: ArrayLike | None = None) -> float:
    """Share of slides whose known labels are all right: scikit-learn's subset accuracy if none is missing.

    Parameters
    ----------
    y : float array (n, k)
        0, 1, or NaN for missing.
    labels : array (n, k)
        Predicted 0 and 1.
    weights : array-like (n,), optional
        Weight of each slide.

    Returns
    -------
    float
        Share in [0, 1].
    """
    from sklearn.metrics import accuracy_score

    _need_same_shape(y, labels)
    right = ((y == labels) | np.isnan(y)).all(axis=1)
    return float(accuracy_score(np.ones(len(right), bool), right, sample_weight=weights))


def _need_same_shape(y, prediction):
    if np.shape(prediction) != y.shape:  # numpy would broadcast, or leave out the rest
        raise ValueError(
            f"y of shape {y.shape} and a prediction of shape {np.shape(prediction)}: expected the same slides, and the "
            "targets that were learnt, in their order"
        )


def _weights_of(y, weights):
    if np.shape(weights) != (len(y),):
        raise ValueError(f"sample_weight of shape {np.shape(weights)}: expected ({len(y)},), a weight for each slide")
    return np.asarray(weights)
