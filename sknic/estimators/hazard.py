"""From risks to curves: Breslow's baseline hazard, and the survival of each slide that follows from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sksurv.base import SurvivalAnalysisMixin
from sksurv.functions import StepFunction
from sksurv.linear_model.coxph import BreslowEstimator


class HazardCurves(SurvivalAnalysisMixin):
    """What a model of the risk offers beside `predict`: the curves that scikit-survival evaluates."""

    event_times_: np.ndarray

    @property
    def unique_times_(self) -> np.ndarray:
        """Distinct times of `fit`, with and without events, as scikit-survival calls them; float array (m,)."""
        return self.event_times_

    def predict(self, X: Any) -> np.ndarray:
        """Predict the risk of each grid, float array (n,); the model's own."""
        raise NotImplementedError

    def _estimate_baseline(self, risk, event, time):
        """Estimate it from the risks of the slides of `fit` by each member, float array (n_members, n)."""
        # The likelihood leaves the level of the risk free; centered, members and the models of folds can be pooled.
        self.mean_risk_ = risk.mean(axis=1)
        breslow = BreslowEstimator().fit((risk - self.mean_risk_[:, None]).mean(axis=0), event, time)
        self.event_times_, self.baseline_hazard_ = breslow.unique_times_, breslow.cum_baseline_hazard_.y

    def predict_survival_function(self, X: Any, return_array: bool = False) -> Any:
        """Predict the probability of surviving each time.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.
        return_array : bool, default=False
            Whether to return the values at `event_times_` instead of functions.

        Returns
        -------
        object array (n,) of sksurv.functions.StepFunction, or float array (n, m)
            Functions of time, or their values at the m `event_times_`.
        """
        hazards = np.exp(self.predict(X))[:, None] * self.baseline_hazard_
        return self._functions(np.exp(-hazards), return_array)

    def predict_cumulative_hazard_function(self, X: Any, return_array: bool = False) -> Any:
        """Predict the cumulative hazard at each time.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.
        return_array : bool, default=False
            Whether to return the values at `event_times_` instead of functions.

        Returns
        -------
        object array (n,) of sksurv.functions.StepFunction, or float array (n, m)
            Functions of time, or their values at the m `event_times_`.
        """
        return self._functions(np.exp(self.predict(X))[:, None] * self.baseline_hazard_, return_array)

    def _functions(self, values, return_array):
        """The rows of values (n, m) at the event times as scikit-survival's functions, or as they are."""
        if return_array:
            return values
        functions = np.empty(len(values), dtype=object)
        functions[:] = [StepFunction(self.event_times_, row) for row in values]
        return functions
