"""Survival predictions measured under censoring: Uno's concordance, AUC and Brier score over time, fold by fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sksurv.nonparametric import CensoringDistributionEstimator, SurvivalFunctionEstimator

from sknic.evaluation.bootstrap import estimate_or_reason
from sknic.evaluation.results import Estimate
from sknic.exceptions import DegenerateDataError
from sknic.targets import read_survival

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Times at which curves are measured: the tenths of the events' times, without the first and the last.
_SHARES = np.linspace(0.1, 0.9, 9)
# Risks that are this close count as tied, as in scikit-survival.
_TIED = 1e-8
_FEW_TIMES = "fewer than two event times are inside the follow-up of both sides of every fold"


class _Fold(NamedTuple):
    """Weights of the slides of one fold, from the censoring of its training part."""

    rows: np.ndarray
    in_order: np.ndarray  # (n, n): 1 where the first of a pair has the higher risk, 0.5 where they are tied
    pairs: np.ndarray  # (n, n): weight of a pair whose first had its event before the second left
    ordered_pairs: np.ndarray  # (n, n): both multiplied
    cases: np.ndarray  # (n, m): weight of those who had their event until each time
    controls: np.ndarray  # (n, m): 1 for those who were seen without one after it
    controls_weight: np.ndarray  # (m,)


def evaluation_times(y: np.ndarray, fold: ArrayLike) -> np.ndarray:
    """Choose times inside the follow-up of the training and the test part of every fold.

    Parameters
    ----------
    y : structured array, shape (n_slides,)
        Event (bool) and time.
    fold : array-like of int, shape (n_slides,)
        Fold that tests each slide; its training part is all the others.

    Returns
    -------
    float array (m,)
        Up to nine event times, ascending; empty if there is none inside the follow-up of a fold.
    """
    y, fold = read_survival(y), np.asarray(fold)
    event, time = y["event"], y["time"]
    begin = max(time[fold == number].min() for number in np.unique(fold))
    possible = np.unique(time[event & (time >= begin) & (time < _end(time, fold))])
    return np.unique(np.quantile(possible, _SHARES, method="nearest")) if len(possible) else possible


def _end(time, fold):
    """End of the shortest follow-up of any side of any fold."""
    return min(time[side].max() for number in np.unique(fold) for side in (fold == number, fold != number))


class CensoredScores:
    """Metrics of survival predictions for any subset of rows: pairs are compared within a fold, never across folds.

    Parameters
    ----------
    y : structured array, shape (n_slides,)
        Event (bool) and time.
    risk : array-like of float, shape (n_slides,)
        Out-of-fold risks.
    fold : array-like of int, shape (n_slides,)
        Fold that tested each slide. The others, its training part, give the censoring distribution by which it is
        weighted.
    survival : array-like of float, shape (n_slides, m), default=None
        Out-of-fold probability of surviving each of the times, for the Brier score.
    times : array-like of float, shape (m,), default=None
        Times, ascending; by default those of :func:`evaluation_times`.
    """

    def __init__(
        self,
        y: np.ndarray,
        risk: ArrayLike,
        fold: ArrayLike,
        survival: ArrayLike | None = None,
        times: ArrayLike | None = None,
    ) -> None:
        self.y, fold, risk = read_survival(y), np.asarray(fold), np.asarray(risk, dtype=float)
        if len(np.unique(fold)) < 2:
            raise DegenerateDataError("there is only one fold; the censoring is estimated from the other folds")
        self.times = evaluation_times(self.y, fold) if times is None else np.asarray(times, dtype=float)
        end = _end(self.y["time"], fold)
        self._folds = [_weigh(self.y, risk, fold == number, self.times, end) for number in np.unique(fold)]
        self._lost = -np.diff(np.r_[1.0, _left(SurvivalFunctionEstimator(), self.y, self.times)])
        no_slide = np.empty((len(self.y), len(self.times)))
        for number in np.unique(fold):
            no_slide[fold == number] = _left(SurvivalFunctionEstimator(), self.y[fold != number], self.times)
        self._errors = None if survival is None else self._errors_of(np.asarray(survival, dtype=float))
        self._errors_without = self._errors_of(no_slide)

    def concordance(self, rows: np.ndarray) -> float:
        """Uno's concordance of risks, up to the end of the shortest follow-up.

        Parameters
        ----------
        rows : int array (k,)
            Rows to score; repeated rows count repeatedly.

        Returns
        -------
        float
            0.5 for guessing, 1 for the right order.
        """
        found = total = 0.0
        for part, count in self._counted(rows):
            found, total = found + count @ part.ordered_pairs @ count, total + count @ part.pairs @ count
        if not total:
            raise DegenerateDataError("no event happens before the end of another's follow-up in the same fold")
        return found / total

    def auc(self, rows: np.ndarray) -> np.ndarray:
        """Area under the ROC curve at each time: events until then against slides observed longer without one.

        Parameters
        ----------
        rows : int array (k,)
            Rows to score; repeated rows count repeatedly.

        Returns
        -------
        float array (m,)
            0.5 for guessing, 1 for the right order.
        """
        found, total = np.zeros(len(self.times)), np.zeros(len(self.times))
        for part, count in self._counted(rows):
            cases, controls = count[:, None] * part.cases, count[:, None] * part.controls
            found += (cases * (part.in_order @ controls)).sum(axis=0)
            total += cases.sum(axis=0) * controls.sum(axis=0)
        if not total.all():
            time = self.times[total == 0][0]
            raise DegenerateDataError(f"no fold has both an event until time {time:g} and a slide seen after it")
        return found / total

    def mean_auc(self, rows: np.ndarray) -> float:
        """Mean of `auc` over the times, each weighted by the events that it adds.

        Parameters
        ----------
        rows : int array (k,)
            Rows to score.

        Returns
        -------
        float
            0.5 for guessing, 1 for the right order.
        """
        self._need_times()
        return float(self.auc(rows) @ self._lost / self._lost.sum())

    def brier(self, rows: np.ndarray, *, reference: bool = False) -> np.ndarray:
        """Brier score at each time: mean squared error of the survival probability; lower is better.

        Parameters
        ----------
        rows : int array (k,)
            Rows to score.
        reference : bool, default=False
            Whether to score the Kaplan-Meier curve of the training part instead, which is the same for all slides.

        Returns
        -------
        float array (m,)
            0 for correct certainty, 0.25 for a probability of one half.
        """
        errors = self._errors_without if reference else self._errors
        if errors is None:
            raise DegenerateDataError("the estimator does not predict survival curves")
        return errors[rows].mean(axis=0)

    def integrated_brier(self, rows: np.ndarray, *, reference: bool = False) -> float:
        """Mean of `brier` over the time from the first to the last of the times.

        Parameters
        ----------
        rows : int array (k,)
            Rows to score.
        reference : bool, default=False
            As in `brier`.

        Returns
        -------
        float
            Lower is better; `reference=True` gives the score of a prediction that ignores the slides.
        """
        self._need_times()
        scores = self.brier(rows, reference=reference)
        return float(np.trapezoid(scores, self.times) / (self.times[-1] - self.times[0]))

    def _need_times(self):
        if len(self.times) < 2:
            raise DegenerateDataError(_FEW_TIMES)

    def _counted(self, rows):
        """Each fold, and how often each of its slides is among the rows."""
        counts = np.bincount(rows, minlength=len(self.y)).astype(float)
        return [(part, counts[part.rows]) for part in self._folds]

    def _errors_of(self, survival):
        """Squared error of each probability, weighted for censoring; float array (n_slides, m)."""
        if survival.shape != (len(self.y), len(self.times)):
            raise ValueError(f"survival has shape {survival.shape}; expected {(len(self.y), len(self.times))}")
        errors = np.empty(survival.shape)
        for part in self._folds:
            said = survival[part.rows]
            errors[part.rows] = said**2 * part.cases + (1 - said) ** 2 * part.controls * part.controls_weight
        return errors


def _weigh(y, risk, is_tested, times, end):
    event, time = (y[name][is_tested][:, None] for name in ("event", "time"))
    others = y[~is_tested]
    weight = np.zeros(event.shape)
    is_counted = event & (time < end)  # all that comes later lies outside the follow-up of a fold
    weight[is_counted] = 1 / _left(CensoringDistributionEstimator(), others, time[is_counted])
    is_before = (time < time.T) | ((time == time.T) & ~event.T)
    lead = risk[is_tested][:, None] - risk[is_tested]
    in_order, pairs = np.where(np.abs(lead) <= _TIED, 0.5, lead > 0), weight**2 * is_before
    return _Fold(
        np.flatnonzero(is_tested),
        in_order,
        pairs,
        pairs * in_order,
        weight * (time <= times),
        (time > times).astype(float),
        1 / _left(CensoringDistributionEstimator(), others, times),
    )


def _left(estimator, y, times):
    """Share that is left at each time, of all or of those not yet censored; scikit-survival needs at least one time."""
    return estimator.fit(y).predict_proba(times) if len(times) else np.empty(0)


def survival_scores(
    y: np.ndarray,
    risk: ArrayLike,
    fold: ArrayLike,
    survival: ArrayLike | None = None,
    times: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | np.random.RandomState = 0,
) -> dict[str, Estimate]:
    """Score out-of-fold survival predictions under censoring, with intervals over patients.

    Each fold is weighted by the censoring of its training part, and pairs are compared within a fold, because risks
    of different models have no common scale. Times are inside the follow-up of both sides of every fold.

    Parameters
    ----------
    y : structured array, shape (n_slides,)
        Event (bool) and time.
    risk : array-like of float, shape (n_slides,)
        Out-of-fold risks.
    fold : array-like of int, shape (n_slides,)
        Fold that tested each slide.
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
        "kaplan_meier_brier", the score of the training part's Kaplan-Meier curve; NaN with the reason if one cannot be
        computed.
    """
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
    if not hasattr(model, "predict_survival_function"):
        return None
    try:
        return np.array([np.atleast_1d(curve(times)) for curve in model.predict_survival_function(X)])
    except ValueError:  # a model without baseline hazard, such as scikit-survival's Coxnet by default
        return None
