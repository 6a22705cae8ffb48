"""What does the slide add to clinical data, and clinical data to the slide?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_consistent_length

from sknic.evaluation.bootstrap import check_interval, compare
from sknic.evaluation.clinical_table import as_frame, check_clinical, clinical_model, split_columns
from sknic.evaluation.fitting import ask, risk_level, rows_of
from sknic.evaluation.folds import make_folds
from sknic.evaluation.metrics import chosen_metric, metric_name
from sknic.evaluation.results import Comparison, Estimate, format_p
from sknic.evaluation.slide_and_table import SlideAndTable
from sknic.evaluation.verdict import chance_level
from sknic.progress import followed
from sknic.targets import kind_of
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SIDES = ("table", "slide", "both")


@dataclass(frozen=True)
class AddedValue:
    """Result of :func:`added_value`: clinical data alone, the slide alone, and both, out of fold.

    Attributes
    ----------
    metric : str
        Name of the metric.
    of_slide : Comparison
        Both (`a`) against clinical data alone (`b`): what the slide adds.
    of_table : Comparison
        Both (`a`) against the slide alone (`b`): what clinical data add.
    chance : float or None
        Score of a model that has learnt nothing; None if unknown.
    predictions : DataFrame (n_slides, 3 or more)
        Out-of-fold predictions in the columns "table", "slide" and "both", with the class if there are several.
    """

    metric: str
    of_slide: Comparison
    of_table: Comparison
    chance: float | None
    predictions: pd.DataFrame

    @property
    def scores(self) -> dict[str, Estimate]:
        """Score of each side: "table", "slide" and "both"."""
        return {"table": self.of_slide.b, "slide": self.of_table.b, "both": self.of_slide.a}

    @property
    def shown(self) -> bool:
        """Whether the interval of what the slide adds is above zero, and that of both above chance.

        Clinical data that are worse than guessing, by accident, are easy to add to. Of a metric of the user it is not
        known whether higher is better, so nothing is shown.
        """
        learnt = self.chance is not None and self.scores["both"].low > self.chance
        return bool(learnt and self.of_slide.difference.low > 0)

    def __str__(self) -> str:
        gain, p_value = self.of_slide.difference, format_p(self.of_slide.p_value)
        verdict = (
            "The slide adds to clinical data" if self.shown else "It is not shown that the slide adds to clinical data"
        )
        parts = f"clinical data alone {self.scores['table']}, slide alone {self.scores['slide']}"
        scores = f"{self.metric} {self.scores['both']} with both, {parts} (difference {gain}, {p_value})"
        unknown = "; the chance level of this metric is not known" if self.chance is None else ""
        return f"{verdict}: {scores}{unknown}."


def added_value(
    estimator: SlideAndTable,
    X: pd.DataFrame,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    cv: Any = 4,
    metric: str | Callable | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int | None = 0,
    verbose: int = 0,
) -> AddedValue:
    """Measure what the slide adds to clinical data, with intervals over patients.

    In each fold three models learn from the same slides: the table model without the slide score, the slide models,
    and both together. The slide score that the table learns from is out of fold within the training part, so it never
    involves a patient of the test part; this takes as many slide models per fold as `estimator.cv` has folds.

    Parameters
    ----------
    estimator : SlideAndTable
        Model to measure; cloned, never fitted itself.
    X : DataFrame (n_slides, n_columns)
        Slides and clinical data, as the estimator takes them.
    y : array-like (n_slides,), or survival times
        Target.
    groups : array-like (n_slides,), default=None
        Patient of each slide: no patient is on both sides of a fold, and intervals resample patients.
    cv : int, splitter or iterable of (train, test), default=4
        Outer folds, as in CrossValEnsemble.
    metric : str or callable, default=None
        Metric as in :func:`sknic.evaluation.estimate`; by default the main metric for the kind of target.
    level : float, default=0.95
        Level of the intervals.
    n_resamples : int, default=1000
        Number of bootstrap resamples.
    random_state : int, default=0
        Seed of the folds and of the resamples.
    verbose : int, default=0
        1 shows progress over the folds.

    Returns
    -------
    AddedValue
        Scores, paired differences with intervals, and a sentence (`str`).

    Raises
    ------
    TypeError
        If the estimator is not a SlideAndTable.
    DegenerateDataError
        If the target cannot be cross-validated or scored.

    Examples
    --------
    >>> from sknic import GridCoxSurvival
    >>> from sknic.evaluation import SlideAndTable, added_value
    >>> print(added_value(SlideAndTable(GridCoxSurvival()), X, y, groups=patients))  # doctest: +SKIP
    """
    if not isinstance(estimator, SlideAndTable):
        raise TypeError(f"estimator={type(estimator).__name__}: expected a SlideAndTable")
    check_interval(level, n_resamples, metric)
    check_paired(X=X, y=y, groups=groups)
    X = as_frame(X)
    slides, clinical = split_columns(X, estimator.column)
    kind = kind_of(estimator.slide, y)
    kind.need_one("added_value")
    y = kind.read(y)
    check_clinical(clinical, y)
    if estimator.table is not None and not hasattr(estimator.table, kind.prediction_method):
        raise ValueError(f"the table model has no {kind.prediction_method}: expected one that has, as the slide model")
    check_consistent_length(X, y, groups)
    folds = make_folds(cv, kind, y, groups, random_state, slides)
    parts: dict[str, list] = {side: [] for side in SIDES}
    for train, test in followed(folds, "folds", shown=verbose, every=True):
        for side, prediction in _fold(estimator, kind, X, y, groups, train, test).items():
            parts[side].append(prediction)
    order = np.argsort(np.concatenate([test for _, test in folds]))
    found = {side: np.concatenate(part)[order] for side, part in parts.items()}
    metric = chosen_metric(metric, kind.metrics[0])
    classes = np.unique(y) if found["both"].ndim == 2 else None
    measured = {side: kind.for_metric(metric, prediction, classes) for side, prediction in found.items()}
    options: dict[str, Any] = {"level": level, "n_resamples": n_resamples, "random_state": random_state}
    of_slide, of_table = (
        compare(metric, y, measured["both"], measured[side], groups=groups, **options) for side in ("table", "slide")
    )
    name = metric_name(metric)
    return AddedValue(name, of_slide, of_table, chance_level(metric, y), _table_of(found, classes, X.index))


def _fold(estimator, kind, X, y, groups, train, test):
    """Predictions of the three models for the test part."""
    X_train, X_test = X.iloc[train], X.iloc[test]
    patients = None if groups is None else rows_of(np.asarray(groups), train)
    both = clone(estimator).fit(X_train, y[train], groups=patients)
    _, clinical = split_columns(X_train, estimator.column)
    slides_test, clinical_test = split_columns(X_test, estimator.column)
    table = clinical_model(kind) if estimator.table is None else clone(estimator.table)
    table.fit(clinical, y[train])
    return {
        "table": ask(table, kind, clinical_test) - risk_level(table, kind, clinical),
        "slide": ask(both.ensemble_, kind, slides_test),
        "both": ask(both, kind, X_test) - both._risk_of_training,
    }


def _table_of(found, classes, index):
    columns = {}
    for side, prediction in found.items():
        if prediction.ndim == 1:
            columns[side] = prediction
        else:
            columns |= {f"{side} {label}": column for label, column in zip(classes, prediction.T)}
    return pd.DataFrame(columns, index=index)
