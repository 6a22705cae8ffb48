"""Harrell's concordance, with the reason if it is undefined."""

import numpy as np

from sknic.exceptions import DegenerateDataError


def concordance_index(event, time, risk):
    """Share of the comparable pairs of slides that are ordered correctly by their risks.

    Parameters
    ----------
    event : bool array (n,)
    time : float array (n,)
    risk : float array (n,)
        Higher means an earlier event.

    Returns
    -------
    float
        0.5 for guessing, 1 for the right order.

    Raises
    ------
    DegenerateDataError
        If no pair can be compared: no event, or none before the end of another's follow-up.
    """
    from sksurv.exceptions import NoComparablePairException
    from sksurv.metrics import concordance_index_censored

    if not event.any():
        raise DegenerateDataError(f"{len(event)} slides without any event; concordance needs events to compare")
    try:
        with np.errstate(invalid="ignore"):  # where all times are tied scikit-survival divides 0 by 0
            value = float(concordance_index_censored(event, time, risk)[0])
    except NoComparablePairException:
        value = float("nan")
    if np.isnan(value):
        raise DegenerateDataError(
            "no event happens before the end of another's follow-up, so there is nothing to compare"
        )
    return value
