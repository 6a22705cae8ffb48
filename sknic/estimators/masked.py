"""Losses of several targets per slide, of which some are missing: NaN in the targets adds nothing to the loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional


def masked_mse(output, targets):
    """Mean of the squared errors of the known targets (n, k)."""
    known = ~targets.isnan()
    return ((output - targets.nan_to_num()) ** 2 * known).sum() / known.sum()


def weighted_masked_mse(output, targets):
    """The same, weighted by the last column of the targets (n, k + 1), whose mean is 1."""
    known = ~targets[:, :-1].isnan()
    errors = (output - targets[:, :-1].nan_to_num()) ** 2 * known
    return (errors * targets[:, -1:]).sum() / known.sum()


@dataclass(frozen=True)
class LabelLoss:
    """Mean of the binary cross-entropies of the known labels.

    Attributes
    ----------
    present, absent : float tensors (n_labels,)
        Weights of slides that have a label, and of those that do not.
    """

    present: torch.Tensor
    absent: torch.Tensor

    @classmethod
    def of(cls, share: np.ndarray, balanced: bool) -> LabelLoss:
        """Weights for labels that a share of the slides (n_labels,) has; balanced, having and lacking count alike."""
        weights = (0.5 / share, 0.5 / (1 - share)) if balanced else (np.ones_like(share), np.ones_like(share))
        return cls(*(torch.from_numpy(weight).float() for weight in weights))

    def plain(self, logits, targets):
        """Loss of logits (n, n_labels) for targets of 0, 1 and NaN."""
        return self.weighted(logits, functional.pad(targets, (0, 1), value=1.0))

    def weighted(self, logits, targets):
        """The same, weighted by the last column of the targets (n, n_labels + 1), whose mean is 1."""
        known, labels = ~targets[:, :-1].isnan(), targets[:, :-1].nan_to_num()
        losses = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        of_label = torch.where(labels > 0, self.present.to(logits.device), self.absent.to(logits.device))
        return (losses * of_label * known * targets[:, -1:]).sum() / known.sum()
