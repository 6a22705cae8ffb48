"""Outer folds: stratified by class or event, and never one patient on both sides."""

import numbers
import warnings

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.utils.multiclass import check_classification_targets

from sknic.evaluation.patients import check_no_shared_patient
from sknic.evaluation.targets import survival_target
from sknic.exceptions import DegenerateDataError


def make_folds(cv, kind, y, groups=None, random_state=None):
    """Split slides so that each is tested exactly once.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, test)
        An integer shuffles, stratifies by class or event, and keeps the slides of a patient together.
    kind : {"classifier", "regressor", "survival"}
    y : ndarray, shape (n_slides,) or (n_slides, n_outputs)
    groups : array-like, shape (n_slides,), optional
        Patient of each slide.
    random_state : int, RandomState or None
        Shuffles when `cv` is an integer.

    Returns
    -------
    list of (train, test)
        Row numbers.

    Raises
    ------
    PatientLeakageError
        When a patient is on both sides.
    DegenerateDataError
        When a training part would lack a class, or any event.
    """
    strata = _strata(kind, y)
    if kind != "regressor" and not (np.unique(strata).size > 1 or (kind == "survival" and strata.any())):
        lack = "event" if kind == "survival" else "second class"
        raise DegenerateDataError(f"y of {len(y)} slides holds one class only: no {lack}, so there is nothing to learn")
    splitter = _splitter(cv, strata, groups, random_state)
    with warnings.catch_warnings():
        # A splitter that ignores groups is allowed to, as long as it splits no patient: checked below.
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        folds = list(splitter.split(np.zeros(len(y)), y if strata is None else strata, groups))
    _check_partition(folds, len(y))
    for train, test in folds:
        if groups is not None:
            check_no_shared_patient(groups, train, test)
        if strata is not None:
            _check_training_part(kind, strata, train)
    return folds


def _strata(kind, y):
    if kind == "survival":
        return survival_target(y)["event"]
    if kind == "classifier":
        check_classification_targets(y)
        return y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
    return None


def _splitter(cv, strata, groups, random_state):
    if not isinstance(cv, numbers.Integral) or isinstance(cv, bool):
        return check_cv(cv)
    if strata is not None:
        kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    else:
        kind = KFold if groups is None else GroupKFold
    return kind(int(cv), shuffle=True, random_state=random_state)


def _check_partition(folds, n_rows):
    times_tested = np.bincount(np.concatenate([test for _, test in folds]), minlength=n_rows)
    if (times_tested != 1).any():
        raise ValueError(
            f"cv tests {(times_tested == 0).sum()} slides never and {(times_tested > 1).sum()} more than once;"
            " out-of-fold predictions want a cv that tests every slide exactly once"
        )
    if min(len(part) for fold in folds for part in fold) == 0:
        raise DegenerateDataError(f"a fold of {len(folds)} is empty; there are too few patients for so many folds")


def _check_training_part(kind, strata, train):
    if kind == "survival" and not strata[train].any():
        raise DegenerateDataError("the training part of a fold holds no event; use fewer folds or more patients")
    missing = np.setdiff1d(strata, strata[train])
    if kind == "classifier" and len(missing):
        raise DegenerateDataError(
            f"the training part of a fold lacks class {missing[0]!r}: all its slides are in the fold's test part;"
            " use fewer folds or more patients of that class"
        )
