"""Weights of the slides: how they are read, and passed to a loss as the last column of the targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.utils.validation import check_array, check_non_negative
from torch.nn import functional

from sknic.exceptions import DegenerateDataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def read_weights(sample_weight: ArrayLike, n: int) -> np.ndarray:
    """Check weights that a user gave.

    Parameters
    ----------
    sample_weight : array-like (n,) or number
        Weight of each slide, or of all.
    n : int
        Number of slides.

    Returns
    -------
    float array (n,)
        The weights.

    Raises
    ------
    ValueError
        If they are not n numbers of 0 or more.
    """
    given = np.full(n, sample_weight) if isinstance(sample_weight, Number) else sample_weight
    weights = check_array(given, ensure_2d=False, allow_nd=True, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weights.shape}: expected ({n},), a weight for each slide")
    check_non_negative(weights, "sample_weight")
    return weights


@dataclass(frozen=True)
class SlideWeights:
    """The slides used for training, and the weight of each.

    Attributes
    ----------
    rows : int array (k,)
        Slides whose weight is above 0.
    values : float array (k,) or None
        Their weights, with mean 1; None if all weights are equal.
    """

    rows: np.ndarray
    values: np.ndarray | None = None

    @classmethod
    def read(cls, sample_weight: ArrayLike | None, n: int) -> SlideWeights:
        """Check the weights that a user passed.

        Parameters
        ----------
        sample_weight : array-like (n,), number or None
            Weight of each slide; None gives all the same weight.
        n : int
            Number of slides.

        Returns
        -------
        SlideWeights
            The weights as training uses them.

        Raises
        ------
        DegenerateDataError
            If fewer than two slides have a weight above 0.
        """
        if sample_weight is None:
            return cls(np.arange(n))
        weights = read_weights(sample_weight, n)
        rows = np.flatnonzero(weights)
        if len(rows) < 2:
            n_used = len(rows)
            raise DegenerateDataError(f"sample_weight is above zero for {n_used} of {n} slides; expected two or more")
        kept = weights[rows]
        return cls(rows, None if (kept == kept[0]).all() else kept / kept.mean())

    def select(self, *columns: Any) -> tuple[Any, ...]:
        """Select the rows of lists and arrays used for training; None stays None."""
        return tuple(
            None
            if column is None
            else [column[row] for row in self.rows]
            if isinstance(column, list)
            else np.asarray(column)[self.rows]
            for column in columns
        )

    def targets(self, targets: torch.Tensor) -> torch.Tensor:
        """Append the weights, if any, to the columns of targets (n,) or (n, k)."""
        if self.values is None:
            return targets
        columns = targets.reshape(len(targets), -1).float()
        return torch.cat([columns, torch.from_numpy(self.values).float()[:, None]], dim=1)

    def loss(self, plain: Callable, weighted: Callable) -> Callable:
        """Choose the loss for targets with or without weights."""
        return plain if self.values is None else weighted

    def average(self, values: np.ndarray) -> np.ndarray:
        """Weighted mean over the slides (n, k), of the values that are known."""
        return np.ma.filled(np.ma.average(np.ma.masked_invalid(values), axis=0, weights=self.values), np.nan)


def weighted_mse(output, targets):
    """Mean of the squared errors, weighted by the last column of the targets."""
    errors = functional.mse_loss(output, targets[:, :-1], reduction="none").mean(dim=1)
    return (errors * targets[:, -1]).mean()


def weighted_cross_entropy(logits, targets):
    """Mean of the cross-entropies; targets (n, 2) are codes of classes and weights."""
    losses = functional.cross_entropy(logits, targets[:, 0].long(), reduction="none")
    return (losses * targets[:, 1]).mean()


def balanced_cross_entropy(logits, codes):
    """Cross-entropy, averaged within each class that is present and then over the classes."""
    return _mean_of_classes(logits, codes, torch.ones(len(codes), device=codes.device))


def weighted_balanced_cross_entropy(logits, targets):
    """The same with weights; targets (n, 2) are codes of classes and weights."""
    return _mean_of_classes(logits, targets[:, 0].long(), targets[:, 1])


def _mean_of_classes(logits, codes, weights):
    losses = functional.cross_entropy(logits, codes, reduction="none")
    of_class = torch.zeros(logits.shape[1], device=codes.device).index_add(0, codes, weights)
    return (losses * weights / of_class[codes]).sum() / (of_class > 0).sum()
