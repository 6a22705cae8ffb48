"""From risks to curves: Breslow's baseline hazard, and the survival of each slide that follows from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sksurv.base import SurvivalAnalysisMixin
from sksurv.functions import StepFunction

# The exponential of more than 709 is infinite.
_MAX_RISK = 700.0


def breslow(
    risk: np.ndarray, event: np.ndarray, time: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the cumulative hazard of a slide with risk 0.

    Parameters
    ----------
    risk : float array (n,)
        Log hazard ratios.
    event : bool array (n,)
        Whether the event was observed.
    time : float array (n,)
        Time of the event or of censoring.
    weights : float array (n,), default=None
        Weight of each slide.

    Returns
    -------
    times, hazard : float arrays (m,)
        Distinct times, ascending, and the hazard until each.
    """
    times, moment = np.unique(time, return_inverse=True)
    weights = np.ones(len(time)) if weights is None else weights
    events = np.bincount(moment, weights * event)
    at_risk = np.bincount(moment, weights * np.exp(risk))[::-1].cumsum()[::-1]
    return times, (events / at_risk).cumsum()


class HazardCurves(SurvivalAnalysisMixin):
    """Methods of a risk model in addition to `predict`: the curves that scikit-survival evaluates."""

    event_times_: np.ndarray

    @property
    def unique_times_(self) -> np.ndarray:
        """Distinct times of `fit`, with and without events, as scikit-survival calls them; float array (m,)."""
        return self.event_times_

    def predict(self, X: Any) -> np.ndarray:
        """Predict the risk of each grid, float array (n,); the model's own."""
        raise NotImplementedError

    def _estimate_baseline(self, risk, event, time, weights=None):
        """Estimate it from the risks of the slides of `fit` by each member, float array (n_members, n)."""
        # The likelihood leaves the level of the risk free; centered, members and the models of folds can be pooled.
        self.mean_risk_ = np.average(risk, axis=1, weights=weights)
        of_slides = (risk - self.mean_risk_[:, None]).mean(axis=0)
        self.event_times_, self.baseline_hazard_ = breslow(of_slides, event, time, weights)

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
        return self._functions(np.exp(-self._cumulative_hazards(X)), return_array)

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
        return self._functions(self._cumulative_hazards(X), return_array)

    def _cumulative_hazards(self, X):
        """Float64 array (n, m), of slides that may be unlike any before: infinity times no hazard is not a number."""
        finite = np.minimum(np.asarray(self.predict(X), float), _MAX_RISK)
        return np.exp(finite)[:, None] * self.baseline_hazard_

    def _functions(self, values, return_array):
        """Values (n, m) at the event times, as scikit-survival's functions or as an array."""
        if return_array:
            return values
        functions = np.empty(len(values), dtype=object)
        functions[:] = [StepFunction(self.event_times_, row) for row in values]
        return functions
