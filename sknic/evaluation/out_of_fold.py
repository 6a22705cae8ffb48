"""How good the out-of-fold predictions of a CrossValEnsemble are: pooled, fold by fold, and in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknic.evaluation.bootstrap import estimate
from sknic.evaluation.card import ensemble_card
from sknic.evaluation.metrics import chosen_metric
from sknic.evaluation.survival_scores import survival_scores
from sknic.evaluation.verdict import Verdict, judge, value_or_nan

if TYPE_CHECKING:
    from sknic.evaluation.results import Estimate


class OutOfFold:
    """The scores of an ensemble that keeps its predictions for slides that its models had not seen."""

    kind_: Any
    y_: Any
    fold_: np.ndarray
    groups_: np.ndarray | None
    estimators_: list[Any]
    oof_prediction_: np.ndarray
    baseline_prediction_: np.ndarray | None
    baseline_reason_: str
    survival_times_: np.ndarray | None
    oof_survival_: np.ndarray | None

    def _html_repr(self):
        """What scikit-learn shows in a notebook, preceded by the scores once the ensemble is fitted."""
        diagram = super()._html_repr()
        return f"{ensemble_card(self)}{diagram}" if hasattr(self, "oof_prediction_") else diagram

    def oof_score(
        self,
        metric: str | Callable | None = None,
        *,
        target: int | None = None,
        level: float = 0.95,
        n_resamples: int = 1000,
        random_state: int | np.random.RandomState = 0,
    ) -> Estimate:
        """Score the out-of-fold predictions, with an interval that resamples patients.

        Parameters
        ----------
        metric : str, callable or None
            As in :func:`sknic.evaluation.estimate`; None is accuracy, R2 or concordance.
        target : int or None
            Number of the target to score alone, if there are several; None scores all, which is mostly their mean.
        level, n_resamples, random_state
            As in :func:`sknic.evaluation.estimate`.

        Returns
        -------
        Estimate
        """
        check_is_fitted(self)
        metric = chosen_metric(metric, self.kind_.score_metric)
        rows, y, (prediction, _) = self._measured(metric, target)
        options: dict[str, Any] = {"level": level, "n_resamples": n_resamples, "random_state": random_state}
        return estimate(metric, y, prediction, groups=self._groups_of(rows), **options)

    def fold_scores(self, metric: str | Callable | None = None, *, target: int | None = None) -> np.ndarray:
        """Score each fold alone, because risks and scores of different models have no common scale.

        Parameters
        ----------
        metric : str, callable or None
            As in :func:`sknic.evaluation.estimate`; None is the main metric for the kind of target.
        target : int or None
            As in `oof_score`.

        Returns
        -------
        float ndarray, shape (n_folds,)
            NaN for a fold on which the metric is undefined, for instance with a single class.
        """
        check_is_fitted(self)
        metric = chosen_metric(metric, self.kind_.metrics[0])
        rows, y, (prediction, _) = self._measured(metric, target)
        y, of_rows = np.asarray(y), self.fold_[rows]
        folds = [of_rows == number for number in range(len(self.estimators_))]
        return np.array([value_or_nan(metric, y[fold], prediction[fold]) for fold in folds])

    @property
    def oof_score_(self) -> float:
        """Mean of the defined `fold_scores`; `oof_score` pools the folds instead."""
        scores = self.fold_scores()
        return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")

    def oof_verdict(
        self,
        metric: str | Callable | None = None,
        *,
        target: int | None = None,
        level: float = 0.95,
        n_resamples: int = 1000,
        random_state: int | np.random.RandomState = 0,
    ) -> Verdict:
        """Judge the out-of-fold predictions: learnt, not shown, or no better than the baseline.

        Parameters
        ----------
        metric : str, callable or None
            As in :func:`sknic.evaluation.estimate`; None is the main metric for the kind of target.
        target : int or None
            As in `oof_score`.
        level, n_resamples, random_state
            As in :func:`sknic.evaluation.estimate`.

        Returns
        -------
        Verdict
            Score, chance level, paired comparison with the baseline by patient, and a sentence (`str`).
        """
        metric = chosen_metric(metric, self.kind_.metrics[0])
        rows, y, predictions = self._measured(metric, target)
        options: dict[str, Any] = {"level": level, "n_resamples": n_resamples, "random_state": random_state}
        found = judge(metric, y, *predictions, groups=self._groups_of(rows), **options)
        reason = self.baseline_reason_ or found.reason
        return replace(found, reason=reason, fold_scores=tuple(self.fold_scores(metric, target=target).tolist()))

    def oof_survival_scores(
        self, *, level: float = 0.95, n_resamples: int = 1000, random_state: int | np.random.RandomState = 0
    ) -> dict[str, Estimate]:
        """Score survival under censoring: Uno's concordance, AUC and Brier score over time, within each fold.

        Parameters
        ----------
        level, n_resamples, random_state
            As in :func:`sknic.evaluation.estimate`.

        Returns
        -------
        dict of str to Estimate
            As :func:`sknic.evaluation.survival_scores`; empty if the target is not survival.
        """
        check_is_fitted(self)
        if self.survival_times_ is None:
            return {}
        options: dict[str, Any] = {"level": level, "n_resamples": n_resamples, "random_state": random_state}
        predicted = (self.oof_prediction_, self.fold_, self.oof_survival_, self.survival_times_)
        return survival_scores(self.y_, *predicted, groups=self.groups_, **options)

    def _measured(self, metric, target):
        """Rows, truth, and the predictions of model and baseline (or None) in the form that the metric takes."""
        predictions = [
            None if prediction is None else self._for_metric(metric, prediction)
            for prediction in (self.oof_prediction_, self.baseline_prediction_)
        ]
        if target is None:
            return np.arange(len(self.fold_)), self.y_, predictions
        return self.kind_.column(target, self.y_, *predictions)

    def _groups_of(self, rows):
        return None if self.groups_ is None else self.groups_[rows]

    def _for_metric(self, metric, prediction):
        return self.kind_.for_metric(metric, prediction, getattr(self, "classes_", None))
