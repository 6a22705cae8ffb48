"""Which grids make up a training batch: labels in proportion, or equally many of each."""

import numpy as np
import torch
from torch.utils.data import Sampler


class CohortBatches(Sampler):
    """One pass of shuffled batches, each of which contains its share of every label.

    Parameters
    ----------
    labels : int array (n,)
        Class or event; with one label for all this is plain shuffling.
    batch_size : int
        Maximum size; batches are of nearly equal size.
    balanced : bool
        Whether every label contributes the same number (rare ones are repeated) instead of its share.
    """

    def __init__(self, labels, batch_size, balanced=False):
        self.members = [torch.from_numpy(np.flatnonzero(labels == label)) for label in np.unique(labels)]
        even_share = -(-len(labels) // len(self.members))
        self.shares = [even_share if balanced else len(members) for members in self.members]
        # No batch of a single grid: BatchNorm cannot train on it.
        self.n_batches = max(1, min(-(-sum(self.shares) // batch_size), sum(self.shares) // 2))

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        yield from (part.tolist() for part in self._one_pass().tensor_split(self.n_batches))

    def _one_pass(self):
        drawn, keys = [], []
        for members, share in zip(self.members, self.shares):
            repeats = -(-share // len(members))
            drawn.append(torch.cat([members[torch.randperm(len(members))] for _ in range(repeats)])[:share])
            keys.append((torch.arange(share) + torch.rand(1)) / share)
        return torch.cat(drawn)[torch.cat(keys).argsort()]
