"""Which kind of target an estimator learns, and censored survival times in one form."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier

from sknic.estimators.cox import as_survival

SURVIVAL_DTYPE = np.dtype([("event", bool), ("time", np.float64)])


def survival_target(y: Any) -> np.ndarray:
    """Bring censored survival times into one form.

    Parameters
    ----------
    y : structured array or DataFrame
        As scikit-survival's ``Surv`` makes it, or with the columns "event" and "time".

    Returns
    -------
    structured array, shape (n,)
        Fields ``event`` (bool) and ``time`` (float64).

    Raises
    ------
    ValueError
        When y is neither, or a time is negative or not finite.
    """
    event, time = as_survival(y)
    target = np.empty(len(event), dtype=SURVIVAL_DTYPE)
    target["event"], target["time"] = event, time
    return target


def as_target(y: Any) -> np.ndarray:
    """Any target as an array with one row per slide; survival times become a structured one."""
    is_table = isinstance(y, pd.DataFrame) and {"event", "time"} <= set(y.columns)
    # A pair of event and time has no rows; `survival_target` refuses it and says what to give.
    is_pair = isinstance(y, tuple) and len(y) == 2 and np.ndim(y[0]) == np.ndim(y[1]) == 1
    return survival_target(y) if is_table or is_pair else np.asarray(y)


def target_kind(estimator, y):
    """Tell whether an estimator learns "survival", "classifier" or "regressor" from a target."""
    if y.dtype.names is not None:
        return "survival"
    return "classifier" if is_classifier(estimator) else "regressor"
