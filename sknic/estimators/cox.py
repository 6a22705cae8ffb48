"""Cox's model: the partial likelihood as a torch loss, and its targets."""

import torch

from sknic.exceptions import DegenerateDataError


def cox_loss(risk, event, time, ties="efron", weight=None):
    """Negative log partial likelihood, per event.

    Parameters
    ----------
    risk : float tensor (n,)
        Log of the hazard ratio.
    event : bool tensor (n,)
        False if the time is censored.
    time : float tensor (n,)
    ties : "efron" or "breslow"
        How events at the same time are handled.
    weight : float tensor (n,), optional
        Weights, above 0.

    Returns
    -------
    scalar tensor
        Zero, with zero gradient, if there is no event.
    """
    time, order = time.sort(descending=True)
    risk, event = risk[order], event[order].to(risk.dtype)
    weight = torch.ones_like(risk) if weight is None else weight[order]
    _, moment, counts = torch.unique_consecutive(time, return_inverse=True, return_counts=True)
    # All with the same time are at risk together, so the sum ends with the last of them.
    weighed = risk + weight.log()
    at_risk = weighed.logcumsumexp(0)[counts.cumsum(0) - 1][moment]
    terms = weight * (risk - at_risk)
    if ties == "efron":
        share = _efron_share(weighed - at_risk, event, moment, len(counts))
        terms = terms - _mean_of_tied(weight, event, moment, len(counts)) * torch.log1p(-share)
    n_events = (weight * event).sum()
    return -(terms * event).sum() / torch.where(n_events > 0, n_events, 1)


def risk_loss(output, target, ties):
    """`cox_loss` of a network's output (n, 1) and targets (n, 2) of event and time, or (n, 3) with a weight."""
    weight = target[:, 2] if target.shape[1] > 2 else None
    return cox_loss(output[:, 0], target[:, 0] > 0, target[:, 1], ties, weight)


def _efron_share(log_share, event, moment, n_moments):
    """Part of the risk set that Efron's method subtracts for each event: that of the tied events, times l / d."""
    tied = event.new_zeros(n_moments).index_add(0, moment, log_share.exp() * event)
    n_tied = event.new_zeros(n_moments).index_add(0, moment, event)
    before = event.cumsum(0) - event
    before = before - (n_tied.cumsum(0) - n_tied)[moment]
    return event * (before / n_tied.clamp(min=1)[moment]) * tied[moment]


def _mean_of_tied(weight, event, moment, n_moments):
    """Mean weight of the events at the same time, for each."""
    total = event.new_zeros(n_moments).index_add(0, moment, weight * event)
    n_tied = event.new_zeros(n_moments).index_add(0, moment, event)
    return (total / n_tied.clamp(min=1))[moment]


def check_events(event, where):
    """Raise DegenerateDataError unless there is an event to learn from."""
    if not event.any():
        raise DegenerateDataError(f"none of the {len(event)} {where} has an event; Cox's model needs some")
