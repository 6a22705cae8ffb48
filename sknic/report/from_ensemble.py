"""Make a RunFolder from a cross-validation: its predictions, how good they are, and what the models looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sknic import saliency
from sknic.evaluation.bootstrap import estimate_metrics
from sknic.files.names import unique_names
from sknic.plotting import overlay
from sknic.report.run_folder import SURVIVAL_AT, RunFolder
from sknic.report.slides import best_and_worst

if TYPE_CHECKING:
    from sknic.evaluation import CrossValEnsemble


def run_of_ensemble(
    ensemble: CrossValEnsemble,
    slides: Sequence[str],
    *,
    record: dict,
    errors: dict[str, str] | None = None,
    digests: Sequence[str] | None = None,
    n_resamples: int = 1000,
) -> RunFolder:
    """Collect the out-of-fold predictions of an ensemble, their metrics, the verdict and the training history.

    Parameters
    ----------
    ensemble : CrossValEnsemble
        Fitted on grids, or on slides through a pipeline that ends in a grid estimator.
    slides : sequence of str
        Path of each slide that it was fitted on.
    record : dict
        Content of run.json.
    errors : dict of str to str, default=None
        Slides that were left out, and why.
    digests : sequence of str, default=None
        Digest of each slide; empty if unknown.
    n_resamples : int, default=1000
        Number of resamples per interval.

    Returns
    -------
    RunFolder
        The evaluation, without pictures.
    """
    kind = ensemble.kind_
    kind.need_one("a report")
    columns: dict[str, Any] = {"slide": list(slides)} | ({} if digests is None else {"digest": list(digests)})
    columns["fold"] = ensemble.fold_
    if ensemble.groups_ is not None:
        columns["patient"] = ensemble.groups_
    y, prediction, classes = ensemble.y_, ensemble.oof_prediction_, getattr(ensemble, "classes_", None)
    columns |= kind.columns(y, prediction, classes)
    times, survival = ensemble.survival_times_, ensemble.oof_survival_
    if times is not None and survival is not None:
        columns |= {f"{SURVIVAL_AT}{time:.15g}": of_time for time, of_time in zip(times, survival.T)}
    if ensemble.oof_spread_ is not None:
        columns["spread"] = ensemble.oof_spread_
    metrics = estimate_metrics(kind, y, prediction, classes, groups=ensemble.groups_, n_resamples=n_resamples)
    metrics |= ensemble.oof_survival_scores(n_resamples=n_resamples)
    histories = [pd.DataFrame(last(model).history_).assign(fold=k) for k, model in enumerate(ensemble.estimators_)]
    return RunFolder(
        kind.name,
        pd.DataFrame(columns),
        metrics,
        pd.concat(histories, ignore_index=True),
        record,
        errors=dict(errors or {}),
        verdict=ensemble.oof_verdict(n_resamples=n_resamples),
    )


def with_overlays(run: RunFolder, ensemble: CrossValEnsemble, grids: Sequence[Any]) -> RunFolder:
    """Add saliency over the thumbnails of the slides predicted best and worst, by the model that had not seen them.

    Parameters
    ----------
    run : RunFolder
        Evaluation.
    ensemble : CrossValEnsemble
        Ensemble that was evaluated.
    grids : sequence of Grid
        Grid of each slide; grids whose slide is not available are left out.

    Returns
    -------
    RunFolder
        The same with pictures.
    """
    grids = list(grids)  # of a Series, too, by the number of the row
    overlays, names = {}, unique_names(run.predictions["slide"])
    for row in np.concatenate(best_and_worst(run)):
        grid = grids[row]
        if grid.n_cells and grid.slide and Path(grid.slide).exists():
            heat = saliency.grad_cam(last(ensemble.estimators_[ensemble.fold_[row]]), grid)
            overlays[names[run.predictions["slide"][row]]] = overlay(grid.slide, heat, grid, max_size=640)
    return replace(run, overlays=overlays)


def last(model):
    """The grid estimator itself, if it is the last step of a pipeline."""
    return model[-1] if hasattr(model, "steps") else model
