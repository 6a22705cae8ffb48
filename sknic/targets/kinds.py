"""The kinds of target, and which of them an estimator learns."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import numpy as np

from sknic.targets.kind import Target
from sknic.targets.known import n_columns

KINDS: dict[str, Target] = {}


def register(cls: type[Target]) -> type[Target]:
    """Class decorator that registers a kind, so that folds, ensembles, command line and report know it.

    The class itself is not changed.

    Returns
    -------
    type
        The class itself.
    """
    KINDS[cls.name] = cls()
    return cls


def kind_named(name: str) -> Target:
    """Return the kind of that name.

    Parameters
    ----------
    name : str
        Name of a kind.

    Returns
    -------
    Target
        The kind.

    Raises
    ------
    ValueError
        If there is no such kind; the message lists the names.
    """
    if name not in KINDS:
        close = get_close_matches(str(name).casefold(), KINDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"task={name!r}: expected one of {', '.join(KINDS)}{hint}")
    return KINDS[name]


def kind_of(estimator: Any, y: Any) -> Target:
    """Return the kind of target that an estimator learns from y.

    An estimator, or the last step of a pipeline or search, may declare it as `target_kind`, which stands for the kind
    of several such targets if y has several columns; otherwise each kind is asked, the last registered one first.

    Parameters
    ----------
    estimator : estimator
        Estimator, pipeline or search.
    y : array-like
        Target to learn; None or () for the kind that a fitted estimator has learnt.

    Returns
    -------
    Target
        The kind.
    """
    learnt = _learnt_kind(estimator) if y is None or (isinstance(y, tuple) and not y) else None
    if learnt is not None:
        return kind_named(learnt)
    declared = getattr(_inner(estimator), "target_kind", None)
    if declared is not None:
        several = [kind for kind in KINDS.values() if kind.single == declared] if n_columns(y) > 1 else []
        return several[0] if several else kind_named(declared)
    y = y if hasattr(y, "columns") or isinstance(y, tuple) else np.asarray(y)
    return next(kind for kind in reversed(KINDS.values()) if kind.fits(estimator, y))


def need_risks(kind: Target, estimator: Any) -> None:
    """Refuse a survival model that predicts times, such as scikit-survival's IPCRidge: long ones would be high risks.

    Parameters
    ----------
    kind : Target
        Kind that the estimator learns.
    estimator : estimator
        Estimator, pipeline or search; some tell only once they are fitted.

    Raises
    ------
    TypeError
        If it is such a model.
    """
    inner = _inner(estimator)
    if kind.is_censored and not getattr(inner, "_predict_risk_score", True):
        raise TypeError(f"{type(inner).__name__} predicts survival times: expected a model that predicts risks")


def predicted_columns(estimator: Any, X: Any) -> dict[str, np.ndarray]:
    """Predict, and return the results as named columns of a table of predictions.

    Parameters
    ----------
    estimator : fitted estimator
        Estimator, pipeline or ensemble.
    X : sequence of n_slides
        Slides to predict.

    Returns
    -------
    dict of str to array (n_slides,)
        Such as "prediction" and "probability tumor".
    """
    kind = kind_of(estimator, None)
    return kind.predicted(getattr(estimator, kind.prediction_method)(X), getattr(estimator, "classes_", None))


def _learnt_kind(estimator):
    """Name of the kind that a fitted estimator, or the one at the end of a pipeline or in a search, has learnt."""
    return getattr(fitted_learner(estimator), "target_kind_", None)


def fitted_learner(model: Any) -> Any:
    """Return the estimator that learnt the target: the end of a pipeline, or the best of a search.

    Parameters
    ----------
    model : fitted estimator, pipeline or search
        A pipeline in a search, or a search in a pipeline, too.

    Returns
    -------
    estimator
        The model itself if it is none of these.
    """
    if getattr(model, "steps", None):
        return fitted_learner(model.steps[-1][1])
    best = getattr(model, "best_estimator_", None)
    return model if best is None else fitted_learner(best)


def _inner(estimator):
    """The estimator that learns the target: the end of a pipeline, or what a search or ensemble searches over."""
    if getattr(estimator, "steps", None):
        return _inner(estimator.steps[-1][1])
    inner = getattr(estimator, "estimator", None)
    return _inner(inner) if inner is not None and hasattr(inner, "fit") else estimator
