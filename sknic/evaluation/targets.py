"""Which kind of target an estimator learns, and censored survival times in one form."""

import numpy as np
from sklearn.base import is_classifier

SURVIVAL_DTYPE = np.dtype([("event", bool), ("time", np.float64)])


def survival_target(y):
    """Bring censored survival times into one form.

    Parameters
    ----------
    y : structured array, shape (n,)
        Two fields, the event indicator (bool) first and the time second, as scikit-survival's ``Surv`` makes it.

    Returns
    -------
    structured array, shape (n,)
        Fields ``event`` (bool) and ``time`` (float64).

    Raises
    ------
    ValueError
        When the fields are not an event indicator and positive, finite times.
    """
    y = np.asarray(y)
    if y.dtype.names is None or len(y.dtype.names) != 2 or y[y.dtype.names[0]].dtype != bool:
        raise ValueError(
            f"y has dtype {y.dtype}; survival wants a structured array of event (bool) and time (float),"
            " for example from sksurv.util.Surv.from_arrays(event, time)"
        )
    event, time = (y[name] for name in y.dtype.names)
    if not np.isfinite(time).all() or (time < 0).any():
        raise ValueError("y holds survival times that are negative or not finite; they must be times since the start")
    target = np.empty(len(y), dtype=SURVIVAL_DTYPE)
    target["event"], target["time"] = event, time
    return target


def target_kind(estimator, y):
    """Tell whether an estimator learns "survival", "classifier" or "regressor" from this y."""
    if getattr(y, "dtype", None) is not None and y.dtype.names is not None:
        return "survival"
    return "classifier" if is_classifier(estimator) else "regressor"
