"""Randomness from `random_state` that does not affect the caller's generators."""

from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state


def make_random(random_state):
    """Return a numpy RandomState; None gives fresh entropy and leaves numpy's global state alone."""
    if random_state is None:
        return np.random.RandomState(np.random.MT19937())
    return check_random_state(random_state)


@contextmanager
def own_randomness(device, seed):
    """Seed torch inside the block, and restore the caller's generators afterwards."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
