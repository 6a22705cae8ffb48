"""Several networks in one fit: retraining those that learnt nothing, their files, and how far they are apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

# A network that learns nothing three times has most likely nothing to learn from.
MAX_RESTARTS = 2


def train_member(train_one: Callable[[], Any], learnt: Callable[[Any], bool], may_restart: bool) -> tuple[Any, int]:
    """Train one network, and again from other weights if it learnt nothing.

    Parameters
    ----------
    train_one : callable () -> net
        Trains a network; each call draws other weights and crops.
    learnt : callable (net) -> bool
        Whether a network beat a constant prediction.
    may_restart : bool
        Whether a network may be trained again.

    Returns
    -------
    net : skorch.NeuralNet
        The network that learnt, or the last one.
    n_restarts : int
        Number of networks that were discarded.
    """
    net, n_restarts = train_one(), 0
    while may_restart and n_restarts < MAX_RESTARTS and not learnt(net):
        net, n_restarts = train_one(), n_restarts + 1
    return net, n_restarts


def join_weights(states: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Put the weights of several networks into one dict: with "0/", "1/", ... before names, as they are for one."""
    if len(states) == 1:
        return states[0]
    return {f"{number}/{name}": value for number, state in enumerate(states) for name, value in state.items()}


def split_weights(weights: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    """Take apart what `join_weights` put together."""
    states: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in weights.items():
        number, slash, own = name.partition("/")
        states.setdefault(int(number) if slash else 0, {})[own if slash else name] = value
    return [states[number] for number in sorted(states)]


def spread_between(found: np.ndarray, of_winner: bool) -> np.ndarray:
    """Measure how far predictions of several models are apart.

    Parameters
    ----------
    found : float array (n_models, n) or (n_models, n, k)
        Prediction of each model for each slide.
    of_winner : bool
        Whether the k numbers are probabilities, of which the largest on average is looked at; else all are.

    Returns
    -------
    float array (n,)
        Standard deviation over the models, averaged over the k numbers.
    """
    if of_winner:
        found = np.take_along_axis(found, found.mean(axis=0).argmax(axis=1)[None, :, None], axis=2)
    return found.std(axis=0).reshape(found.shape[1], -1).mean(axis=1)
