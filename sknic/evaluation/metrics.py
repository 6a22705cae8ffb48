"""Metrics of slide-level predictions, each a plain function of the truth and the prediction that returns a float.

With several targets per slide, one per column of both, a metric is the mean over the targets, each on the slides whose
label is known (not NaN); only accuracy asks whether all known labels of a slide are right.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, spearmanr
from sklearn.metrics import accuracy_score, r2_score, recall_score

from sknic.exceptions import DegenerateDataError
from sknic.targets import read_survival
from sknic.targets.cells import as_array
from sknic.targets.concordance import concordance_index
from sknic.targets.known import accuracy_of_known, known_columns
from sknic.targets.names import EMPTY, refuse_alike, refuse_words
from sknic.targets.rows import check_order_of_classes, check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def over_targets(metric):
    """Let a metric take several targets: its mean over the columns, each on the slides whose label is known."""

    @wraps(metric)
    def of_targets(y_true, y_pred):
        check_paired(y_true=y_true, prediction=y_pred)
        check_order_of_classes(y_true, prediction=y_pred)
        if np.ndim(y_true) != 2 or np.shape(y_true)[1] == 1:
            return metric(flat(y_true), flat(y_pred))
        y_true, y_pred = np.asarray(y_true, np.float64), _numbers("the prediction", y_pred)
        if y_true.shape != y_pred.shape:
            shapes = f"{y_true.shape} and {y_pred.shape}"
            raise ValueError(f"y_true and the prediction have shapes {shapes}; several targets need a column in both")
        return float(np.mean([_of_target(metric, k, *pair) for k, pair in enumerate(known_columns(y_true, y_pred))]))

    return of_targets


def flat(values: Any) -> Any:
    """Take a column (n, 1) as (n,), which numpy would pair with a row as every value with every other."""
    return np.asarray(values)[:, 0] if np.ndim(values) == 2 and np.shape(values)[1] == 1 else values


def _of_target(metric, k, y_true, y_pred):
    try:
        return metric(y_true, y_pred)
    except DegenerateDataError as error:
        raise DegenerateDataError(f"target {k}: {error}") from error


@over_targets
def spearman(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Spearman's rank correlation, the measure of the paper's section 4.2.

    Parameters
    ----------
    y_true, y_pred : array-like of float, shape (n,)
        Truth and prediction.

    Returns
    -------
    float
        Between -1 and 1.

    Raises
    ------
    DegenerateDataError
        If all values of one side are equal, so that they cannot be ranked.
    """
    y_true, y_pred = _numbers("y_true", y_true), _numbers("y_pred", y_pred)
    _same_length(y_true, y_pred)
    for name, values in (("y_true", y_true), ("y_pred", y_pred)):
        if values.ndim != 1:
            raise ValueError(f"{name} has shape {values.shape}; Spearman's correlation needs one number per slide")
        if len(values) < 2 or np.all(values == values[0]):
            raise DegenerateDataError(
                f"all {len(values)} values of {name} are equal; Spearman's correlation needs values to rank"
            )
    return float(spearmanr(y_true, y_pred).statistic)


@over_targets
def auc(y_true: ArrayLike, y_score: ArrayLike) -> float:
    """Area under the ROC curve; for more than two classes, the mean of each class against the rest.

    Parameters
    ----------
    y_true : array-like, shape (n,)
        Labels. With two labels, the one that sorts last is positive.
    y_score : array-like of float, shape (n,) or (n, n_classes)
        Score of the positive class, or one column per class in sorted order (``predict_proba``).

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    DegenerateDataError
        If a class is missing.
    """
    y_true, y_score = read_labels("y_true", y_true), _numbers("y_score", y_score)
    _same_length(y_true, y_score)
    classes = np.unique(y_true)
    n_columns = 2 if y_score.ndim == 1 else y_score.shape[1]
    if len(classes) < 2 or len(classes) < n_columns:
        raise DegenerateDataError(
            f"y_true contains {len(classes)} class{'es' * (len(classes) != 1)} ({_few(classes)}); the area under "
            f"the ROC curve needs slides of {'both' if n_columns == 2 else f'all {n_columns}'} classes"
        )
    if len(classes) > n_columns:
        raise ValueError(f"y_true contains {len(classes)} classes; y_score needs as many columns, but has {n_columns}")
    if n_columns == 2:
        return _binary_auc(y_true == classes[1], y_score if y_score.ndim == 1 else y_score[:, 1])
    return float(np.mean([_binary_auc(y_true == label, y_score[:, k]) for k, label in enumerate(classes)]))


def concordance(y_true: np.ndarray, risk: ArrayLike) -> float:
    """Harrell's concordance of risk scores with censored survival times.

    Parameters
    ----------
    y_true : structured array, shape (n,)
        Event (bool) and time, as scikit-survival's ``Surv``.
    risk : array-like of float, shape (n,)
        Higher means an earlier event.

    Returns
    -------
    float
        0.5 for guessing, 1 for the right order.

    Raises
    ------
    DegenerateDataError
        If no pair can be compared: no event, or none before the end of another's follow-up.
    """
    check_paired(y_true=y_true, risk=risk)
    y_true, risk = read_survival(y_true), risk_of(risk)
    _same_length(y_true, risk)
    return concordance_index(y_true["event"], y_true["time"], risk)


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the fraction of correct labels; of several labels per slide, that of slides whose known ones all are.

    Parameters
    ----------
    y_true : array-like (n,) or (n, n_labels)
        Labels.
    y_pred : array-like (n,) or (n, n_labels)
        Predicted labels.

    Returns
    -------
    float
        Score in [0, 1]; higher is better.
    """
    check_paired(y_true=y_true, prediction=y_pred)
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred)
    _same_length(y_true, y_pred)
    if len(y_true) == 0:
        raise DegenerateDataError("no slides; accuracy needs at least one")
    if y_true.ndim == 2 and y_true.shape[1] > 1:
        if not np.isin(y_pred, [0, 1]).all():
            raise ValueError("the prediction of several labels contains other numbers than 0 and 1: expected labels")
        return accuracy_of_known(y_true.astype(float), y_pred)
    return float(accuracy_score(*_read_both(flat(y_true), flat(y_pred))))


@over_targets
def balanced_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the fraction of correct labels, averaged over the classes in ``y_true``.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels.
    y_pred : array-like (n,)
        Predicted labels.

    Returns
    -------
    float
        Score in [0, 1]; higher is better.

    Raises
    ------
    DegenerateDataError
        If ``y_true`` contains fewer than two classes.
    """
    y_true, y_pred = _read_both(y_true, y_pred)
    _same_length(y_true, y_pred)
    classes = np.unique(y_true)
    if len(classes) < 2:
        raise DegenerateDataError(f"y_true contains one class ({_few(classes)}); balanced accuracy needs two")
    # Not scikit-learn's function of that name, which warns of every class that is predicted and not there.
    return float(recall_score(y_true, y_pred, labels=classes, average="macro"))


@over_targets
def r2(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Return the coefficient of determination, the mean over outputs when there are several.

    Parameters
    ----------
    y_true : array-like (n,) or (n, n_outputs)
        Numbers.
    y_pred : array-like (n,) or (n, n_outputs)
        Predicted numbers.

    Returns
    -------
    float
        1 for perfect predictions, 0 for the mean of ``y_true``, below 0 for worse ones.

    Raises
    ------
    DegenerateDataError
        If ``y_true`` does not vary.
    """
    y_true, y_pred = _numbers("y_true", y_true), _numbers("y_pred", y_pred)
    _same_length(y_true, y_pred)
    if len(y_true) < 2 or np.any(np.ptp(y_true, axis=0) == 0):
        raise DegenerateDataError(f"all {len(y_true)} values of y_true are equal; R2 needs a target that varies")
    return float(r2_score(y_true, y_pred))


METRICS = {
    "spearman": spearman,
    "auc": auc,
    "concordance": concordance,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "r2": r2,
}


def chosen_metric(metric, default):
    """Return the default for None, and the name of a metric that is a function of this module."""
    if metric is None:
        return default
    return next((name for name, known in METRICS.items() if known is metric), metric)


def get_metric(metric):
    """Return the metric of that name, or the callable ``metric(y_true, y_pred)`` itself."""
    if callable(metric):
        return metric
    if metric not in METRICS:
        raise ValueError(f"metric={metric!r} is unknown; it must be one of {', '.join(METRICS)} or a callable")
    return METRICS[metric]


def score_of(kind, y, model, X):
    """Score the predictions of a fitted model by the metric of its kind of target, as its `score` does."""
    truth = kind.read(y)
    kind.check_classes(truth, getattr(model, "classes_", None), may_be_new=True)
    return get_metric(kind.score_metric)(truth, model.predict(X))


def metric_name(metric):
    """Name of a metric for display; "score" for a callable without a name."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", "score")


def _binary_auc(positive, score):
    # Ranks give the same number as sklearn's roc_auc_score in a tenth of its time, which a bootstrap needs.
    ranks = rankdata(score)
    n_positive = positive.sum()
    n_pairs = n_positive * (len(positive) - n_positive)
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / n_pairs)


def read_labels(name: str, values: ArrayLike) -> np.ndarray:
    """Return labels as an array; ValueError if one is missing (None, NaN), which would be a class of its own."""
    labels = np.asarray(values)
    missing = np.flatnonzero(pd.isna(labels))
    if len(missing):
        raise ValueError(
            f"{name}[{missing[0]}] is missing ({len(missing)} of {len(labels)}): expected a label for each slide"
        )
    if labels.dtype.kind in "OU":
        refuse_words(name, labels.ravel(), EMPTY)
    return labels


def _read_both(y_true, y_pred):
    """Labels and predicted labels; ValueError if one is written in two ways, such as "Low" and "low"."""
    y_true, y_pred = read_labels("y_true", y_true), read_labels("y_pred", y_pred)
    if y_true.dtype.kind in "OU" and y_pred.dtype.kind in "OU":
        true, predicted = set(y_true.ravel().tolist()), set(y_pred.ravel().tolist())
        refuse_alike("y_true and y_pred", [*true, *predicted], case=True)
        if true and not true & predicted and all(any(_abbreviate(one, other) for other in true) for one in predicted):
            raise ValueError(f"y_pred contains {_few(sorted(predicted))} and y_true {_few(sorted(true))}: one spelling")
    return y_true, y_pred


def _abbreviate(one, other):
    """Whether one of two words is the beginning of the other, such as neg and negative."""
    short, long = sorted((str(one).casefold(), str(other).casefold()), key=len)
    return len(short) > 2 and long.startswith(short)


def risk_of(values: ArrayLike) -> np.ndarray:
    """Return risks as floats (n,); ValueError if one is not finite, or if there are several per slide."""
    risk = _numbers("risk", flat(values))
    if risk.ndim != 1:
        raise ValueError(f"risk has shape {risk.shape}; expected one number per slide, such as predict_proba(X)[:, 1]")
    return risk


def _numbers(name: str, values: ArrayLike) -> np.ndarray:
    values = as_array(values, name)  # a date would be a number of ns
    values = np.asarray(values, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{name} contains {(~np.isfinite(values)).sum()} values that are not finite numbers")
    return values


def _same_length(y_true, y_pred):
    if len(y_true) != len(y_pred):
        raise ValueError(
            f"y_true has {len(y_true)} rows and the prediction {len(y_pred)}; they must be the same slides"
        )


def _few(values):
    return ", ".join(str(value) for value in values[:5]) or "none"
