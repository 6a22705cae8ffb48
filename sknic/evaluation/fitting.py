"""One fold of a cross-validation: the model, and the baseline on the same slides."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter
from sksurv.functions import StepFunction

from sknic.evaluation.baseline import linear_baseline
from sknic.evaluation.run_once import has_spread, run_once
from sknic.evaluation.survival_scores import survival_at
from sknic.targets.kinds import fitted_learner, need_risks

# What a baseline may raise where its input is not grids or its target too poor for it.
_NO_BASELINE = (ValueError, TypeError, ArithmeticError, np.linalg.LinAlgError)


def rows_of(values, rows):
    """Choose rows of an array, a DataFrame, a Series or a sequence; a sequence stays a list."""
    if hasattr(values, "iloc"):
        return values.iloc[rows]
    return values[rows] if hasattr(values, "shape") else [values[row] for row in rows]


class FittedFold(NamedTuple):
    """The model of a fold, and its predictions for the slides that it has not seen."""

    model: Any
    prediction: np.ndarray  # (n_test,) or (n_test, k)
    baseline: np.ndarray | str  # in the form of the prediction, or the reason why there is none
    survival: np.ndarray | None  # (n_test, m): probability to survive each of the times; None without times or curves
    spread: np.ndarray | None  # (n_test,): how far the members of the model are apart; None if it has one
    level: float = 0.0  # by how much risks are above those relative to the mean slide of the training


def fit_fold(model, kind, X, y, given, train, test, with_baseline, times):
    """Fit a model on one side of a split and predict the other.

    Returns
    -------
    FittedFold
    """
    X_train, y_train = rows_of(X, train), rows_of(y, train)
    given = {name: rows_of(values, train) for name, values in given.items() if values is not None}
    model.fit(X_train, y_train, **fit_params(model, given))
    need_risks(kind, fitted_learner(model))  # some know only now
    X_test = rows_of(X, test)
    baseline = _fit_baseline(model, kind, X_train, y_train, X_test, given) if with_baseline else "it was not requested"
    last, X_last = run_once(model, X_test)
    # A search has no curves, although its best estimator may have.
    has_curves = times is not None and hasattr(model, "predict_survival_function")
    survival = survival_at(last, X_last, times) if has_curves else None
    spread = last.predict_spread(X_last) if has_spread(last) else None
    prediction = ask(last, kind, X_last)
    level = risk_level(model, kind, X_train, prediction)
    return FittedFold(model, prediction, baseline, survival, spread, level)


def ask(model, kind, X):
    """Predict as the kind of target wants it, or by `predict` if the model cannot.

    Returns
    -------
    ndarray (n,) or (n, k)

    Raises
    ------
    TypeError
        If the model returns a list of arrays instead.
    """
    method = kind.prediction_method if hasattr(model, kind.prediction_method) else "predict"
    found = getattr(model, method)(X)
    if isinstance(found, list):
        raise TypeError(
            f"{type(model).__name__}.{method} returns a list with one array per label: expected one array (n_slides, "
            "n_labels), as of OneVsRestClassifier"
        )
    return found


def risk_level(model, kind, X_train, tested=None):
    """Mean risk of the training slides, 0 for other targets and for models that predict differences from it.

    The risks of a Cox model are only known up to a number, which differs from fold to fold as its coefficients do. If
    every slide would have to be compressed again to know it, the mean of the tested slides stands in for it.
    """
    if not kind.has_model_scale or hasattr(fitted_learner(model), "mean_risk_"):
        return 0.0
    if tested is not None and _compresses_again(model):
        return float(np.mean(tested))
    last, X_last = run_once(model, X_train)
    return float(np.mean(ask(last, kind, X_last)))


def _fit_baseline(model, kind, X_train, y_train, X_test, given):
    baseline = linear_baseline(kind)
    if baseline is None:
        return f"there is none for {kind.name}"
    model = getattr(model, "best_estimator_", model)
    front = model[:-1] if isinstance(model, Pipeline) and len(model) > 1 else None
    if _compresses_again(model):
        return "every slide would be compressed again; give the SlideCompressor a cache_dir"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if front is not None:
                X_train, X_test = front.transform(X_train), front.transform(X_test)
            return ask(baseline.fit(X_train, y_train, **fit_params(baseline, given)), kind, X_test)
    except _NO_BASELINE as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"


def _compresses_again(model):
    """Whether a pipeline, or the best one of a search, begins with a compressor that keeps nothing."""
    steps = getattr(getattr(model, "best_estimator_", model), "steps", ())
    return any(getattr(step, "cache_dir", "") is None for _, step in steps)


def fit_params(model, given):
    """Return the fit parameters that pass groups and weights to the estimators that take them.

    Parameters
    ----------
    model : estimator, pipeline or search
    given : dict of str to array
        "groups" and "sample_weight", if given.

    Returns
    -------
    dict of str to array
        Only those that some estimator takes.
    """
    if get_config()["enable_metadata_routing"]:
        return {name: given[name] for name in get_routing_for_object(model).consumes("fit", set(given))}
    if isinstance(model, Pipeline):
        name, last = model.steps[-1]
        return {f"{name}__{key}": value for key, value in fit_params(last, given).items()}
    if is_search(model):
        splits = {"groups": given["groups"]} if "groups" in given else {}
        return {**splits, **fit_params(model.estimator, given)}
    return {name: values for name, values in given.items() if has_fit_parameter(model, name)}


def need_weights(model):
    """Raise TypeError if `sample_weight` is given for a model whose `fit` does not take it."""
    if not any(name.endswith("sample_weight") for name in fit_params(model, {"sample_weight": np.empty(0)})):
        raise TypeError(f"sample_weight: expected None, because {type(model).__name__}.fit takes no weights")


def is_search(model):
    """Whether it is one of scikit-learn's searches, which split their input; they have `refit` and `cv`."""
    return all(hasattr(model, name) for name in ("estimator", "refit", "cv"))


def mean_step_function(functions):
    """Mean of step functions, on the times that all of them cover."""
    end = min(function.domain[1] for function in functions)
    times = np.unique(np.concatenate([function.x for function in functions]))
    times = times[times <= end]
    return StepFunction(times, np.mean([function(times) for function in functions], axis=0))
