"""Verify an evaluation: its splits, metrics and predictions are computed again from its table and its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sknic.evaluation import Estimate, survival_scores
from sknic.evaluation.bootstrap import estimate_metrics
from sknic.evaluation.run_once import run_once
from sknic.evaluation.survival_scores import survival_at
from sknic.report.card_facts import n_folds_by

if TYPE_CHECKING:
    from sknic.evaluation import CrossValEnsemble
    from sknic.report.run_folder import RunFolder

# Share of the range of the predictions by which machines may differ.
_TOLERANCE = 1e-3


class Finding(NamedTuple):
    """Result of one check.

    Attributes
    ----------
    what : str
        What was checked.
    is_right : bool or None
        None if it could not be checked.
    text : str
        The result in words.
    """

    what: str
    is_right: bool | None
    text: str


def check_splits(run: RunFolder) -> Finding:
    """Check that no patient, slide or digest was tested in two folds, and so was in the training part when tested.

    Parameters
    ----------
    run : RunFolder
        Evaluation.

    Returns
    -------
    Finding
        The first name that is in two folds, if there is one.
    """
    table = run.predictions
    if "fold" not in table:
        return Finding("splits", None, "the predictions do not state their folds")
    folds_of = {column: n_folds_by(table, column) for column in ("patient", "slide", "digest")}
    columns = [column for column, folds in folds_of.items() if len(folds)]
    for column in columns:
        folds = folds_of[column]
        if (folds > 1).any():
            both = folds.index[folds > 1]
            return Finding("splits", False, f"{len(both)} in two folds, by {column}, for instance {both[0]!r}")
    return Finding("splits", True, f"no {' and no '.join(columns)} is in two of {table['fold'].nunique()} folds")


def check_metrics(run: RunFolder) -> Finding:
    """Check every metric and interval against those of the predictions.

    Parameters
    ----------
    run : RunFolder
        Evaluation.

    Returns
    -------
    Finding
        Every metric that differs.
    """
    again = measure(run)
    wrong = [
        f"{name} is {found}, but the predictions give {again.get(name, 'no such metric')}"
        for name, found in run.metrics.items()
        if name not in again or not _is_same(found, again[name])
    ]
    wrong += [f"{name} is missing, but the predictions give {again[name]}" for name in again if name not in run.metrics]
    return Finding(
        "metrics", not wrong, "; ".join(wrong) or f"{len(again)} and their intervals follow from the predictions"
    )


def measure(run: RunFolder) -> dict[str, Estimate]:
    """Score the predictions of a folder as `sknic evaluate` does.

    Parameters
    ----------
    run : RunFolder
        Evaluation.

    Returns
    -------
    dict of str to Estimate
        By name of the metric.
    """
    kind, (y, prediction, classes) = run.kind, run.for_metrics
    options = {"groups": run.patients, "n_resamples": run.record.get("settings", {}).get("bootstrap", 1000)}
    found = estimate_metrics(kind, y, prediction, classes, **options)
    if not (kind.is_censored and "fold" in run.predictions):
        return found
    survival = run.survival.to_numpy(float) if run.survival_times else None
    curves = (survival, run.survival_times if survival is not None else None)
    return found | survival_scores(y, prediction, run.predictions["fold"], *curves, **options)


def check_predictions(run: RunFolder, ensemble: CrossValEnsemble, grids: np.ndarray) -> Finding:
    """Predict each slide again with the model of its fold.

    Parameters
    ----------
    run : RunFolder
        Evaluation.
    ensemble : CrossValEnsemble
        Its models.
    grids : object array of n_slides Grids
        Grid of each row of the predictions; None if it is not available.

    Returns
    -------
    Finding
        How many predictions are the same, and the first one that differs.
    """
    at_hand = np.array([grid is not None for grid in grids])
    if not at_hand.any():
        return Finding("predictions", None, "not computed again: no grid of these slides is available")
    table = run.predictions
    said, again = _said(run), np.full(_said(run).shape, np.nan)
    for fold, model in enumerate(ensemble.estimators_):
        rows = np.flatnonzero(at_hand & (table["fold"] == fold).to_numpy())
        if len(rows):
            again[rows] = _predicted(run, model, grids[rows])
    allowed = _TOLERANCE * np.ptp(said, axis=0) + 1e-6
    is_other = at_hand & ~(np.abs(said - again) <= allowed).all(axis=1)
    digests = [None if grid is None else grid.header.slide_digest for grid in grids]
    known = table["digest"] if "digest" in table else [""] * len(table)
    of_other = [bool(new and old and new != old) for new, old in zip(digests, known)]
    counted = f"{at_hand.sum()} of {len(table)}"
    if any(of_other):
        slide = table["slide"][of_other.index(True)]
        return Finding("predictions", False, f"{sum(of_other)} grids belong to other slides, for instance {slide!r}")
    if is_other.any():
        slide = table["slide"][is_other.argmax()]
        return Finding(
            "predictions", False, f"{is_other.sum()} of {at_hand.sum()} differ, for instance that of {slide!r}"
        )
    return Finding("predictions", True, f"{counted} computed again by the model of their fold, and the same")


def _said(run):
    """The predictions of each slide, as columns of numbers."""
    prediction = run.kind.prediction_of(run.predictions, _classes(run))
    return np.column_stack([prediction, run.survival.to_numpy(float)])


def _predicted(run, model, grids):
    model, outputs = run_once(model, grids)
    prediction = getattr(model, run.kind.prediction_method)(outputs)
    times = np.array(run.survival_times)
    survival = survival_at(model, outputs, times) if len(times) else np.empty((len(grids), 0))
    return np.column_stack([prediction, survival])


def _classes(run):
    return np.array(run.classes) if run.kind.text_columns else None


def _is_same(first, second):
    numbers = ("value", "low", "high", "level", "n")
    a, b = (np.array([getattr(side, name) for name in numbers], float) for side in (first, second))
    return np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True)
