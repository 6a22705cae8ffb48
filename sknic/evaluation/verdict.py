"""The verdict of a cross-validation: better than chance, better than a simple baseline, or not shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from sknic.evaluation.bootstrap import compare, estimate_or_reason
from sknic.evaluation.metrics import accuracy, get_metric, metric_name
from sknic.evaluation.results import Comparison, Estimate
from sknic.exceptions import DegenerateDataError

LEARNT, NOT_SHOWN, NO_BETTER = "learnt", "not shown", "no better than the baseline"


@dataclass(frozen=True)
class Verdict:
    """A score, compared with the chance level and with mean embedding and a linear model.

    Attributes
    ----------
    metric : str
        Name of the metric.
    score : Estimate
        Score of the pooled out-of-fold predictions.
    chance : float or None
        Score of a model that has learnt nothing; None for a user-defined metric.
    comparison : Comparison or None
        The model against the baseline, on the same folds and patients; None without one.
    reason : str
        Why there is no baseline.
    fold_scores : tuple of float
        Score of each fold alone; NaN if undefined.
    """

    metric: str
    score: Estimate
    chance: float | None
    comparison: Comparison | None
    reason: str = ""
    fold_scores: tuple[float, ...] = ()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Rebuild a verdict from the output of `dataclasses.asdict`; None stands for NaN.

        Parameters
        ----------
        values : dict
            Fields, with dicts for the estimates.

        Returns
        -------
        Verdict
            The same as before.
        """
        comparison = values["comparison"]
        if comparison is not None:
            parts = {name: _estimate(comparison[name]) for name in ("a", "b", "difference")}
            comparison = Comparison(**{**comparison, **parts})
        folds = tuple(math.nan if score is None else score for score in values["fold_scores"])
        found = {**values, "score": _estimate(values["score"]), "comparison": comparison, "fold_scores": folds}
        return cls(**found)

    @property
    def outcome(self) -> str:
        """ "learnt", "not shown" or "no better than the baseline"."""
        if self.chance is None or not self.score.low > self.chance:
            return NOT_SHOWN
        if self.comparison is not None and not self.comparison.difference.low > 0:
            return NO_BETTER
        return LEARNT

    @property
    def mean_of_folds(self) -> float:
        """Mean of the defined fold scores; NaN if there are none."""
        known = [score for score in self.fold_scores if not math.isnan(score)]
        return float(np.mean(known)) if known else math.nan

    def __str__(self) -> str:
        text = f"{self.outcome.capitalize()}: {self.metric} {self.score}"
        if self.chance is None:
            return f"{text}; the chance level of this metric is not known."
        chance = f"chance, {self.chance:.3g}"
        if self.outcome == NOT_SHOWN:
            if math.isnan(self.score.low):
                return f"{text}; chance is {self.chance:.3g}."
            below = self.score.high < self.chance
            return f"{text} {'lies below' if below else 'contains'} {chance}."
        text = f"{text} lies above {chance}"
        if self.comparison is None:
            return f"{text}; there is no baseline to compare with ({self.reason})."
        baseline, difference = self.comparison.b, self.comparison.difference
        rival = f"{text}; mean embedding and a linear model reach {baseline.value:.3f}"
        if baseline.value <= self.chance:
            # A rival that fails is easily beaten: the difference to it would flatter the model.
            return f"{rival}, no better than chance, so only chance counts."
        return f"{rival}, difference {difference}."


def _estimate(values):
    return Estimate(**{name: math.nan if value is None else value for name, value in values.items()})


def chance_level(metric: str | Callable, y: np.ndarray) -> float | None:
    """Return the average score of a model that has learnt nothing.

    Parameters
    ----------
    metric : str or callable
        Metric as in :func:`sknic.evaluation.estimate`.
    y : array (n,) or (n, n_outputs)
        Target, for the metrics whose chance level depends on the classes.

    Returns
    -------
    float or None
        None for a callable, whose chance level is unknown.
    """
    fixed = {"spearman": 0.0, "r2": 0.0, "auc": 0.5, "concordance": 0.5}
    if metric == "accuracy" and np.ndim(y) == 2:
        return _best_constant_combination(y)
    if metric == "balanced_accuracy" and np.ndim(y) == 2:
        return 0.5
    if metric in ("accuracy", "balanced_accuracy"):
        counts = np.unique(y, return_counts=True)[1]
        return float(counts.max() / counts.sum() if metric == "accuracy" else 1 / len(counts))
    return None if callable(metric) else fixed[metric]


def _best_constant_combination(y):
    """Highest accuracy of one combination of several labels for all slides, found among those of the slides."""
    most_frequent = np.array([_most_frequent(column[~np.isnan(column)]) for column in y.T])
    combinations = np.unique(np.vstack([most_frequent, np.where(np.isnan(y), most_frequent, y)]), axis=0)
    return max(accuracy(y, np.broadcast_to(row, y.shape)) for row in combinations)


def _most_frequent(labels):
    values, counts = np.unique(labels, return_counts=True)
    return values[counts.argmax()] if len(values) else np.nan


def judge(metric, y_true, prediction, baseline, *, groups, level, n_resamples, random_state):
    """Score a prediction, and compare it with a baseline if there is one.

    Parameters
    ----------
    metric : str or callable
        Metric as in :func:`sknic.evaluation.estimate`.
    y_true : array (n,) or (n, n_outputs)
        Target.
    prediction, baseline : array (n,) or (n, k)
        Predictions as the metric takes them; the second may be None.
    groups, level, n_resamples, random_state
        As in :func:`sknic.evaluation.estimate`.

    Returns
    -------
    Verdict
        Without values, but with the reason, if the metric is undefined.
    """
    options = {"groups": groups, "level": level, "n_resamples": n_resamples, "random_state": random_state}
    name = metric_name(metric)
    comparison, reason = None, ""
    score = estimate_or_reason(metric, y_true, prediction, **options)
    if baseline is not None:
        try:
            comparison = compare(metric, y_true, prediction, baseline, **options)
        except DegenerateDataError as error:
            reason = str(error)
    return Verdict(name, score, chance_level(metric, y_true), comparison, reason)


def value_or_nan(metric, y_true, prediction):
    """Value of a metric; NaN if it is undefined on these slides."""
    try:
        return float(get_metric(metric)(y_true, prediction))
    except DegenerateDataError:
        return math.nan
