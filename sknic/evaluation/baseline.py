"""The simple baseline for a network on grids: a linear model of a slide's mean embedding, which ignores arrangement."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from sksurv.linear_model import CoxnetSurvivalAnalysis

from sknic.targets import Classification, Regression, Survival, Target


class MeanEmbedding(TransformerMixin, BaseEstimator):
    """Convert grids to a table with the mean embedding of each slide's tissue.

    Attributes
    ----------
    n_features_in_ : int
        Length C of an embedding.
    provenance_ : dict or None
        Encoder, um/px, patch size and stride of the training grids; None for arrays, which do not have them.
    """

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the grids and keep what they have in common.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.
        y : object, default=None
            Not used.

        Returns
        -------
        self : MeanEmbedding
            Fitted transformer.
        """
        self._read(X, reset=True)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Average the embeddings of each grid; background does not count.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids as in `fit`.

        Returns
        -------
        float64 array (n, C)
            Mean embeddings; 0 for an array without tissue.
        """
        check_is_fitted(self, "n_features_in_")
        grids = self._read(X, reset=False)
        totals = [np.asarray(grid.embeddings).sum(axis=0, dtype=np.float64) for grid in grids]
        return np.array([total / max(1, len(grid.cells)) for total, grid in zip(totals, grids)])

    def _read(self, X, *, reset):
        from sknic.estimators.reading import read_grids  # loads torch, which measuring does not need

        return read_grids(self, X, reset=reset)


class OnePerTarget(BaseEstimator):
    """A linear model for each of several targets, fitted on the slides whose label is known.

    Parameters
    ----------
    model : estimator
        Model of one target; cloned for each.

    Attributes
    ----------
    models_ : list of estimators
        One per target.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """Fit a model per column of y (n, n_targets), in which NaN is missing, with a weight for each slide (n,)."""
        weights = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)
        self.models_ = []
        for column in y.T:
            known = ~np.isnan(column)
            self.models_.append(clone(self.model).fit(X[known], column[known], sample_weight=weights[known]))
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Numbers of all targets, float (n, n_targets)."""
        return np.column_stack([model.predict(X) for model in self.models_])

    @available_if(lambda self: hasattr(self.model, "predict_proba"))
    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probability of each label, float (n, n_labels)."""
        return np.column_stack([model.predict_proba(X)[:, 1] for model in self.models_])


# By kind of target; a kind that is not here has no baseline.
_LINEAR_MODELS = {
    Regression.name: lambda: RidgeCV(np.logspace(-2, 4, 13)),
    Classification.name: lambda: LogisticRegression(C=0.05, class_weight="balanced", max_iter=2000),
    Survival.name: lambda: CoxnetSurvivalAnalysis(alphas=[0.1], l1_ratio=0.01),
}


def linear_baseline(kind: Target) -> Pipeline | None:
    """Return the unfitted baseline for a kind of target.

    Parameters
    ----------
    kind : sknic.targets.Target
        Kind of the target.

    Returns
    -------
    Pipeline or None
        Standardized mean embedding, and a ridge, logistic or Cox regression, one per target if there are several; None
        for a user-defined kind.
    """
    name = kind.single or kind.name
    if name not in _LINEAR_MODELS:
        return None
    model = _LINEAR_MODELS[name]()
    return make_pipeline(MeanEmbedding(), StandardScaler(), OnePerTarget(model) if kind.single else model)
