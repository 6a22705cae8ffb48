"""Cox's model: the partial likelihood as a torch loss, and its targets."""

import numpy as np
import torch

from sknic.exceptions import DegenerateDataError


def cox_loss(risk, event, time, ties="efron"):
    """Negative log partial likelihood, per event.

    Parameters
    ----------
    risk : float tensor (n,)
        Log of the hazard ratio.
    event : bool tensor (n,)
        False where the time is censored.
    time : float tensor (n,)
    ties : "efron" or "breslow"
        How events at the same time are counted.

    Returns
    -------
    scalar tensor
        Zero, with zero gradient, when there is no event.
    """
    time, order = time.sort(descending=True)
    risk, event = risk[order], event[order].to(risk.dtype)
    _, moment, counts = torch.unique_consecutive(time, return_inverse=True, return_counts=True)
    # All with the same time are at risk together, so the sum ends with the last of them.
    at_risk = risk.logcumsumexp(0)[counts.cumsum(0) - 1][moment]
    terms = risk - at_risk
    if ties == "efron":
        terms = terms - torch.log1p(-_efron_share(terms, event, moment, len(counts)))
    return -(terms * event).sum() / event.sum().clamp(min=1)


def _efron_share(log_share, event, moment, n_moments):
    """Share of the risk set that Efron takes away for each event: that of the tied events, times l / d."""
    tied = event.new_zeros(n_moments).index_add(0, moment, log_share.exp() * event)
    n_tied = event.new_zeros(n_moments).index_add(0, moment, event)
    before = event.cumsum(0) - event
    before = before - (n_tied.cumsum(0) - n_tied)[moment]
    return event * (before / n_tied.clamp(min=1)[moment]) * tied[moment]


def as_survival(y):
    """Read a survival target.

    Parameters
    ----------
    y : structured array or DataFrame
        Structured array as scikit-survival's `Surv` makes it (event first, then time), or a DataFrame with the
        columns "event" and "time".

    Returns
    -------
    event : bool array (n,)
        Whether the event was seen.
    time : float array (n,)
        When it was, or until when it was not.

    Raises
    ------
    ValueError
        When y is neither, an event is neither true nor false, or a time is negative or not finite.
    """
    event, time = _event_and_time(y)
    event, time = np.array(event), np.array(time, dtype=float)
    if event.ndim != 1 or event.shape != time.shape:
        raise ValueError(f"y: expected one event and one time per sample; found shapes {event.shape} and {time.shape}")
    if not np.isin(event, [0, 1]).all():
        raise ValueError(f"event: expected True or False (1 or 0); found {np.unique(event)[:5]}")
    if not np.isfinite(time).all() or (time < 0).any():
        raise ValueError("time: expected finite numbers that are not negative")
    return event.astype(bool), time


def _event_and_time(y):
    if getattr(getattr(y, "dtype", None), "names", None):
        if len(y.dtype.names) == 2:
            return y[y.dtype.names[0]], y[y.dtype.names[1]]
    elif hasattr(y, "columns") and {"event", "time"} <= set(y.columns):
        return y["event"], y["time"]
    raise ValueError(
        f"y of type {type(y).__name__}: expected a structured array of event and time, "
        "sksurv.util.Surv.from_arrays(event, time), or a DataFrame with the columns 'event' and 'time'"
    )


def check_events(event, where):
    """Raise DegenerateDataError unless there is an event to learn from."""
    if not event.any():
        raise DegenerateDataError(f"none of the {len(event)} {where} has an event; Cox's model needs some")
