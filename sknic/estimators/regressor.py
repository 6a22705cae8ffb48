"""GridCNNRegressor: predict numbers of a slide from its grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length
from torch.nn import functional

from sknic.estimators.base import GridEstimator
from sknic.estimators.cohort_loss import CohortLoss
from sknic.estimators.known_score import KnownScore
from sknic.estimators.masked import masked_mse, weighted_masked_mse
from sknic.estimators.weights import SlideWeights, weighted_mse
from sknic.learning.followed import followed
from sknic.learning.split import quantile_bins
from sknic.targets import Regression, kind_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class GridCNNRegressor(KnownScore, RegressorMixin, GridEstimator):
    """The paper's CNN on grids, trained with the squared error of one or more numbers per slide [1]_.

    Parameters
    ----------
    crop_size : "auto" or int, default="auto"
        Side of the canvas in cells. "auto" is the smallest square that fits the tissue of every grid given to
        `fit`, at most the paper's 400 (and 400 for `padding="valid"`). It is fixed after `fit`.
    padding : {"same", "valid"}, default="same"
        Padding of the convolutions. "valid" is the authors' network on 400 x 400 cells; "same" takes any canvas.
    pooled_branch : bool, default=True
        Whether a linear map of the mean embedding of the tissue is added to the network's outputs, so that amounts of
        tissue are learnt from few slides; False is the paper's network.
    hotspot_branch : bool, default=False
        Whether the highest local densities (of learnt maps of the cells, over 5 x 5 cells) are added to the network's
        outputs, so that a target which one small region decides is learnt from few slides. Takes half as long again.
    mask_background : bool, default=False
        Whether the network's normalization and final mean leave out the background; takes a third longer.
    n_filters : int, default=128
        Number of filters of each of the eight convolutions.
    dropout : float, default=0.2
        Fraction of the features that are dropped after each convolution, in [0, 1).
    standardize : bool, default=True
        Whether each channel is standardized over the tissue of the training grids. Background stays 0, which is then
        the mean of the tissue.
    l2 : float, default=0.0
        Weight of the penalty on the squared kernels, which is added to the loss (Adam); only without `weight_decay`.
    weight_decay : float, default=1e-2
        Decoupled weight decay of the kernels (AdamW), in units of the learning rate.
    schedule : {"cosine", "plateau"}, default="cosine"
        Course of the learning rate. "cosine" raises it to `lr` in the first tenth of `max_steps` and lets it fall to 0
        along half a cosine. "plateau", the paper's, divides it by 10 on each plateau of the validation loss.
    lr : float, default=3e-3
        Highest learning rate.
    min_lr : float, default=1e-5
        Lowest learning rate of "plateau"; the first plateau there ends the training.
    batch_size : int, default=16
        Maximum number of crops per training batch.
    max_steps : int, default=1500
        Number of training batches; "plateau" usually stops earlier.
    eval_every : int, default=32
        Number of training batches between two rows of the history, each with the loss of the validation grids, if
        there are any. For "plateau", several passes over a small cohort, or a whole one over a large cohort.
    patience : int, default=4
        Number of evaluations without a better validation loss that count as a plateau; only for "plateau".
    validation_fraction : float or None, default=None
        Fraction of the grids (by patient when `fit` gets groups; stratified by quartile of the target) that is held
        out to choose the best weights and to detect plateaus. With None, or fewer than four patients, all grids are
        used for training: "cosine" keeps the last weights, and "plateau" watches the training loss.
    n_members : int, default=1
        Number of networks, with different weights and crops, whose predictions are averaged. With two or more, one that
        learns nothing is trained again, at most twice; `predict_spread` measures how far they are apart.
    n_crops : int, default=10
        Maximum number of crops averaged per prediction and orientation. A single crop is used when the tissue fits on
        the canvas.
    average_orientations : bool, default=True
        Whether a grid that does not store the eight orientations of its pixels is itself rotated and mirrored, so that
        a prediction is always the mean over eight orientations.
    module : callable (n_channels, n_outputs) -> torch.nn.Module, default=None
        Another network, as a class or a function (not an instance), e.g. `AttentionMIL`. It maps crops
        (n, C, canvas, canvas) to (n, n_outputs). `n_filters`, `dropout`, `padding`, `pooled_branch`,
        `hotspot_branch` and `mask_background` describe sknic's own network and cannot be combined with it.
    callbacks : list of skorch callbacks, default=None
        Callbacks of the training; their epoch is the interval between two evaluations.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Device of the network; "auto" is CUDA if available. On CUDA the network computes in bfloat16.
    n_threads : int or None, default=None
        Number of CPU threads. None is torch's own number, or one inside a parallel joblib task (`n_jobs`). The same
        `random_state` gives the same model, bit for bit, only with the same number of threads.
    random_state : int, RandomState or None, default=None
        Seed of the split, the weights, the crops and dropout. The caller's random states are left alone.
    verbose : int, default=0
        Verbosity; above 0, one line is printed per evaluation.

    Attributes
    ----------
    nets_ : list of skorch.NeuralNet
        Fitted nets, one per member; `nets_[0].module_` is the torch module of the first, which is also `net_`.
    n_restarts_ : int
        Number of trainings that learnt nothing and were repeated.
    canvas_ : int
        Side of the canvas in cells.
    n_outputs_ : int
        Number of outputs of the network.
    history_ : list of dict
        One dict per evaluation: member, step, train_loss, valid_loss, lr, dur (seconds), ...
    n_features_in_ : int
        Length C of an embedding.
    channel_mean_, channel_scale_ : float32 array (C,) or None
        Mean and spread of each channel over the training tissue; None without `standardize`.
    slide_mean_, slide_scale_, slide_cells_ : float32 arrays (C,) and float, or None
        Mean and standard deviation over the slides of `fit` of their mean embeddings, and their median number of cells;
        None for fewer than ten slides or patients, and for a table.
    provenance_ : dict or None
        Encoder, um/px, patch size and stride of the training grids; None for arrays, which do not have them.
    target_mean_, target_scale_ : float array (n_outputs,)
        Mean and standard deviation of each target's known values; the network learns the standardized target.
    y_ndim_ : int
        Number of dimensions of y in `fit`; predictions have it too.
    target_kind_ : str
        Kind of the target: "regression", or "scores" for several numbers per slide.

    References
    ----------
    .. [1] Tellez et al., "Extending Unsupervised Neural Image Compression With Supervised Multitask Learning",
       MIDL 2020. https://proceedings.mlr.press/v121/tellez20a.html

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import GridCNNRegressor
    >>> grids = [np.full((4, 6, 6), i, np.float32) for i in range(8)]
    >>> GridCNNRegressor(max_steps=32, random_state=0).fit(grids, range(8)).predict(grids).shape
    (8,)
    """

    target_kind = Regression.name

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @followed
    def fit(
        self, X: Any, y: ArrayLike, *, groups: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.
        y : array-like of floats (n,) or (n, n_outputs)
            One or more numbers per grid. Of several, NaN is a missing label, which adds nothing to the loss.
        groups : array-like (n,), default=None
            Patient of each grid; a patient is never on both sides of the validation split.
        sample_weight : array-like (n,), default=None
            Weight of each grid in the loss; grids of weight 0 are not used. None gives all grids the same weight.

        Returns
        -------
        self : GridCNNRegressor
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is invalid; the message names it. A grid without any known label is.
        DegenerateDataError
            If the target cannot be learnt: all grids belong to one patient, or one of several targets does not vary.
        TrainingInterrupted
            On Ctrl-C; the estimator then has the best weights so far, if there are any.
        """
        grids = self._read(X, y, groups, sample_weight)
        weights = SlideWeights.read(sample_weight, len(grids))
        y = self._read_numbers(grids, y, weights)
        grids, groups = weights.select(grids, groups)
        standardized = (y - self.target_mean_) / self.target_scale_
        losses = (masked_mse, weighted_masked_mse) if np.isnan(y).any() else (functional.mse_loss, weighted_mse)
        loss = weights.loss(*losses)
        self._fit_net(
            grids,
            weights.targets(torch.from_numpy(standardized.astype(np.float32))),
            loss=loss,
            n_outputs=y.shape[1],
            strata=quantile_bins(np.nanmean(standardized, axis=1)),
            groups=groups,
            # Batches differ in how many labels are known, so the mean of their losses is not that of all labels.
            callbacks=[CohortLoss(loss)] if np.isnan(y).any() else [],
        )
        return self

    def _read_numbers(self, grids: list, y: Any, weights: SlideWeights) -> np.ndarray:
        """Numbers (n_rows, n_outputs) of the slides that are learnt from; NaN is missing."""
        kind = kind_of(self, y)
        y = check_array(kind.read(y), ensure_2d=False, dtype=np.float64, input_name="y", ensure_all_finite="allow-nan")
        check_consistent_length(grids, y)
        self.target_kind_, self.y_ndim_ = kind.name, y.ndim
        kind.check(y[weights.rows])
        y = y.reshape(len(y), -1)[weights.rows]
        self.target_mean_ = weights.average(y)
        spread = np.sqrt(weights.average((y - self.target_mean_) ** 2))
        self.target_scale_ = np.where(spread > 0, spread, 1.0)
        return y

    def predict(self, X: Any) -> np.ndarray:
        """Predict the numbers of each grid.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.

        Returns
        -------
        float array (n,) or (n, n_outputs)
            Predictions, with as many dimensions as y had.
        """
        y = self._predict_members(X).mean(axis=0)
        return y[:, 0] if self.y_ndim_ == 1 else y

    def _predict_members(self, X):
        return self._outputs(X) * self.target_scale_ + self.target_mean_

    def _explained(self, outputs, column):
        """The output in the target's units."""
        return super()._explained(outputs, column) * float(self.target_scale_[column])
