"""The metrics of survival under censoring with their intervals, out of fold and for a model on new slides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sknic.evaluation.bootstrap import estimate_or_reason
from sknic.evaluation.censoring import CensoredScores, evaluation_times
from sknic.evaluation.results import Estimate
from sknic.exceptions import DegenerateDataError, TimeUnitWarning, warn
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# A year has 12 months, and a week 7 days; follow-up of two cohorts in one unit differs by less.
_OTHER_UNIT = 6.0


def survival_scores(
    y: np.ndarray,
    risk: ArrayLike,
    fold: ArrayLike | None,
    survival: ArrayLike | None = None,
    times: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.RandomState = 0,
) -> dict[str, Estimate]:
    """Score survival predictions under censoring, with intervals over patients.

    Each fold is weighted by the censoring of its training part, and pairs are compared within a fold, because risks
    of different models have no common scale. Times are inside the follow-up of both sides of every fold. Slides that
    one model predicted (`fold=None`) are one fold, weighted by its own censoring.

    Parameters
    ----------
    y : structured array, shape (n_slides,)
        Event (bool) and time.
    risk : array-like of float, shape (n_slides,)
        Out-of-fold risks.
    fold : array-like of int, shape (n_slides,), or None
        Fold that tested each slide; None if one model predicted all.
    survival : array-like of float, shape (n_slides, m), default=None
        Out-of-fold probability of surviving each of the times; without it there is no Brier score.
    times : array-like of float, shape (m,), default=None
        Times, ascending; by default those of :func:`evaluation_times`.
    groups, level, n_resamples, random_state
        As in :func:`estimate`.

    Returns
    -------
    dict of str to Estimate
        "concordance_ipcw" (Uno), "mean_auc" (cumulative/dynamic), "integrated_brier" and, for comparison,
        "kaplan_meier_brier", the score of a Kaplan-Meier curve that ignores the slides; NaN with the reason if one
        cannot be computed.
    """
    check_paired(y=y, risk=risk, fold=fold, survival=survival, groups=groups)
    names = ("concordance_ipcw", "mean_auc", "integrated_brier", "kaplan_meier_brier")
    try:
        scores = CensoredScores(y, risk, fold, survival, times)
    except DegenerateDataError as error:
        n = len(y) if groups is None else len(np.unique(np.asarray(groups)))
        return {name: Estimate.unknown(str(error), n, level) for name in names}
    measures = (
        scores.concordance,
        scores.mean_auc,
        scores.integrated_brier,
        lambda rows: scores.integrated_brier(rows, reference=True),
    )
    options: dict[str, Any] = {"groups": groups, "level": level, "n_resamples": n_resamples}
    rows = np.arange(len(scores.y))
    return {
        name: estimate_or_reason(_of_rows(measure), rows, rows, random_state=random_state, **options)
        for name, measure in zip(names, measures)
    }


def _of_rows(measure):
    return lambda rows, _: measure(rows)


def external_survival_scores(
    model: Any, X: Any, y: np.ndarray, risk: ArrayLike, *, groups: ArrayLike | None = None, **options: Any
) -> dict[str, Estimate]:
    """Score a fitted survival model under the censoring of new slides, with intervals over patients.

    Parameters
    ----------
    model : fitted survival estimator
        Model that has not seen the slides.
    X : sequence of n_slides, or outputs of the model's `run_networks`
        The slides.
    y : structured array, shape (n_slides,)
        Event (bool) and time.
    risk : array-like of float, shape (n_slides,)
        The model's predictions for the slides.
    groups, **options
        As in :func:`survival_scores`.

    Returns
    -------
    dict of str to Estimate
        As in :func:`survival_scores`. Times are inside the follow-up of the new slides and of the model, which knows
        no survival beyond the slides that it was trained on.

    Warns
    -----
    TimeUnitWarning
        If the median time is more than six times as long as in the training, or less than a sixth of it.
    """
    return scores_of_curves(curves_of(model, X), y, risk, groups=groups, **options)


def scores_of_curves(
    curves: Any, y: np.ndarray, risk: ArrayLike, *, groups: ArrayLike | None = None, **options: Any
) -> dict[str, Estimate]:
    """Score survival curves of new slides, as :func:`external_survival_scores`.

    Parameters
    ----------
    curves : sequence (n_slides,) of sksurv.functions.StepFunction, or None
        The model's curves, as from `curves_of`.
    y, risk, groups, **options
        As in :func:`external_survival_scores`.

    Returns
    -------
    dict of str to Estimate
        As in :func:`external_survival_scores`.
    """
    times = evaluation_times(y, None)
    if curves is None:
        return survival_scores(y, risk, None, None, times, groups=groups, **options)
    _doubt_unit(y["time"], curves)
    times = times[times <= min(curve.domain[1] for curve in curves)]
    return survival_scores(y, risk, None, _values(curves, times), times, groups=groups, **options)


def _doubt_unit(times, curves):
    """Warn if follow-up is so much longer or shorter than in the training that days may have become months."""
    here, known = float(np.median(times)), float(np.median(curves[0].x))
    if not known / _OTHER_UNIT < here < known * _OTHER_UNIT:
        warn(
            f"the median time is {here:.4g} here and {known:.4g} in the training of the model: expected times in one "
            "unit, on which Brier scores and AUC at a time depend",
            TimeUnitWarning,
        )


def survival_at(model: Any, X: Any, times: np.ndarray) -> np.ndarray | None:
    """Predict the probability of surviving each time with a fitted model.

    Parameters
    ----------
    model : fitted survival estimator
        Model that predicts.
    X : sequence of n_slides
        Slides to predict.
    times : float array (m,)
        Times.

    Returns
    -------
    float array (n_slides, m) or None
        None if the model has no survival curves, or if they do not reach that far.
    """
    curves = curves_of(model, X)
    if curves is None or np.max(times, initial=0) > min(curve.domain[1] for curve in curves):
        return None
    return _values(curves, times)


def curves_of(model: Any, X: Any) -> Any:
    """Predict survival curves with a fitted model.

    Parameters
    ----------
    model : fitted survival estimator
        Model that predicts.
    X : sequence of n_slides, or outputs of the model's `run_networks`
        Slides to predict.

    Returns
    -------
    object array (n_slides,) of sksurv.functions.StepFunction, or None
        None if the model has no survival curves.
    """
    if not hasattr(model, "predict_survival_function"):
        return None
    try:
        return model.predict_survival_function(X)
    except ValueError:  # a model without baseline hazard, such as scikit-survival's Coxnet by default
        return None


def _values(curves, times):
    """Probabilities at the times, float array (n, m); the curves themselves refuse to be asked for none."""
    if not len(times):
        return np.empty((len(curves), 0))
    return np.array([np.atleast_1d(curve(times)) for curve in curves])
