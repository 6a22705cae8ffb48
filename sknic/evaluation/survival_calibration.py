"""Recalibrate survival curves at one time, by out-of-fold curves; the rest of each curve moves with it.

The complementary log-log of survival at that time is corrected by an intercept and a slope [1]_. A slope below 1 says
that the model exaggerates the differences between slides, as networks that learnt from few slides do.

References
----------
.. [1] Austin, Harrell and van Klaveren, "Graphical calibration curves and the integrated calibration index (ICI) for
   survival models", Statistics in Medicine 2020: the same link, here with a straight line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy.optimize import minimize
from sksurv.functions import StepFunction
from sksurv.nonparametric import CensoringDistributionEstimator

from sknic.exceptions import DegenerateDataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# Probabilities are kept this far from 0 and 1, whose complementary log-log is infinite.
_LEAST = 1e-6
# Intercepts, and natural logarithms of slopes, that are tried: a slope of a tenth to ten.
_BOUNDS = ((-10.0, 10.0), (-np.log(10), np.log(10)))
_MIN_EVENTS = 5


@dataclass(frozen=True)
class Recalibration:
    """A correction of survival curves.

    Attributes
    ----------
    time : float
        Time at which survival is corrected.
    intercept : float
        0 if the mean survival at that time is right.
    slope : float
        1 if the differences between slides are right, below 1 if the model exaggerates them.
    """

    time: float
    intercept: float
    slope: float

    @classmethod
    def fit(cls, y: np.ndarray, survival: ArrayLike, time: float) -> Self:
        """Find the correction with the lowest log loss at a time, weighted for censoring.

        Parameters
        ----------
        y : structured array, shape (n_slides,)
            Event (bool) and time.
        survival : array-like of float, shape (n_slides,)
            Probability of surviving `time`, by models that had not seen the slides.
        time : float
            Time, inside the follow-up.

        Returns
        -------
        Recalibration

        Raises
        ------
        DegenerateDataError
            If fewer than five events happened until then, or fewer than five slides were seen longer.
        """
        has_event = y["event"] & (y["time"] <= time)
        is_later = y["time"] > time
        if min(has_event.sum(), is_later.sum()) < _MIN_EVENTS:
            raise DegenerateDataError(
                f"{has_event.sum()} events until time {time:g} and {is_later.sum()} slides seen longer; calibration "
                f"needs at least {_MIN_EVENTS} of each"
            )
        known = has_event | is_later  # the others were lost before, and are represented by the weights
        left = CensoringDistributionEstimator().fit(y).predict_proba(np.minimum(y["time"], time)[known])
        weight, died, said = 1 / left, has_event[known], _loglog(np.asarray(survival, float)[known])

        def loss(parameters):
            hazard = np.exp(np.clip(parameters[0] + np.exp(parameters[1]) * said, -30, 4))
            return np.where(died, -np.log(-np.expm1(-hazard)), hazard) @ weight / weight.sum()

        intercept, log_slope = minimize(loss, (0.0, 0.0), bounds=_BOUNDS).x
        return cls(float(time), float(intercept), float(np.exp(log_slope)))

    def power(self, survival: ArrayLike) -> np.ndarray:
        """Return the power to which the curve of each slide is raised.

        Parameters
        ----------
        survival : array-like of float, shape (n,)
            Probability of surviving `time`, before the correction.

        Returns
        -------
        float array (n,)
        """
        return np.exp(self.intercept + (self.slope - 1) * _loglog(survival))

    def curves(self, curves: np.ndarray) -> np.ndarray:
        """Correct survival functions.

        Parameters
        ----------
        curves : object array (n,) of sksurv.functions.StepFunction
            Survival of each slide.

        Returns
        -------
        object array (n,) of sksurv.functions.StepFunction
        """
        return _functions(curves, [curve.y**power for curve, power in zip(curves, self._powers_of(curves))])

    def hazards(self, hazards: np.ndarray, curves: np.ndarray) -> np.ndarray:
        """Correct cumulative hazards.

        Parameters
        ----------
        hazards : object array (n,) of sksurv.functions.StepFunction
            Cumulative hazard of each slide.
        curves : object array (n,) of sksurv.functions.StepFunction
            Its survival, before the correction.

        Returns
        -------
        object array (n,) of sksurv.functions.StepFunction
        """
        return _functions(hazards, [hazard.y * power for hazard, power in zip(hazards, self._powers_of(curves))])

    def _powers_of(self, curves):
        return self.power([curve(self.time) for curve in curves])


def recalibrate_folds(y: np.ndarray, survival: np.ndarray, times: np.ndarray, fold: np.ndarray, time: float) -> Any:
    """Recalibrate out-of-fold survival, each fold by the others.

    Parameters
    ----------
    y : structured array, shape (n_slides,)
        Event (bool) and time.
    survival : float array (n_slides, m)
        Out-of-fold probability of surviving each of the times.
    times : float array (m,)
        Times, ascending.
    fold : int array (n_slides,)
        Fold of each slide.
    time : float
        One of the times, at which they are corrected.

    Returns
    -------
    float array (n_slides, m)
        No slide has influenced its own.
    """
    at_time, corrected = survival[:, np.searchsorted(times, time)], np.empty(survival.shape)
    for number in np.unique(fold):
        others = fold != number
        found = Recalibration.fit(y[others], at_time[others], time)
        corrected[~others] = survival[~others] ** found.power(at_time[~others])[:, None]
    return corrected


def _functions(like, values):
    """Step functions of the same times with other values, as an object array (n,)."""
    functions = np.empty(len(like), dtype=object)
    functions[:] = [StepFunction(function.x, y) for function, y in zip(like, values)]
    return functions


def _loglog(survival):
    """Complementary log-log: the log of the cumulative hazard."""
    return np.log(-np.log(np.clip(survival, _LEAST, 1 - _LEAST)))
