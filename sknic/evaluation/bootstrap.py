"""Confidence intervals that resample patients, not slides."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from sklearn.utils import check_random_state

from sknic.evaluation.metrics import flat, get_metric, metric_name
from sknic.evaluation.patients import rows_by_patient
from sknic.evaluation.results import Comparison, Estimate, check_level
from sknic.exceptions import DegenerateDataError
from sknic.learning.params import check, integer
from sknic.targets import as_target
from sknic.targets.rows import check_order_of_classes, check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


# Resamples without some class or any event are drawn again. If more than this share has to be, the interval would no
# longer describe this study.
_MAX_DEGENERATE = 0.1


def estimate(
    metric: str | Callable,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.RandomState | None = 0,
) -> Estimate:
    """Score predictions, with a percentile bootstrap interval.

    Parameters
    ----------
    metric : str or callable
        "spearman", "auc", "concordance", "accuracy", "balanced_accuracy", "r2", or ``metric(y_true, y_pred) -> float``.
    y_true : array-like, shape (n_slides,)
        Labels, numbers or structured survival targets.
    y_pred : array-like, shape (n_slides,) or (n_slides, k)
        Predictions as the metric takes them: labels, numbers, scores or risks.
    groups : array-like, shape (n_slides,), optional
        Patient of each slide. Whole patients are resampled, because the slides of one patient resemble each other.
    level : float
        Confidence level.
    n_resamples : int
        Number of bootstrap resamples.
    random_state : int, RandomState or None
        Seed of the resamples; the default gives the same interval every time.

    Returns
    -------
    Estimate
        A perfect score has an interval of zero width: resampling cannot tell how other patients would be predicted.

    Raises
    ------
    DegenerateDataError
        If the metric is undefined on these data. If it is undefined on more than a tenth of the resamples, the
        estimate has no limits (NaN) but the reason.

    Examples
    --------
    >>> from sknic.evaluation import estimate
    >>> estimate("accuracy", [0, 1, 1, 0], [0, 1, 1, 1], groups=["a", "b", "c", "d"])
    Estimate(0.750 [0.250, 1.000], level=0.95, n=4)
    """
    check_paired(y_true=y_true, y_pred=y_pred, groups=groups)
    check_order_of_classes(y_true, y_pred=y_pred)
    measure, true, predicted = _defined(metric), flat(as_target(y_true)), np.asarray(y_pred)
    check_length("y_pred", predicted, true)
    value = measure(true, predicted)
    units = independent_units(true, groups)
    try:
        result = bootstrap(
            lambda rows: (measure(true[rows], predicted[rows]),), units, level, n_resamples, random_state
        )
    except DegenerateDataError as error:
        return Estimate(float(value), math.nan, math.nan, level, len(units), reason=str(error))
    return _estimates([value], result, level, len(units))[0]


def estimate_or_reason(metric, y_true, y_pred, *, groups=None, level=0.95, **options):
    """Like `estimate`, but if the metric cannot be computed, return an estimate with only the reason.

    Parameters
    ----------
    metric, y_true, y_pred, groups, level, **options
        As in `estimate`.

    Returns
    -------
    Estimate
        NaN with the reason if it is undefined.
    """
    try:
        return estimate(metric, y_true, y_pred, groups=groups, level=level, **options)
    except DegenerateDataError as error:
        return Estimate.unknown(str(error), len(y_true) if groups is None else len(set(groups)), level)


def estimate_metrics(kind, y_true, prediction, classes, **options):
    """Estimate all metrics of a kind of target.

    Parameters
    ----------
    kind : sknic.targets.Target
        Kind of the target.
    y_true : array (n_slides,)
        Target.
    prediction : array (n_slides,) or (n_slides, k)
        Predictions of that kind.
    classes : array (k,) or None
        Labels of the classes, if there are any.
    **options
        As in `estimate`.

    Returns
    -------
    dict of str to Estimate
        By name of the metric; NaN with the reason if one is undefined.

    Raises
    ------
    ValueError
        If the target contains labels that are not classes.
    """
    kind.check_classes(y_true, classes)
    return {
        name: estimate_or_reason(name, y_true, kind.for_metric(name, prediction, classes), **options)
        for name in kind.metrics
    }


def compare(
    metric: str | Callable | None,
    y_true: ArrayLike,
    pred_a: ArrayLike,
    pred_b: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.RandomState = 0,
) -> Comparison:
    """Compare two models on the same patients by the paired bootstrap.

    Both models are scored on the same resamples of patients, so that what is hard for both cancels in the difference.

    Parameters
    ----------
    metric, y_true, groups, level, n_resamples, random_state
        As in :func:`estimate`.
    pred_a, pred_b : array-like, shape (n_slides,) or (n_slides, k)
        Predictions of the two models for the same slides.

    Returns
    -------
    Comparison
        Its p-value is twice the smaller share of resamples in which the difference has the other sign, and never
        smaller than 2 / (n_resamples + 1).

    Raises
    ------
    DegenerateDataError
        As in :func:`estimate`.
    """
    check_paired(y_true=y_true, pred_a=pred_a, pred_b=pred_b, groups=groups)
    check_order_of_classes(y_true, pred_a=pred_a, pred_b=pred_b)
    measure, true = _defined(metric), flat(as_target(y_true))
    first, second = np.asarray(pred_a), np.asarray(pred_b)
    check_length("pred_a", first, true)
    check_length("pred_b", second, true)

    def both(rows):
        a, b = measure(true[rows], first[rows]), measure(true[rows], second[rows])
        return a, b, a - b

    values = both(np.arange(len(true)))
    units = independent_units(true, groups)
    result = bootstrap(both, units, level, n_resamples, random_state)
    a, b, difference = _estimates(values, result, level, len(units))
    differences = result.bootstrap_distribution[2]
    tail = min((differences <= 0).sum(), (differences >= 0).sum())
    p_value = float(min(1.0, 2 * (tail + 1) / (n_resamples + 1)))
    return Comparison(a, b, difference, p_value, method="paired bootstrap")


def _defined(metric):
    """Let a metric that is not a number say so as those of sknic do: NaN has no sign, and would count for neither."""
    measure = get_metric(metric)

    def measured(y_true, y_pred):
        value = measure(y_true, y_pred)
        if not isinstance(value, Real):
            raise TypeError(f"{metric_name(metric)} returned {type(value).__name__}: expected one number")
        if math.isnan(value):
            raise DegenerateDataError(f"{metric_name(metric)} returned NaN")
        return value

    return measured


def independent_units(y_true, groups):
    """Rows of each independent unit: the slides of a patient, or each slide alone."""
    units = [np.array([row]) for row in range(len(y_true))]
    if groups is not None:
        check_length("groups", groups, y_true)
        units = rows_by_patient(groups)[1]
    if len(units) < 2:
        raise DegenerateDataError(f"{len(units)} patient; an interval needs at least two")
    return units


def check_length(name, values, y_true):
    """Raise ValueError if values are not of as many slides as the truth."""
    if len(values) != len(y_true):
        raise ValueError(f"{name} has {len(values)} rows, y_true {len(y_true)}; they must be the same slides")


def bootstrap(statistic, units, level, n_resamples, random_state):
    """Bootstrap ``statistic(rows) -> tuple of k floats``; scipy's result, with k rows."""
    check_interval(level, n_resamples)
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
    n_rejected = 0

    def of_units(chosen):
        nonlocal n_rejected
        while True:
            try:
                return statistic(np.concatenate([units[unit] for unit in chosen]))
            except DegenerateDataError as error:
                n_rejected += 1
                if n_rejected > _MAX_DEGENERATE * n_resamples:
                    raise DegenerateDataError(
                        f"too few patients for an interval: more than {_MAX_DEGENERATE:.0%} of the resamples of"
                        f" {len(units)} patients fail, because {error}"
                    ) from error
                chosen = rng.integers(len(units), size=len(units))

    return stats.bootstrap(
        (np.arange(len(units)),),
        lambda chosen, axis: np.moveaxis(np.apply_along_axis(of_units, axis, chosen), -1, 0),
        vectorized=True,
        method="percentile",
        n_resamples=n_resamples,
        confidence_level=level,
        rng=rng,
    )


def check_interval(level, n_resamples, metric=None):
    """Refuse options of an interval by name and value: at once, because what it is about may take hours."""
    check_level(level)
    check("n_resamples", n_resamples, integer(low=1))
    if metric is not None:
        get_metric(metric)


def _estimates(values, result, level, n):
    interval = result.confidence_interval
    return [Estimate(float(v), float(low), float(high), level, n) for v, low, high in zip(values, *interval)]
