"""What all trained encoders share: views of patches, a net whose module has its own loss, signs of a collapse."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from skorch.utils import to_tensor
from torch import nn

from sknic.encoders.base import BaseEncoder
from sknic.encoders.inference import check_patches, to_pixels
from sknic.encoders.labels import check_rows
from sknic.exceptions import CollapseWarning
from sknic.learning.net import Net
from sknic.learning.randomness import make_random
from sknic.learning.split import split

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


# Patches that the evidence of learning is computed from, at most.
EVIDENCE_ROWS = 1024
# Embeddings that live on fewer dimensions than this tell patches apart no better than one number would.
MIN_DIMENSION = 1.5


class Views(nn.Module):
    """From uint8 patches to what a network sees: pooled, augmented while training, -1 to 1, channels last."""

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
    """Stand-in for the criterion, which `OwnLossNet` does not ask."""
    raise NotImplementedError


def effective_dimension(embeddings):
    """Number of dimensions that embeddings (n, C) really use: the participation ratio of their covariance.

    1 when all lie on a line, 0 when all are equal, C when they vary alike in all directions.
    """
    covariance = np.cov(np.asarray(embeddings, float), rowvar=False)
    total = np.trace(np.atleast_2d(covariance))
    scale = np.mean(np.square(embeddings))
    return float(total**2 / np.square(covariance).sum()) if total > 1e-10 * scale and total > 0 else 0.0


class UnsupervisedEncoder(BaseEncoder):
    """An encoder that learns from patches alone.

    A subclass has the parameters `validation_fraction` and `random_state`, and methods `_learn` and `_signs`.
    """

    # Names of the fitted attributes that show what was learnt; they are kept in the file.
    _evidence: tuple[str, ...] = ("effective_dimension_", "history_")

    def fit(self, X: np.ndarray, y: Any = None, groups: ArrayLike | None = None) -> Self:
        """Train the encoder.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3), RGB
            An array or a memory map, which is read batch by batch and never copied whole.
        y : ignored
        groups : array-like (n,), optional
            Source of each patch, such as its slide: all of a source are held out, or none.

        Returns
        -------
        self

        Raises
        ------
        PatchSizeError
            For patches of another shape or type.

        Warns
        -----
        CollapseWarning
            When the evidence says that nothing was learnt.
        """
        X = check_patches(X)
        groups = check_rows("groups", groups, len(X))
        random = make_random(self.random_state)
        train, valid = split(len(X), self.validation_fraction, groups=groups, random_state=random)
        self.input_size_ = self.patch_size_ = X.shape[1]
        self._learn(X, train, valid, groups, random)
        held_out = np.ascontiguousarray(X[valid[:EVIDENCE_ROWS]])
        embeddings = self.embedder()(held_out)
        self.effective_dimension_ = effective_dimension(embeddings)
        self._warn(self._signs(held_out, embeddings))
        return self

    def _learn(self, X, train_rows, valid_rows, groups, random):
        """Set `network_`, `history_` and what else shows the learning."""
        raise NotImplementedError

    def _signs(self, X, embeddings):
        """Signs of a collapse on held-out patches, as sentences; empty when there are none."""
        raise NotImplementedError

    def _warn(self, signs):
        if self.effective_dimension_ < MIN_DIMENSION:
            signs = [f"the embeddings use {self.effective_dimension_:.1f} dimensions of {self.code_size}", *signs]
        if signs:
            warnings.warn(f"{type(self).__name__} collapsed: {'; '.join(signs)}", CollapseWarning, stacklevel=3)

    def _to_file(self):
        header, tensors = super()._to_file()
        header["evidence"] = {name: getattr(self, name) for name in self._evidence}
        return header, tensors

    @classmethod
    def _from_file(cls, header, tensors, device):
        encoder = super()._from_file(header, tensors, device)
        for name in cls._evidence:
            setattr(encoder, name, header["evidence"][name])
        return encoder
