"""How batches are composed: the same number of patches for each task, uniform over class and center."""

import mmap

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler


def strata(codes, centers=None):
    """Group rows by class and center.

    Parameters
    ----------
    codes : int array (n,)
        Class of each row; rows with negative codes are left out.
    centers : array-like (n,), optional

    Returns
    -------
    list of int array
        Rows of each class at each center.
    """
    rows = np.flatnonzero(codes >= 0)
    if len(rows) == 0:
        return []
    if centers is None:
        keys = codes[rows]
    else:
        _, place = np.unique(np.asarray(centers), return_inverse=True)
        keys = codes[rows] * (place.max() + 1) + place[rows]
    order = np.argsort(keys, kind="stable")
    return np.split(rows[order], np.flatnonzero(np.diff(keys[order])) + 1)


def draw_evenly(groups, n, random):
    """Draw n rows, with equal probability for each group and for each row of a group; small groups are repeated.

    Parameters
    ----------
    groups : list of int array
    n : int
    random : numpy.random.Generator

    Returns
    -------
    int array (n,)
    """
    rounds = -(-n // len(groups))
    turns = random.permuted(np.tile(np.arange(len(groups)), (rounds, 1)), axis=1).ravel()[:n]
    rows = np.empty(n, np.int64)
    for group, members in enumerate(groups):
        places = np.flatnonzero(turns == group)
        passes = [random.permutation(members) for _ in range(-(-len(places) // len(members)))]
        if passes:
            rows[places] = np.concatenate(passes)[: len(places)]
    return rows


class EvenTasks(Sampler):
    """Batches of row numbers: a block of equal size for each task, in order.

    Parameters
    ----------
    groups : list of list of int array
        For each block, the strata it is drawn from.
    block_size : int
        Number of patches per block.
    n_batches : int
        Number of batches per pass.
    """

    def __init__(self, groups, block_size, n_batches):
        self.groups = groups
        self.block_size = block_size
        self.n_batches = n_batches

    def __len__(self):
        return self.n_batches

    def __iter__(self):
        # Seeded by torch, whose state the trainer sets.
        random = np.random.default_rng(int(torch.randint(2**62, ())))
        shape = (self.n_batches, self.block_size)
        blocks = [
            draw_evenly(groups, self.n_batches * self.block_size, random).reshape(shape) for groups in self.groups
        ]
        yield from np.stack(blocks, axis=1).reshape(self.n_batches, -1)


class Patches(Dataset):
    """Patches (an array or a memory map of any size) and their targets, as a Dataset that is read in batches.

    Parameters
    ----------
    X : uint8 array (n, size, size, 3)
        Never copied whole.
    targets : int64 array (n, n_targets), optional
        The row numbers by default.
    rows : int array, optional
        The rows that make up the Dataset; all by default.
    """

    def __init__(self, X, targets=None, rows=None):
        self.X = X
        self.targets = np.arange(len(X)) if targets is None else targets
        self.rows = np.arange(len(X)) if rows is None else rows
        self._map = memory_map(X)

    def __len__(self):
        return len(self.rows)

    def __getitems__(self, indices):
        rows = self.rows[np.asarray(indices)]
        return self.read(rows), torch.from_numpy(self.targets[rows])

    def read(self, rows):
        """Patches of some rows, uint8 tensor (len(rows), size, size, 3)."""
        patches = torch.from_numpy(np.ascontiguousarray(self.X[rows]))
        if self._map is not None:
            # Pages that were read count as this process's memory until they are given back.
            self._map.madvise(mmap.MADV_DONTNEED)
        return patches


def memory_map(array):
    """The file mapping of an array; None if there is none, or if releasing pages would lose changes."""
    mode = None
    while isinstance(array, np.ndarray):
        mode = array.mode if isinstance(array, np.memmap) else mode
        array = array.base
    kept = mode in ("r", "r+", "w+") and hasattr(mmap, "MADV_DONTNEED")
    return array if isinstance(array, mmap.mmap) and kept else None


def as_it_is(batch):
    """Collate for a Dataset that reads in batches."""
    return batch
