"""Survival predictions measured under censoring: Uno's concordance, AUC and Brier score over time, fold by fold.

If one model predicted all slides, as in an external test, they are one fold, weighted by its own censoring.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.utils import check_consistent_length
from sksurv.nonparametric import CensoringDistributionEstimator, SurvivalFunctionEstimator

from sknic.evaluation.metrics import risk_of
from sknic.exceptions import DegenerateDataError
from sknic.targets import read_survival
from sknic.targets.concordance import TIED_RISK, outlived

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Times at which curves are measured: the tenths of the events' times, without the first and the last.
_SHARES = np.linspace(0.1, 0.9, 9)
_FEW_TIMES = "fewer than two event times are inside the follow-up of both sides of every fold"


class _Fold(NamedTuple):
    """Weights of the slides of a fold, from the censoring of its training part, or of itself if it is the only one."""

    rows: np.ndarray
    in_order: np.ndarray  # (n, n): 1 where the first of a pair has the higher risk, 0.5 where they are tied
    pairs: np.ndarray  # (n, n): weight of a pair whose first had its event before the second left
    ordered_pairs: np.ndarray  # (n, n): both multiplied
    cases: np.ndarray  # (n, m): weight of those who had their event until each time
    controls: np.ndarray  # (n, m): 1 for those who were seen without one after it
    controls_weight: np.ndarray  # (m,)


def evaluation_times(y: np.ndarray, fold: ArrayLike | None) -> np.ndarray:
    """Choose times inside the follow-up of the training and the test part of every fold.

    Parameters
    ----------
    y : structured array, shape (n_slides,)
        Event (bool) and time.
    fold : array-like of int, shape (n_slides,), or None
        Fold that tests each slide; its training part is all the others. None: one model predicted all slides, and
        only their own follow-up counts.

    Returns
    -------
    float array (m,)
        Up to nine event times, ascending; empty if there is none inside the follow-up of a fold.
    """
    y = read_survival(y)
    parts, event, time = _parts(y, fold), y["event"], y["time"]
    begin = max(time[is_tested].min() for is_tested, _ in parts)
    possible = np.unique(time[event & (time >= begin) & (time < _end(time, parts))])
    return np.unique(np.quantile(possible, _SHARES, method="nearest")) if len(possible) else possible


def _parts(y, fold):
    """For each fold, which slides it tests and which give their weights, as pairs of bool arrays (n_slides,)."""
    if fold is None:
        every = np.ones(len(y), bool)
        return [(every, every)]
    fold = np.asarray(fold)
    numbers = np.unique(fold)
    if len(numbers) < 2:
        raise DegenerateDataError("there is only one fold; the censoring is estimated from the other folds")
    return [(fold == number, fold != number) for number in numbers]


def _end(time, parts):
    """End of the shortest follow-up of any side of any fold."""
    return min(time[side].max() for sides in parts for side in sides)


class CensoredScores:
    """Metrics of survival predictions for any subset of rows: pairs are compared within a fold, never across folds.

    Parameters
    ----------
    y : structured array, shape (n_slides,)
        Event (bool) and time.
    risk : array-like of float, shape (n_slides,)
        Out-of-fold risks.
    fold : array-like of int, shape (n_slides,), or None
        Fold that tested each slide. The others, its training part, give the censoring distribution by which it is
        weighted. None: one model predicted all slides, and they are weighted by their own censoring.
    survival : array-like of float, shape (n_slides, m), default=None
        Out-of-fold probability of surviving each of the times, for the Brier score.
    times : array-like of float, shape (m,), default=None
        Times, ascending; by default those of :func:`evaluation_times`.
    """

    def __init__(
        self,
        y: np.ndarray,
        risk: ArrayLike,
        fold: ArrayLike | None,
        survival: ArrayLike | None = None,
        times: ArrayLike | None = None,
    ) -> None:
        self.y, risk = read_survival(y), risk_of(risk)
        check_consistent_length(self.y, risk, fold)
        parts = _parts(self.y, fold)
        self.times = evaluation_times(self.y, fold) if times is None else np.atleast_1d(np.asarray(times, float))
        if not (np.diff(self.times) > 0).all():
            raise ValueError(f"times={self.times.tolist()}: expected ascending times")
        end = _end(self.y["time"], parts)
        self._folds = [_weigh(self.y, risk, tested, weighing, self.times, end) for tested, weighing in parts]
        self._lost = -np.diff(np.r_[1.0, _left(SurvivalFunctionEstimator(), self.y, self.times)])
        no_slide = np.empty((len(self.y), len(self.times)))
        for is_tested, is_weighing in parts:
            no_slide[is_tested] = _left(SurvivalFunctionEstimator(), self.y[is_weighing], self.times)
        self._errors = None if survival is None else self._errors_of(_shares(survival, self.times))
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
            Whether to score the Kaplan-Meier curve of the weighing slides instead, which is the same for all slides.

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


def _shares(survival, times):
    """Probabilities as floats; ValueError for percentages, or for columns that are called by other times."""
    named = _times_of(survival)
    if named is not None and len(named) == len(times) and not np.allclose(named, times):
        raise ValueError(f"survival has the columns {named.tolist()}: expected the times {times.tolist()}, in order")
    shares = np.asarray(survival, dtype=float)
    if not ((shares >= -1e-6) & (shares <= 1 + 1e-6)).all():
        raise ValueError(
            f"survival contains {shares.min():g} to {shares.max():g}: expected probabilities between 0 and 1"
        )
    return shares


def _times_of(survival):
    """The times by which the columns of a table are called; None if their names are not times, or are 0, 1, 2 ..."""
    try:
        named = np.array([float(name) for name in getattr(survival, "columns", ())])
    except (TypeError, ValueError):
        return None
    return named if len(named) and not np.array_equal(named, np.arange(len(named))) else None


def _weigh(y, risk, is_tested, is_weighing, times, end):
    all_events, all_times = y["event"][is_tested], y["time"][is_tested]
    event, time = all_events[:, None], all_times[:, None]
    others = y[is_weighing]
    weight = np.zeros(event.shape)
    is_counted = event & (time < end)  # all that comes later lies outside the follow-up of a fold
    weight[is_counted] = 1 / _left(CensoringDistributionEstimator(), others, time[is_counted])
    lead = risk[is_tested][:, None] - risk[is_tested]
    in_order = np.where(np.abs(lead) <= TIED_RISK, 0.5, lead > 0)
    pairs = weight**2 * outlived(all_times, all_events, all_times)
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
