"""What a classifier's outputs mean: one of several classes per slide, or several labels that are each there or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import column_or_1d
from torch.nn import functional

from sknic.estimators.masked import LabelLoss
from sknic.estimators.weights import (
    SlideWeights,
    balanced_cross_entropy,
    weighted_balanced_cross_entropy,
    weighted_cross_entropy,
)
from sknic.exceptions import DegenerateDataError
from sknic.targets import Classification, Labels

# Of targets without weights, and with them.
_LOSSES = functional.cross_entropy, weighted_cross_entropy
_BALANCED_LOSSES = balanced_cross_entropy, weighted_balanced_cross_entropy


@dataclass(frozen=True)
class Lesson:
    """What a classifier learns from.

    Attributes
    ----------
    classes : array (k,)
        Labels of the network's outputs.
    targets : tensor (n, ...)
        Targets of the slides to learn from, as the loss takes them.
    loss : callable (output, targets) -> scalar tensor
        Loss of the training.
    strata : int array (n,)
        Label to stratify the split and the batches by.
    balanced : bool
        Whether each stratum contributes as many slides to a batch.
    constant : float tensor (k,) or None
        Outputs of the best constant prediction; None for zeros.
    """

    classes: np.ndarray
    targets: torch.Tensor
    loss: Callable
    strata: np.ndarray
    balanced: bool
    constant: torch.Tensor | None


class OneClass:
    """One of several classes per slide: softmax of the outputs."""

    kind = Classification()

    def read(self, y: Any) -> np.ndarray:
        """Check labels (n,) that a user gave."""
        return column_or_1d(self.kind.read(y))

    def lesson(self, y, weights, *, balanced, class_weight):
        """What to learn from labels (n,) of all slides."""
        (y,) = weights.select(y)
        if class_weight is not None:
            of_class = compute_sample_weight(class_weight, y)
            given = of_class if weights.values is None else of_class * weights.values
            weights = SlideWeights(weights.rows, given / given.mean())
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise DegenerateDataError(f"y contains one class, {classes[0]}; a classifier needs two or more")
        balanced = balanced and class_weight is None
        loss = weights.loss(*(_BALANCED_LOSSES if balanced else _LOSSES))
        shares = torch.from_numpy(np.bincount(codes, weights.values) / len(codes))
        constant = None if balanced else shares.log().float()
        return Lesson(classes, weights.targets(torch.from_numpy(codes)), loss, codes, balanced, constant)

    def probabilities(self, logits):
        """Probabilities of logits (n, n_classes)."""
        return logits.softmax(dim=1)

    def log_odds(self, outputs, column):
        """The log odds of a class against all others, from outputs (n_classes,)."""
        others = torch.cat([outputs[:column], outputs[column + 1 :]])
        return outputs[column] - others.logsumexp(0)


class SeveralLabels:
    """Several labels per slide, some of which may be missing: a sigmoid of each output."""

    kind = Labels()

    def read(self, y: Any) -> np.ndarray:
        """Check 0, 1 and NaN (n, n_labels) that a user gave."""
        return self.kind.read(y)

    def lesson(self, y, weights, *, balanced, class_weight):
        """What to learn from the labels (n, n_labels) of all slides."""
        if class_weight is not None:
            raise ValueError(
                f"class_weight={class_weight!r}: expected None for several labels per slide; balanced=True gives "
                "slides with and without a label the same weight"
            )
        (y,) = weights.select(y)
        self.kind.check(y)
        share = weights.average(y)
        loss = LabelLoss.of(share, balanced)
        constant = None if balanced else torch.from_numpy(np.log(share / (1 - share))).float()
        targets = weights.targets(torch.from_numpy(y.astype(np.float32)))
        chosen = weights.loss(loss.plain, loss.weighted)
        return Lesson(np.arange(y.shape[1]), targets, chosen, self.kind.strata(y), False, constant)

    def probabilities(self, logits):
        """Probabilities of logits (n, n_labels)."""
        return logits.sigmoid()

    def log_odds(self, outputs, column):
        """The log odds of a label, from outputs (n_labels,)."""
        return outputs[column]


# By name of the kind of target.
OUTPUTS = {outputs.kind.name: outputs for outputs in (OneClass(), SeveralLabels())}
