"""Slide-level models: a network on grids behind scikit-learn's classifier, regressor and survival model."""

from sknic.estimators.base import GridEstimator
from sknic.estimators.classifier import GridCNNClassifier
from sknic.estimators.files import load_estimator
from sknic.estimators.network import AttentionMIL, GridCNN
from sknic.estimators.parameters import PAPER_RECIPE
from sknic.estimators.regressor import GridCNNRegressor
from sknic.estimators.survival import GridCoxSurvival

__all__ = [
    "PAPER_RECIPE",
    "AttentionMIL",
    "GridCNN",
    "GridCNNClassifier",
    "GridCNNRegressor",
    "GridCoxSurvival",
    "GridEstimator",
    "load_estimator",
]


def estimator_for(kind):
    """Return the grid estimator class that learns the kind of target of that name."""
    classes = (GridCNNRegressor, GridCNNClassifier, GridCoxSurvival)
    return {cls.target_kind: cls for cls in classes}[kind]
