"""Which samples make up each training step: batches of nearly equal size, in a stream divided into intervals."""

import math

import torch
from torch.utils.data import Sampler


class EvenBatches(Sampler):
    """One pass of shuffled batches of nearly equal size, never with a single sample, on which BatchNorm cannot train.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    batch_size : int
        Maximum number of samples per batch.
    """

    def __init__(self, n_samples, batch_size):
        self.n_samples = n_samples
        self.n_batches = max(1, min(math.ceil(n_samples / batch_size), n_samples // 2))

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        yield from (part.tolist() for part in torch.randperm(self.n_samples).tensor_split(self.n_batches))


class Steps(Sampler):
    """The batches of a whole training; each iteration yields those up to the next evaluation.

    Parameters
    ----------
    passes : iterable of batches
        Sampler that draws one pass over the data per iteration, repeated whenever a pass is used up.
    every : int
        Number of steps between evaluations.
    total : int
        Number of steps of the training.
    announce : callable (list of int), optional
        Called with the next batch of the pass before a batch is yielded, so that it can be read in the meantime.

    Attributes
    ----------
    taken : int
        Number of steps begun so far.
    pending : list of lists of int
        The rest of the pass that was drawn last, in reverse order.
    """

    def __init__(self, passes, every, total, announce=None):
        self.passes, self.every, self.total, self.announce = passes, every, total, announce
        self.taken, self.pending = 0, []

    def __len__(self):
        return min(self.every, self.total - self.taken)

    def __iter__(self):
        for _ in range(len(self)):
            if not self.pending:
                # The whole pass at once: what is left of it can be written to a checkpoint.
                self.pending = list(self.passes)[::-1]
            self.taken += 1
            batch = self.pending.pop()
            if self.announce is not None and self.pending and self.taken < self.total:
                self.announce(self.pending[-1])
            yield batch
