"""Run the networks of a model once for all that is asked of it: predictions, curves, the spread of its members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline


@dataclass(frozen=True, eq=False)
class ModelsRun:
    """What the networks of several models say of the same slides.

    Attributes
    ----------
    models : list of fitted estimators
        The models.
    parts : list of (model, X)
        For each, what `run_once` returns.
    """

    models: list
    parts: list

    @property
    def distances(self) -> np.ndarray | None:
        """Highest distance of each slide from the models' training slides; None if a model does not know it."""
        found = [getattr(said, "distances", None) for _, said in self.parts]
        known = [each for each in found if each is not None]
        return np.max(known, axis=0) if len(known) == len(found) else None


def run_once(model: Any, X: Any) -> tuple[Any, Any]:
    """Run the networks of a model, so that it can be asked for several predictions.

    Parameters
    ----------
    model : fitted estimator, pipeline or search
        Model that predicts.
    X : sequence of n_slides
        Slides to predict.

    Returns
    -------
    model : fitted estimator
        The last step of a pipeline, or the best estimator of a search; it predicts what `model` predicts for the
        slides, from the second value.
    X : NetworkOutputs or ModelsRun, or array-like
        What its networks say; the input of this step if it has no networks.
    """
    model = getattr(model, "best_estimator_", model)
    if isinstance(model, Pipeline):
        return run_once(model[-1], model[:-1].transform(X) if len(model) > 1 else X)
    return model, model.run_networks(X) if hasattr(model, "run_networks") else X


def has_spread(model: Any) -> bool:
    """Tell whether a fitted model has several networks, or fold models, that can disagree.

    Parameters
    ----------
    model : fitted estimator
        Not a pipeline or a search; `run_once` returns their estimator.

    Returns
    -------
    bool
        Whether `predict_spread` measures something.
    """
    return hasattr(model, "predict_spread") and len(getattr(model, "estimators_", getattr(model, "nets_", ()))) > 1
