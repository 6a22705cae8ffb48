"""Cox's model: the partial likelihood as a torch loss, and its targets."""

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


def risk_loss(output, target, ties):
    """`cox_loss` of a network's output (n, 1) and targets (n, 2) of event and time."""
    return cox_loss(output[:, 0], target[:, 0] > 0, target[:, 1], ties)


def _efron_share(log_share, event, moment, n_moments):
    """Share of the risk set that Efron takes away for each event: that of the tied events, times l / d."""
    tied = event.new_zeros(n_moments).index_add(0, moment, log_share.exp() * event)
    n_tied = event.new_zeros(n_moments).index_add(0, moment, event)
    before = event.cumsum(0) - event
    before = before - (n_tied.cumsum(0) - n_tied)[moment]
    return event * (before / n_tied.clamp(min=1)[moment]) * tied[moment]


def check_events(event, where):
    """Raise DegenerateDataError unless there is an event to learn from."""
    if not event.any():
        raise DegenerateDataError(f"none of the {len(event)} {where} has an event; Cox's model needs some")
