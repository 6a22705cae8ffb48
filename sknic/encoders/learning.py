"""What all trained encoders share: views of patches, a net whose module has its own loss, detection of a collapse."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from skorch.utils import to_tensor
from torch import nn

from sknic.encoders.augmentation import PRESETS
from sknic.encoders.inference import check_training_patches, to_pixels
from sknic.encoders.labels import check_rows
from sknic.encoders.network_encoder import NetworkEncoder
from sknic.encoders.sampling import as_it_is
from sknic.exceptions import CollapseWarning, UnusedLabelsWarning, warn
from sknic.learning.device import DEVICE, PRECISION
from sknic.learning.net import Net, train
from sknic.learning.params import Rule, check_params, choice, function, integer, level, nothing, real, seed
from sknic.learning.randomness import make_random
from sknic.learning.schedule import Plateau
from sknic.learning.split import split

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


AUGMENTATION = choice(*PRESETS) | function | nothing
UNSUPERVISED_RULES: dict[str, Rule] = {
    "code_size": integer(1),
    "mpp": real(above=0),
    "augmentation": AUGMENTATION,
    "max_steps": integer(1),
    "eval_every": integer(1),
    "batch_size": integer(2),
    "lr": real(above=0),
    "validation_fraction": real(above=0, below=1),
    "device": DEVICE,
    "random_state": seed,
    "verbose": level,
}
TRAINED_RULES: dict[str, Rule] = {
    **UNSUPERVISED_RULES,
    "min_lr": real(above=0),
    "patience": integer(1) | nothing,
    "precision": PRECISION,
    "n_threads": integer(1) | nothing,
}
# Patches that the evidence of learning is computed from, at most.
EVIDENCE_ROWS = 1024
# Embeddings that live on fewer dimensions than this tell patches apart no better than one number would.
MIN_DIMENSION = 1.5


class Views(nn.Module):
    """From uint8 patches to the input of a network: pooled, augmented during training, -1 to 1, channels last."""

    def __init__(self, input_size, augment=None):
        super().__init__()
        self.input_size, self.augment = input_size, augment

    def forward(self, patches):
        x = to_pixels(patches, self.input_size) / 255
        if self.training and self.augment is not None:
            x = self.augment(x)
        return (x * 2 - 1).contiguous(memory_format=torch.channels_last)


class OwnLossNet(Net):
    """A net whose module computes `losses(output, targets)`, a dict that is recorded, and their `total(losses)`."""

    def get_loss(self, y_pred, y_true, X=None, training=False):
        losses = self.module_.losses(y_pred, to_tensor(y_true, device=self.device))
        self.record_parts(losses, training)
        return self.module_.total(losses)


def no_loss(output, targets):
    """Stand-in for the criterion, which `OwnLossNet` does not use."""
    raise NotImplementedError


def effective_dimension(embeddings):
    """Number of dimensions that embeddings (n, C) really use: the participation ratio of their covariance.

    1 if all are on a line, 0 if all are equal, C if they vary equally in all directions.
    """
    covariance = np.cov(np.asarray(embeddings, float), rowvar=False)
    total = np.trace(np.atleast_2d(covariance))
    scale = np.mean(np.square(embeddings))
    return float(total**2 / np.square(covariance).sum()) if total > 1e-10 * scale and total > 0 else 0.0


class UnsupervisedEncoder(NetworkEncoder):
    """An encoder that learns from patches alone.

    A subclass trains in `_learn`, measures the result in `_measure`, and returns signs of a collapse in `_doubts`. Its
    `_rules` check its parameters.
    """

    # Names of the fitted attributes that show what was learnt; they are kept in the file.
    _evidence: tuple[str, ...] = ("effective_dimension_", "history_")
    _rules: ClassVar[dict[str, Rule]] = UNSUPERVISED_RULES

    def fit(self, X: np.ndarray, y: Any = None, groups: ArrayLike | None = None) -> Self:
        """Train the encoder.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3), RGB
            An array or a memory map, which is read batch by batch and never copied whole.
        y : object, default=None
            Not used.
        groups : array-like (n,), default=None
            Source of each patch, such as its slide; either all patches of a source are held out, or none.

        Returns
        -------
        self
            Fitted encoder.

        Raises
        ------
        ValueError
            If a parameter is invalid.
        PatchSizeError
            For patches of another shape or type.

        Warns
        -----
        CollapseWarning
            If there are signs that nothing was learnt.
        UnusedLabelsWarning
            If there is a `y` and no `groups`, which may have been meant.
        """
        check_params(self, self._rules)
        if y is not None and groups is None:
            warn(
                f"{type(self).__name__} learns without labels, so y is not used; sources of the patches are groups=",
                UnusedLabelsWarning,
            )
        X = check_training_patches(X)
        groups = check_rows("groups", groups, len(X))
        random = make_random(self.random_state)
        train, valid = split(len(X), self.validation_fraction, groups=groups, random_state=random)
        self.input_size_ = self.patch_size_ = X.shape[1]
        self._learn(X, train, valid, groups, random)
        held_out = np.ascontiguousarray(X[valid[:EVIDENCE_ROWS]])
        embeddings = self.embedder()(held_out)
        self.effective_dimension_ = effective_dimension(embeddings)
        self._measure(held_out, embeddings)
        self._warn()
        return self

    @abstractmethod
    def _learn(self, X, train_rows, valid_rows, groups, random):
        """Set `network_`, `history_` and other results of training."""

    @abstractmethod
    def _measure(self, X, embeddings):
        """Compute the measures that need held-out patches and their embeddings."""

    @abstractmethod
    def _doubts(self):
        """Signs of a collapse, as sentences; empty if there are none."""

    def _train(self, module, train_data, valid_data, random):
        """Train a module that has its own loss, with the encoder's parameters; returns the net."""
        return train(
            module,
            train_data,
            valid_data,
            loss=no_loss,
            net_class=OwnLossNet,
            collate=as_it_is,
            lr=self.lr,
            schedule=Plateau(self.patience, self.min_lr),
            max_steps=self.max_steps,
            eval_every=self.eval_every,
            batch_size=self.batch_size,
            device=self.device,
            precision=self.precision,
            n_threads=self.n_threads,
            random_state=random,
            verbose=self.verbose,
        )

    def _warn(self):
        doubts = self._doubts()
        if self.effective_dimension_ < MIN_DIMENSION:
            doubts = [f"the embeddings use {self.effective_dimension_:.1f} dimensions of {self.code_size}", *doubts]
        if doubts:
            warn(f"{type(self).__name__} collapsed: {'; '.join(doubts)}", CollapseWarning)

    def _to_file(self):
        header, tensors = super()._to_file()
        header["evidence"] = {name: getattr(self, name) for name in self._evidence}
        return header, tensors

    @classmethod
    def _from_file(cls, header, tensors, device, module=None):
        encoder = super()._from_file(header, tensors, device)
        for name in cls._evidence:
            setattr(encoder, name, header["evidence"][name])
        return encoder
