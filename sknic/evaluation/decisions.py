"""What predictions are worth for decisions: net benefit, and the score of the slides that are kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sknic.evaluation.bootstrap import check_length
from sknic.evaluation.metrics import get_metric, read_labels
from sknic.exceptions import DegenerateDataError
from sknic.targets import as_target
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Thresholds of a decision curve, unless others are asked for; the same numbers as 0.01, 0.02 and so on, as written.
DECISION_THRESHOLDS = np.arange(1, 100) / 100


def net_benefit(
    y_true: ArrayLike, probability: ArrayLike | None = None, thresholds: ArrayLike | None = None
) -> np.ndarray:
    """Net benefit of treating those whose probability reaches a threshold, for a decision curve [1]_.

    A threshold of 0.2 accepts four unnecessary treatments for each one that is needed. Accordingly, a false positive
    costs threshold / (1 - threshold) of what a true positive is worth.

    Parameters
    ----------
    y_true : array-like, shape (n,)
        Labels of two classes; the one that sorts last is the one to treat.
    probability : array-like of float, shape (n,), default=None
        Probability of that class; None is the net benefit of treating everybody.
    thresholds : array-like of float, shape (m,), default=None
        Thresholds of probability, within 0 and 1; 0.01 to 0.99 by default.

    Returns
    -------
    float array (m,)
        Net benefit, in true positives per slide; 0 for treating nobody.

    Raises
    ------
    DegenerateDataError
        If `y_true` does not contain two classes.

    References
    ----------
    .. [1] Vickers and Elkin, "Decision Curve Analysis", Medical Decision Making 26 (2006), 565-574.

    Examples
    --------
    >>> from sknic.evaluation import net_benefit
    >>> net_benefit([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], [0.2, 0.5]).tolist()
    [0.4375, 0.0]
    """
    check_paired(y_true=y_true, probability=probability)
    labels, at = read_labels("y_true", y_true), _thresholds(thresholds)
    classes = np.unique(labels)
    if len(classes) != 2:
        raise DegenerateDataError(f"y_true contains {len(classes)} classes; expected two to decide between")
    said = np.ones(len(labels)) if probability is None else np.asarray(probability, dtype=float)
    if said.shape != labels.shape or not ((said >= 0) & (said <= 1)).all():
        raise ValueError(f"probability of shape {said.shape}: expected one within 0 and 1 for each slide")
    is_treated, is_ill = said[:, None] >= at, (labels == classes[1])[:, None]
    price = at / (1 - at)
    return (is_treated & is_ill).mean(axis=0) - price * (is_treated & ~is_ill).mean(axis=0)


def rejection_curve(
    metric: str | Callable, y_true: ArrayLike, y_pred: ArrayLike, doubt: ArrayLike, kept: ArrayLike | None = None
) -> np.ndarray:
    """Score the most certain slides, to see whether the model knows when it may be wrong.

    Parameters
    ----------
    metric : str or callable
        Metric as in :func:`estimate`.
    y_true : array-like, shape (n,)
        Labels, numbers or structured survival targets.
    y_pred : array-like, shape (n,) or (n, k)
        Predictions as the metric takes them: labels, numbers, scores or risks.
    doubt : array-like of float, shape (n,)
        Uncertainty of each slide, such as `predict_spread`; the most uncertain slides are rejected first.
    kept : array-like of float, shape (m,), default=None
        Fractions of the slides to keep, above 0 and up to 1; tenths by default. Of equally uncertain slides, the last
        ones are rejected first.

    Returns
    -------
    float array (m,)
        Score of the slides that are kept; NaN if it is undefined.

    Examples
    --------
    >>> from sknic.evaluation import rejection_curve
    >>> rejection_curve("accuracy", [0, 1, 1, 0], [0, 1, 0, 0], [0.1, 0.2, 0.9, 0.3], [0.5, 1]).tolist()
    [1.0, 0.75]
    """
    check_paired(y_true=y_true, y_pred=y_pred, doubt=doubt)
    measure, true, predicted = get_metric(metric), as_target(y_true), np.asarray(y_pred)
    check_length("y_pred", predicted, true)
    doubts, fractions = np.asarray(doubt, dtype=float), np.asarray(np.linspace(0.1, 1, 10) if kept is None else kept)
    if doubts.shape != (len(true),) or not np.isfinite(doubts).all():
        raise ValueError(f"doubt of shape {doubts.shape}: expected one finite number for each of {len(true)} slides")
    if not ((fractions > 0) & (fractions <= 1)).all():
        raise ValueError(f"kept={fractions.tolist()}: expected fractions above 0 and up to 1")
    order = np.argsort(doubts, kind="stable")
    curve = []
    for fraction in fractions:
        rows = order[: max(1, round(fraction * len(order)))]
        try:
            curve.append(float(measure(true[rows], predicted[rows])))
        except DegenerateDataError:
            curve.append(math.nan)
    return np.array(curve)


def _thresholds(given):
    thresholds = DECISION_THRESHOLDS if given is None else np.asarray(given, dtype=float)
    if thresholds.ndim != 1 or not ((thresholds > 0) & (thresholds < 1)).all():
        raise ValueError(f"thresholds={given!r}: expected probabilities above 0 and below 1")
    return thresholds
