"""Calibrate probabilities with one number, the temperature of out-of-fold probabilities."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

# Probabilities are kept this far from 0 and 1, where log loss would be infinite.
_LEAST = 1e-6
# Temperatures that are tried, as natural logarithms: a tenth to ten.
_RANGE = (-np.log(10), np.log(10))


def temperature_of(probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Return the temperature at which the log loss of probabilities is lowest.

    Parameters
    ----------
    probabilities : float array (n, k)
        Probabilities of slides that the models had not seen.
    codes : int array (n,)
        Column of the true class of each.

    Returns
    -------
    float
        Above 1 if the probabilities are overconfident, below 1 if they are underconfident; within 0.1 and 10.
    """

    def log_loss(log_temperature):
        found = at_temperature(probabilities, np.exp(log_temperature))
        return -np.log(np.clip(found[np.arange(len(codes)), codes], _LEAST, None)).mean()

    return float(np.exp(minimize_scalar(log_loss, bounds=_RANGE, method="bounded").x))


def at_temperature(probabilities: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Return probabilities at another temperature; the order of the classes does not change.

    Parameters
    ----------
    probabilities : float array (n, k)
        Probabilities.
    temperature : float or float array (n, 1)
        1 leaves them unchanged, a higher temperature brings them closer together.

    Returns
    -------
    float array (n, k)
        Rows that sum to 1.
    """
    logs = np.log(np.clip(probabilities, _LEAST, None)) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def calibrate_folds(probabilities: np.ndarray, codes: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Calibrate out-of-fold probabilities, each fold with the temperature of the others.

    Parameters
    ----------
    probabilities : float array (n, k)
        Out-of-fold probabilities.
    codes : int array (n,)
        Column of the true class of each.
    fold : int array (n,)
        Fold of each.

    Returns
    -------
    float array (n, k)
        Calibrated probabilities; no slide has influenced its own.
    """
    temperatures = np.ones((len(fold), 1))
    for number in np.unique(fold):
        others = fold != number
        temperatures[~others] = temperature_of(probabilities[others], codes[others])
    return at_temperature(probabilities, temperatures)
