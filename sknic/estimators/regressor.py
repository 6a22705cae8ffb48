"""GridCNNRegressor: numbers of a slide from its grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length
from torch.nn import functional

from sknic.estimators.base import GridEstimator
from sknic.learning.split import quantile_bins

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class GridCNNRegressor(RegressorMixin, GridEstimator):
    """The paper's CNN on grids, trained on the squared error of one or several numbers of each slide.

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
        Share of the grids (by patient when `fit` gets groups; stratified by quartile of the target) that
        decides on plateaus and on the best weights. With None, or fewer than four patients, the training loss decides.
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
    target_mean_, target_scale_ : float array (n_outputs,)
        The network learns the standardised target.
    y_ndim_ : int
        Of y in `fit`; predictions have it too.

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import GridCNNRegressor
    >>> grids = [np.full((4, 6, 6), i, np.float32) for i in range(8)]
    >>> GridCNNRegressor(max_epochs=1, random_state=0).fit(grids, range(8)).predict(grids).shape
    (8,)
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        y : array-like of floats (n,) or (n, n_outputs)
        groups : array-like (n,), optional
            Patient of each grid; a patient is never on both sides of the validation split.
        """
        grids = self._read(X, y, groups)
        y = self._read_numbers(grids, y)
        standardised = (y - self.target_mean_) / self.target_scale_
        self._fit_net(
            grids,
            torch.from_numpy(standardised.astype(np.float32)),
            loss=functional.mse_loss,
            n_outputs=y.shape[1],
            strata=quantile_bins(standardised.mean(axis=1)),
            groups=groups,
        )
        return self

    def _read_numbers(self, grids: list, y: Any) -> np.ndarray:
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(grids, y)
        self.y_ndim_ = y.ndim
        y = y.reshape(len(y), -1)
        spread = y.std(axis=0)
        self.target_mean_, self.target_scale_ = y.mean(axis=0), np.where(spread > 0, spread, 1.0)
        return y

    def predict(self, X: Any) -> np.ndarray:
        """Predicted numbers, float (n,) or (n, n_outputs) as y was.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        """
        y = self._predict_outputs(X) * self.target_scale_ + self.target_mean_
        return y[:, 0] if self.y_ndim_ == 1 else y
