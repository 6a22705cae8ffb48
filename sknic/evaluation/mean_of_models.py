"""The mean of several fitted models as one model: labels, probabilities, numbers, risks and survival curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sknic.estimators.members import spread_between
from sknic.evaluation.calibration import at_temperature
from sknic.evaluation.delegation import available_if_inner_has
from sknic.evaluation.fitting import mean_step_function
from sknic.evaluation.run_once import ModelsRun, run_once
from sknic.evaluation.survival_calibration import Recalibration


class MeanOfModels:
    """The predictions of an ensemble for slides that none of its models has seen."""

    kind_: Any
    estimator: Any
    estimators_: list[Any]
    temperature_: float
    recalibration_: Recalibration | None

    @property
    def classes_(self) -> np.ndarray:
        """Labels in the order of the columns of `predict_proba`."""
        return self._first_model.classes_

    @property
    def _first_model(self):
        if not hasattr(self, "estimators_"):
            raise AttributeError("this CrossValEnsemble is not fitted yet")
        return self.estimators_[0]

    @property
    def _inner(self):
        """A model whose methods those of the mean follow."""
        return self.estimators_[0] if hasattr(self, "estimators_") else self.estimator

    def predict(self, X: Any) -> np.ndarray:
        """Predict with the mean of the fold models.

        Parameters
        ----------
        X : sequence of n_slides

        Returns
        -------
        ndarray, shape (n_slides,) or (n_slides, n_outputs)
            The label with the highest mean probability (or with the most votes if there are no probabilities), the
            mean number or the mean risk.
        """
        check_is_fitted(self)
        kind = self.kind_
        if hasattr(self.estimators_[0], kind.prediction_method):
            return kind.labels(self._mean(kind.prediction_method, X), getattr(self, "classes_", None))
        votes = np.array(self._each("predict", X))
        return self.classes_[(votes[:, :, None] == self.classes_).sum(axis=0).argmax(axis=1)]

    @available_if_inner_has("predict_proba")
    def predict_proba(self, X: Any) -> np.ndarray:
        """Mean of the folds' probabilities, at `temperature_`; shape (n_slides, n_classes)."""
        check_is_fitted(self)
        mean = self._mean("predict_proba", X)
        return mean if self.temperature_ == 1 else at_temperature(mean, self.temperature_)

    def run_networks(self, X: Any) -> ModelsRun:
        """Run the networks of all models once, for several predictions.

        Parameters
        ----------
        X : sequence of n_slides

        Returns
        -------
        ModelsRun
            All methods that predict take it in place of X, and return the same without running the networks again.
        """
        check_is_fitted(self)
        if not isinstance(X, ModelsRun):
            return ModelsRun(self.estimators_, [run_once(model, X) for model in self.estimators_])
        if X.models is not self.estimators_:
            raise ValueError(f"X: expected slides, or outputs of this {type(self).__name__}'s own models")
        return X

    def predict_spread(self, X: Any) -> np.ndarray:
        """Measure how far the fold models are apart: the more they disagree, the less reliable is their mean.

        Parameters
        ----------
        X : sequence of n_slides

        Returns
        -------
        float array (n_slides,)
            Standard deviation over the models of the predicted class's probability, of the number, or of the log
            risk; of several targets, its mean. The models share most of their training slides, so it is smaller than
            the total uncertainty.
        """
        check_is_fitted(self)
        found = np.array(self._each(self.kind_.prediction_method, X))
        return spread_between(found, of_winner=found.ndim == 3 and self.kind_.picks_one)

    @available_if_inner_has("predict_survival_function")
    def predict_survival_function(self, X: Any) -> np.ndarray:
        """Mean of the folds' survival functions, corrected by `recalibration_`; an object array of StepFunction."""
        check_is_fitted(self)
        curves = self._mean_step("predict_survival_function", X)
        return curves if self.recalibration_ is None else self.recalibration_.curves(curves)

    @available_if_inner_has("predict_cumulative_hazard_function")
    def predict_cumulative_hazard_function(self, X: Any) -> np.ndarray:
        """Mean of the folds' cumulative hazards, corrected by `recalibration_`; an object array of StepFunction."""
        check_is_fitted(self)
        if self.recalibration_ is None:
            return self._mean_step("predict_cumulative_hazard_function", X)
        X = self.run_networks(X)
        hazards = self._mean_step("predict_cumulative_hazard_function", X)
        return self.recalibration_.hazards(hazards, self._mean_step("predict_survival_function", X))

    def _each(self, method, X):
        """What each model says, in a list; risks relative to the mean slide of each model's training."""
        parts = self.run_networks(X).parts if isinstance(X, ModelsRun) else [(model, X) for model in self.estimators_]
        found = [getattr(model, method)(own) for model, own in parts]
        if method != "predict" or not self.kind_.has_model_scale:
            return found
        return [risk - level for risk, level in zip(found, self.risk_levels_)]

    def _mean(self, method, X):
        return np.mean(self._each(method, X), axis=0)

    def _mean_step(self, method, X):
        by_model = self._each(method, X)
        functions = np.empty(len(by_model[0]), dtype=object)
        for row, of_slide in enumerate(zip(*by_model)):
            functions[row] = mean_step_function(of_slide)
        return functions
