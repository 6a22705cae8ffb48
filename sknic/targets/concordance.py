"""Harrell's concordance, with the reason if it is undefined."""

import numpy as np

from sknic.exceptions import DegenerateDataError

TIED_RISK = 1e-8  # risks this close count as equal, as in scikit-survival
_PAIRS_AT_ONCE = 1 << 20


def concordance_index(event, time, risk):
    """Share of the comparable pairs of slides that are ordered correctly by their risks.

    Two slides can be compared if one has an event before the end of the other's follow-up; equal risks count half. The
    number is that of scikit-survival's `concordance_index_censored`, which takes many times as long, because it
    goes through the events one by one: an interval needs a thousand of them.

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
    if not event.any():
        raise DegenerateDataError(f"{len(event)} slides without any event; concordance needs events to compare")
    events = np.flatnonzero(event)
    n_pairs = n_right = 0
    for rows in np.array_split(events, 1 + len(events) * len(event) // _PAIRS_AT_ONCE):
        lead = (risk[rows, np.newaxis] - risk)[outlived(time[rows], event, time)]
        tied = np.abs(lead) <= TIED_RISK
        n_pairs += len(lead)
        n_right += np.count_nonzero((lead > 0) & ~tied) + np.count_nonzero(tied) / 2
    if n_pairs == 0:
        raise DegenerateDataError(
            "no event happens before the end of another's follow-up, so there is nothing to compare"
        )
    return float(n_right / n_pairs)


def outlived(event_time, event, time):
    """Whether a slide is known to have outlived an event: its time is later, or the same and censored.

    Parameters
    ----------
    event_time : float array (m,)
        Times of events.
    event : bool array (n,)
    time : float array (n,)

    Returns
    -------
    bool array (m, n)
        For each event, the slides that it can be compared with.
    """
    at = event_time[:, np.newaxis]
    return (at < time) | ((at == time) & ~event)
