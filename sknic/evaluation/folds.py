"""Outer folds: stratified by class or event, and never with a patient on both sides."""

import numbers
import warnings

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, check_cv

from sknic.evaluation.patients import check_no_shared_patient
from sknic.evaluation.same_slide import check_no_shared_slide, slide_names
from sknic.exceptions import DegenerateDataError, SlideLeakageError
from sknic.targets.names import check_patients


def make_folds(cv, kind, y, groups=None, random_state=None, X=None):
    """Split slides so that each is tested exactly once.

    Parameters
    ----------
    cv : int, splitter or iterable of (train, test)
        An integer shuffles, stratifies by class or event, and keeps the slides of a patient together.
    kind : sknic.targets.Target
        Kind of the target, which defines the strata and what a training part must contain.
    y : ndarray, shape (n_slides,) or (n_slides, n_outputs)
    groups : array-like, shape (n_slides,), optional
        Patient of each slide.
    random_state : int, RandomState or None
        Shuffles when `cv` is an integer.
    X : sequence of n_slides, optional
        Grids or paths: the same slide in two rows must not be on both sides. Rows of a table do not identify slides.

    Returns
    -------
    list of (train, test)
        Row numbers.

    Raises
    ------
    PatientLeakageError
        If a patient is on both sides.
    SlideLeakageError
        If a slide is on both sides.
    DegenerateDataError
        If a training part would have no event or not all classes, or if there are fewer patients than folds.
    """
    kind.check(y)
    if groups is not None:
        check_patients("groups", groups)
    strata = kind.strata(y)
    if isinstance(cv, numbers.Integral):
        _check_number(cv, len(y) if groups is None else len(set(groups)), groups is not None, strata)
    splitter = _splitter(cv, strata, groups, random_state)
    with warnings.catch_warnings():
        # A splitter that ignores groups is allowed to, as long as it splits no patient: checked below.
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        # Rare classes are counted and checked here, in words of our own.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        folds = list(splitter.split(np.zeros(len(y)), y if strata is None else strata, groups))
    _check_partition(folds, len(y))
    slides = None if X is None else slide_names(X)
    for train, test in folds:
        both = np.intersect1d(train, test)
        if len(both):
            raise SlideLeakageError(
                f"cv has row {both[0]} and {len(both) - 1} more on both sides of a fold; give parts that share no row"
            )
        if slides:
            check_no_shared_slide(slides, train, test)
        if groups is not None:
            check_no_shared_patient(groups, train, test)
        kind.check_training_part(y, train)
    return folds


def _check_number(cv, n_units, are_patients, strata):
    """Refuse a number of folds that the data cannot fill."""
    if cv < 2:
        raise ValueError(f"cv={cv}: expected 2 folds or more")
    if cv > n_units:
        units = f"{'patient' if are_patients else 'sample'}{'s' * (n_units != 1)}"
        raise DegenerateDataError(f"cv={cv}: {n_units} {units} cannot fill {cv} folds; use fewer folds, or more slides")
    most = n_units if strata is None else int(np.unique(strata, return_counts=True)[1].max())
    if cv > most:
        raise DegenerateDataError(
            f"cv={cv}: the most frequent class has {most} slide{'s' * (most != 1)}; use fewer folds or more slides"
        )


def _splitter(cv, strata, groups, random_state):
    if not isinstance(cv, numbers.Integral) or isinstance(cv, bool):
        return check_cv(cv)
    if strata is not None:
        splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    else:
        splitter = KFold if groups is None else GroupKFold
    return splitter(int(cv), shuffle=True, random_state=random_state)


def _check_partition(folds, n_rows):
    times_tested = np.bincount(np.concatenate([test for _, test in folds]), minlength=n_rows)
    if (times_tested != 1).any():
        raise ValueError(
            f"cv never tests {(times_tested == 0).sum()} slides and tests {(times_tested > 1).sum()} more than once;"
            " out-of-fold predictions need a cv that tests every slide exactly once"
        )
    if min(len(part) for fold in folds for part in fold) == 0:
        raise DegenerateDataError(f"one of {len(folds)} folds is empty; there are too few patients for so many folds")
