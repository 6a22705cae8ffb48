"""GridCNNClassifier: the class of a slide from its grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d
from torch.nn import functional

from sknic.estimators.base import RULES, CohortLoss, GridEstimator
from sknic.exceptions import DegenerateDataError
from sknic.learning.params import flag

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def balanced_cross_entropy(logits, codes):
    """Cross-entropy, averaged within each class that is present and then over the classes."""
    losses = functional.cross_entropy(logits, codes, reduction="none")
    counts = torch.bincount(codes, minlength=logits.shape[1])
    return (losses / counts[codes]).sum() / (counts > 0).sum()


def softmax(logits):
    """Probabilities of logits (n, n_classes)."""
    return logits.softmax(dim=1)


class GridCNNClassifier(ClassifierMixin, GridEstimator):
    """The paper's CNN on grids, trained to tell classes of slides apart.

    Parameters
    ----------
    crop_size : "auto" or int
        Side of the canvas in cells. "auto" takes the smallest square that holds the tissue of every grid given to
        `fit`, at most the paper's 400 (and 400 for `padding="valid"`). Fixed after `fit`.
    padding : "same" or "valid"
        Of the convolutions. "valid" is the authors' network on 400 x 400 cells; "same" takes any canvas.
    n_filters : int
        Of each of the eight convolutions.
    dropout : float
        Share of features dropped after each convolution.
    l2 : float
        Penalty on the squared kernels.
    lr, min_lr : float
        Adam's learning rate, divided by 10 on each plateau of the validation loss, down to `min_lr`.
    batch_size : int
        Crops of a training batch.
    max_epochs : int
    min_batches : int
        Fewest batches of an epoch, which is one pass over the training grids or as many as that takes: small cohorts
        need some before the validation loss means anything.
    patience : int
        Epochs without a better validation loss that make a plateau.
    validation_fraction : float or None
        Share of the grids (by patient when `fit` gets groups; stratified by class) that decides on plateaus
        and on the best weights. With None, or fewer than four patients, the training loss decides.
    n_crops : int
        Most crops of a grid that a prediction is the mean of; one when its tissue fits the canvas. Where grids hold
        the eight orientations of their pixels, of each.
    module : callable (n_channels, n_outputs) -> torch.nn.Module, optional
        Another network, a class or a function (not an instance), e.g. `AttentionMIL`. It maps crops
        (n, C, canvas, canvas) to (n, n_outputs); `n_filters`, `dropout` and `padding` are then not used.
    callbacks : list of skorch callbacks, optional
    device : "auto", "cpu", "cuda" or torch.device
        On CUDA the network computes in bfloat16.
    n_threads : int or None
        CPU threads of torch. With one, the same `random_state` gives the same model in this process and under
        `n_jobs`; with more (None: torch's own number) a single fit is faster and the last bits differ.
    random_state : int, RandomState or None
    verbose : int
        Above 0, one line per epoch.
    balanced : bool
        Batches hold equally many grids of each class, rare ones repeated, and the validation loss weighs classes
        equally; probabilities then mean equally frequent classes.

    Attributes
    ----------
    net_ : skorch.NeuralNet
        The fitted net; `net_.module_` is the torch module.
    canvas_ : int
        Side of the canvas, cells.
    n_outputs_ : int
        Of the network.
    history_ : list of dict
        One dict an epoch: train_loss, valid_loss, lr, dur, ...
    n_features_in_ : int
        C, the length of an embedding.
    classes_ : array (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import GridCNNClassifier
    >>> grids = [np.full((4, 6, 6), i % 2, np.float32) for i in range(8)]
    >>> GridCNNClassifier(max_epochs=1, random_state=0).fit(grids, [i % 2 for i in range(8)]).predict(grids).shape
    (8,)
    """

    _rules = {**RULES, "balanced": flag}

    def __init__(
        self,
        *,
        crop_size: int | str = "auto",
        padding: str = "same",
        n_filters: int = 128,
        dropout: float = 0.2,
        l2: float = 1e-5,
        lr: float = 1e-2,
        min_lr: float = 1e-5,
        batch_size: int = 16,
        max_epochs: int = 100,
        min_batches: int = 32,
        patience: int = 4,
        validation_fraction: float | None = 0.25,
        n_crops: int = 10,
        module: Callable | None = None,
        callbacks: list | None = None,
        device: str | torch.device = "auto",
        n_threads: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        balanced: bool = True,
    ) -> None:
        super().__init__(
            crop_size=crop_size,
            padding=padding,
            n_filters=n_filters,
            dropout=dropout,
            l2=l2,
            lr=lr,
            min_lr=min_lr,
            batch_size=batch_size,
            max_epochs=max_epochs,
            min_batches=min_batches,
            patience=patience,
            validation_fraction=validation_fraction,
            n_crops=n_crops,
            module=module,
            callbacks=callbacks,
            device=device,
            n_threads=n_threads,
            random_state=random_state,
            verbose=verbose,
        )
        self.balanced = balanced

    def fit(self, X: Any, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        y : array-like of labels (n,)
        groups : array-like (n,), optional
            Patient of each grid; a patient is never on both sides of the validation split.
        """
        grids = self._read(X, y, groups)
        codes = self._read_labels(grids, y)
        loss = balanced_cross_entropy if self.balanced else functional.cross_entropy
        self._fit_net(
            grids,
            torch.from_numpy(codes),
            loss=loss,
            n_outputs=len(self.classes_),
            strata=codes,
            groups=groups,
            balanced=self.balanced,
            callbacks=[CohortLoss(loss)],
        )
        return self

    def _read_labels(self, grids, y):
        y = column_or_1d(y, warn=True)
        check_consistent_length(grids, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DegenerateDataError(f"y holds one class, {self.classes_[0]!r}; a classifier needs two or more")
        return codes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each class, float (n, n_classes) in the order of `classes_`.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        """
        return self._predict_outputs(X, softmax)

    def predict(self, X: Any) -> np.ndarray:
        """Most probable class, array (n,).

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]
