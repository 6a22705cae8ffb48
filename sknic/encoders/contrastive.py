"""ContrastiveEncoder: an encoder that learns to tell two views of the same patch from views of different patches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sknic.encoders.augmentation import base_grid, resolve_augmentation
from sknic.encoders.learning import TRAINED_RULES, UnsupervisedEncoder, Views
from sknic.encoders.networks import Head, new_encoder
from sknic.encoders.sampling import Patches
from sknic.learning.net import history

# Fraction of the pairs of two patches that come from one slide (Tellez 2019).
SAME_GROUP = 0.75
# By chance one half of the pairs is judged right.
MIN_ACCURACY = 0.6


class Pairs(Patches):
    """Pairs of patches: the anchors of a batch, then their partners, half of which are the anchor itself.

    Parameters
    ----------
    X : uint8 array (n, size, size, 3)
    rows : int array
        Rows to draw from.
    groups : array (n,), optional
        Group of each patch. Of the partners that are another patch, three quarters come from the anchor's group.
    seed : int, optional
        Draws the same partners every time, for validation.
    """

    def __init__(self, X, rows, groups=None, seed=None):
        super().__init__(X, rows=rows)
        self.seed = seed
        labels = np.zeros(len(rows), int) if groups is None else np.unique(groups[rows], return_inverse=True)[1]
        order = np.argsort(labels, kind="stable")
        self._order, self._place = order, np.argsort(order)
        self._size = np.bincount(labels)[labels]
        self._start = (np.cumsum(np.bincount(labels)) - np.bincount(labels))[labels]

    def __getitems__(self, indices):
        anchors = np.asarray(indices)
        seed = int(torch.randint(2**62, ())) if self.seed is None else [self.seed, int(anchors[0])]
        partners = self.partners(anchors, np.random.default_rng(seed))
        return super().__getitems__(np.concatenate([anchors, partners]))

    def partners(self, anchors, random):
        """Draw one partner for each anchor, int (n,)."""
        n = len(anchors)
        same = np.arange(n) % 2 == 0
        start, size, place = self._start[anchors], self._size[anchors], self._place[anchors]
        inside = (random.random(n) < SAME_GROUP) | (size == len(self._order))
        inside &= size > 1
        # A step that is not a whole turn around the group never ends on the anchor.
        near = start + (place - start + 1 + random.integers(0, np.maximum(size - 1, 1))) % size
        far = (start + size + random.integers(0, np.maximum(len(self._order) - size, 1))) % len(self._order)
        return np.where(same, anchors, self._order[np.where(inside, near, far)])


class PairModule(nn.Module):
    """An encoder applied to both patches of a pair, and a head on the difference of their codes."""

    def __init__(self, code_size, input_size, augment):
        super().__init__()
        self.views = Views(input_size, augment)
        self.network = new_encoder(code_size, input_size).to(memory_format=torch.channels_last)
        self.head = Head(code_size, 1)

    def forward(self, patches):
        first, second = self.network(shift(self.views(patches))).chunk(2)
        return self.head((first - second).abs()).squeeze(1)

    def losses(self, output, rows):
        """Cross-entropy of same (1) against different, and the share of misclassified pairs."""
        first, second = rows.chunk(2)
        same = (first == second).float()
        error = ((output > 0) != (same > 0)).float().mean()
        return {"pair": F.binary_cross_entropy_with_logits(output, same), "error": error}

    def total(self, losses):
        """The number to minimize."""
        return losses["pair"]


def shift(x):
    """Shift each patch by up to a quarter of its width, mirrored at the edge, so that two such views overlap."""
    offset = torch.rand(len(x), 1, 1, 2, device=x.device) - 0.5
    return F.grid_sample(x, base_grid(x) + offset, padding_mode="reflection", align_corners=False)


class ContrastiveEncoder(UnsupervisedEncoder):
    """Siamese encoder that tells same from different (neural image compression, [1]_): a baseline as in section 4.5.

    "Same" are two overlapping, separately augmented views of a patch. "Different" are views of two patches, which are
    from the same group (slide) in three of four cases, as adjacent patches are, and otherwise from two.

    Parameters
    ----------
    code_size : int, default=128
        Length C of an embedding.
    mpp : float, default=0.5
        um per px of the patches.
    augmentation : {"heavy", "strong", "light", "mild"}, callable or None, default="heavy"
        Random changes of the training patches. A callable takes and returns float tensors (n, 3, size, size) from 0
        to 1, on the training device.
    max_steps : int, default=10000
        Maximum number of training batches.
    eval_every : int, default=100
        Number of training batches between two evaluations on the validation patches.
    batch_size : int, default=64
        Number of pairs per batch.
    lr : float, default=1e-3
        Highest learning rate; it is divided by 10 on each plateau of the validation loss.
    min_lr : float, default=1e-5
        Lowest learning rate; the first plateau there ends the training.
    patience : int or None, default=8
        Number of evaluations without a better validation loss that count as a plateau; None keeps the learning rate.
    validation_fraction : float, default=0.2
        Fraction of the patches held out.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Number format of the network's computation in training; the weights are float32. "auto" is bfloat16 if the CPU
        or GPU supports it natively.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Device of the training and of `transform`; "auto" is CUDA if available.
    n_threads : int or None, default=None
        Number of CPU threads of the training. None is torch's own number, or one inside a parallel joblib task.
    random_state : int, RandomState or None, default=None
        Seed of the split, the weights, the batches and the augmentation.
    verbose : int, default=0
        Verbosity; above 0, one line is printed per evaluation.

    Attributes
    ----------
    network_ : Chain
        Trained encoder network.
    pair_accuracy_ : float
        Fraction of held-out pairs that the final weights classify correctly; 0.5 is chance.
    effective_dimension_ : float
        Number of dimensions that the held-out embeddings use, of C.
    history_ : list of dict
        One dict per evaluation: step, pair loss, fraction of misclassified pairs, learning rate, time in s.

    References
    ----------
    .. [1] Tellez et al., "Neural Image Compression for Gigapixel Histopathology Image Analysis", TPAMI 2021.
    """

    _rules = TRAINED_RULES
    _evidence = ("pair_accuracy_", "effective_dimension_", "history_")

    def __init__(
        self,
        code_size: int = 128,
        *,
        mpp: float = 0.5,
        augmentation: str | Callable | None = "heavy",
        max_steps: int = 10_000,
        eval_every: int = 100,
        batch_size: int = 64,
        lr: float = 1e-3,
        min_lr: float = 1e-5,
        patience: int = 8,
        validation_fraction: float = 0.2,
        precision: str = "auto",
        device: str | torch.device = "auto",
        n_threads: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.code_size = code_size
        self.mpp = mpp
        self.augmentation = augmentation
        self.max_steps = max_steps
        self.eval_every = eval_every
        self.batch_size = batch_size
        self.lr = lr
        self.min_lr = min_lr
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.precision = precision
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    def _learn(self, X, train_rows, valid_rows, groups, random):
        module = partial(PairModule, self.code_size, self.input_size_, resolve_augmentation(self.augmentation))
        valid_pairs = Pairs(X, valid_rows, groups, seed=random.randint(2**31 - 1))
        net = self._train(module, Pairs(X, train_rows, groups), valid_pairs, random)
        self.network_ = net.module_.cpu().requires_grad_(False).network
        self.history_ = history(net)

    def _measure(self, X, embeddings):
        best = min(self.history_, key=lambda row: row["valid_loss"])
        self.pair_accuracy_ = 1 - best["valid_error"]

    def _doubts(self):
        if self.pair_accuracy_ < MIN_ACCURACY:
            return [f"{self.pair_accuracy_:.0%} of the held-out pairs are classified correctly (50% by chance)"]
        return []
