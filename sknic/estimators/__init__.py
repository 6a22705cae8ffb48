"""Slide-level models: a network on grids behind scikit-learn's classifier, regressor and survival model."""

from sknic.estimators.base import GridEstimator
from sknic.estimators.classifier import GridCNNClassifier
from sknic.estimators.files import load_estimator
from sknic.estimators.network import AttentionMIL, GridCNN
from sknic.estimators.regressor import GridCNNRegressor
from sknic.estimators.survival import GridCoxSurvival

__all__ = [
    "AttentionMIL",
    "GridCNN",
    "GridCNNClassifier",
    "GridCNNRegressor",
    "GridCoxSurvival",
    "GridEstimator",
    "load_estimator",
]
