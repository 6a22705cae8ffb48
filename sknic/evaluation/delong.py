"""DeLong's comparison of two ROC curves on the same patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm, rankdata

from sknic.evaluation.metrics import read_labels
from sknic.evaluation.results import Comparison, Estimate, check_level
from sknic.exceptions import DegenerateDataError
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def compare_auc(y_true: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, level: float = 0.95) -> Comparison:
    """Compare the areas under two ROC curves by DeLong's test (Biometrics 44:837, 1988).

    The test treats every row as independent: reduce slides to patients with :func:`aggregate` first, or use
    ``compare("auc", ..., groups=patients)``.

    Parameters
    ----------
    y_true : array-like, shape (n,)
        Labels of two classes; the one that sorts last is positive.
    score_a, score_b : array-like of float, shape (n,)
        Scores of the two models for the positive class.
    level : float
        Confidence level of the intervals.

    Returns
    -------
    Comparison

    Raises
    ------
    DegenerateDataError
        If a class has fewer than two members, or if both models order all pairs in the same way.
    """
    check_level(level)
    check_paired(y_true=y_true, score_a=score_a, score_b=score_b)
    y_true = read_labels("y_true", y_true)
    scores = np.array([score_a, score_b], dtype=np.float64)
    if scores.ndim != 2 or scores.shape[1] != len(y_true) or not np.isfinite(scores).all():
        raise ValueError(f"score_a and score_b must be {len(y_true)} finite numbers each, one per row of y_true")
    classes, index = np.unique(y_true, return_inverse=True)
    if len(classes) != 2 or np.bincount(index).min() < 2:
        counts = dict(zip(classes.tolist(), np.bincount(index).tolist()))
        raise DegenerateDataError(f"y_true contains {counts}; DeLong's test needs two classes of at least two each")
    values, covariance = _areas(scores[:, index == 1], scores[:, index == 0])
    contrast = np.array([[1, 0], [0, 1], [1, -1]])
    errors = np.sqrt(np.clip(np.einsum("ij,jk,ik->i", contrast, covariance, contrast), 0, None))
    half = norm.ppf(0.5 + level / 2) * errors
    values = contrast @ values
    lowest, highest = np.array([0, 0, -1]), np.ones(3)  # what an area, and a difference of areas, can be
    limits = zip(values, np.clip(values - half, lowest, highest), np.clip(values + half, lowest, highest))
    a, b, difference = (Estimate(float(v), float(low), float(high), level, len(y_true)) for v, low, high in limits)
    return Comparison(a, b, difference, _p_value(difference.value, errors[2]), method="DeLong")


def _areas(positive, negative):
    """Areas of both models and their covariance, by midranks; inputs (2, n_positive) and (2, n_negative)."""
    n_positive, n_negative = positive.shape[1], negative.shape[1]
    ranks = rankdata(np.hstack([positive, negative]), axis=1)
    above_negatives = (ranks[:, :n_positive] - rankdata(positive, axis=1)) / n_negative
    below_positives = 1 - (ranks[:, n_positive:] - rankdata(negative, axis=1)) / n_positive
    covariance = np.cov(above_negatives) / n_positive + np.cov(below_positives) / n_negative
    return above_negatives.mean(axis=1), covariance


def _p_value(difference, error):
    if error > 0:
        return float(2 * norm.sf(abs(difference) / error))
    if difference == 0:
        return 1.0
    raise DegenerateDataError("both models separate the classes without any spread; their difference has no error")
