"""What the three grid estimators share: parameters, reading X, maps and files; training and prediction are apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sknic.estimators.crops import Canvas, n_versions
from sknic.estimators.files import ESTIMATORS, write_estimator
from sknic.estimators.members import split_weights
from sknic.estimators.network import GridCNN
from sknic.estimators.parameters import OF_THE_CNN, RULES, check_parameters
from sknic.estimators.prediction import GridPrediction
from sknic.estimators.reading import read_grids
from sknic.estimators.scaling import ChannelScaling
from sknic.estimators.training import GridTraining
from sknic.estimators.views import views_of
from sknic.learning.net import restore
from sknic.learning.params import Rule
from sknic.learning.split import check_groups
from sknic.targets.rows import check_paired, names_of_columns


class GridEstimator(GridTraining, GridPrediction, BaseEstimator):
    """Base of the grid estimators: the training and the mean over crops, without a target.

    A subclass reads y in `fit`, passes a tensor and a loss to `_fit_net`, and converts `_outputs` back in
    `predict`. Rules for additional parameters go into `_rules`, the table that `fit` checks.

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
        Fraction of the grids (by patient when `fit` gets groups; stratified by the target) that is held
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
    """

    _rules: ClassVar[dict[str, Rule]] = RULES

    def __init_subclass__(cls):
        super().__init_subclass__()
        ESTIMATORS.enter(cls)

    def __init__(
        self,
        *,
        crop_size: int | str = "auto",
        padding: str = "same",
        pooled_branch: bool = True,
        hotspot_branch: bool = False,
        mask_background: bool = False,
        n_filters: int = 128,
        dropout: float = 0.2,
        standardize: bool = True,
        l2: float = 0.0,
        weight_decay: float = 1e-2,
        schedule: str = "cosine",
        lr: float = 3e-3,
        min_lr: float = 1e-5,
        batch_size: int = 16,
        max_steps: int | None = 1500,  # None is for survival alone
        eval_every: int = 32,
        patience: int = 4,
        validation_fraction: float | None = None,
        n_members: int = 1,
        n_crops: int = 10,
        average_orientations: bool = True,
        module: Callable | None = None,
        callbacks: list | None = None,
        device: str | torch.device = "auto",
        n_threads: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.crop_size = crop_size
        self.padding = padding
        self.pooled_branch = pooled_branch
        self.hotspot_branch = hotspot_branch
        self.mask_background = mask_background
        self.n_filters = n_filters
        self.dropout = dropout
        self.standardize = standardize
        self.l2 = l2
        self.weight_decay = weight_decay
        self.schedule = schedule
        self.lr = lr
        self.min_lr = min_lr
        self.batch_size = batch_size
        self.max_steps = max_steps
        self.eval_every = eval_every
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.n_members = n_members
        self.n_crops = n_crops
        self.average_orientations = average_orientations
        self.module = module
        self.callbacks = callbacks
        self.device = device
        self.n_threads = n_threads
        self.random_state = random_state
        self.verbose = verbose

    def _read(self, X, y, groups, sample_weight):
        """Grids of X, once the parameters are checked; X, y and groups must be of one length and in one order."""
        check_parameters(self, self._rules)
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        check_paired(X=X, y=y, groups=groups, sample_weight=sample_weight)
        grids = read_grids(self, X, reset=True)
        check_groups(groups, len(grids))
        self.target_names_ = names_of_columns(y)
        if len(grids) < 2:
            raise ValueError("n_samples=1: 1 sample cannot train a network; give 2 grids or more")
        return grids

    def _canvas(self, grids, device):
        """What lays grids out as the network sees them."""
        dtype = np.result_type(*{grid.dtype for grid in grids})
        scaling = None if self.channel_mean_ is None else ChannelScaling(self.channel_mean_, self.channel_scale_)
        return Canvas(self.canvas_, self.n_features_in_, dtype, device, scaling)

    def _module(self, n_outputs):
        """What builds the network: a callable without arguments."""
        if self.module is not None:
            return partial(self.module, self.n_features_in_, n_outputs)
        settings = {name: getattr(self, name) for name in OF_THE_CNN}
        return partial(GridCNN, self.n_features_in_, n_outputs, **settings)

    @property
    def net_(self):
        """The fitted skorch net; of several members, the first."""
        if "nets_" not in vars(self):
            raise AttributeError(f"this {type(self).__name__} is not fitted yet")
        return self.nets_[0]

    def explain(self, grid: Any, of_output: Callable) -> np.ndarray:
        """Map what makes the output for one grid, over all views that a prediction averages.

        Parameters
        ----------
        grid : Grid or array (C, rows, columns)
            One compressed slide.
        of_output : callable (module, crop, output) -> float array (size, size)
            Values of the cells of a crop, tensor (1, C, size, size); `output(outputs, column)` picks the number that
            is explained from the network's outputs (n_outputs,).

        Returns
        -------
        float64 array (rows, columns)
            Mean over the members and the views of the values; where crops overlap, the mean over them. 0 on background.
        """
        check_is_fitted(self, "net_")
        (grid,) = read_grids(self, [grid], reset=False)
        canvas = self._canvas([grid], "cpu")
        views = views_of(grid, n_versions(grid, canvas.size, self.average_orientations))

        def of_crop(crop):
            crop = crop.to(self.net_.device)
            return np.mean([of_output(net.module_, crop, self._explained) for net in self.nets_], axis=0)

        return np.mean([view.map(canvas, of_crop) for view in views], axis=0)

    def _explained(self, outputs, column):
        """The number of a prediction that is explained, from outputs (n_outputs,)."""
        if not 0 <= column < len(outputs):
            raise ValueError(f"target={column}: expected the number of an output, 0 to {len(outputs) - 1}")
        return outputs[column]

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to a safetensors file (not a pickle), which `load_estimator` reads.

        Callbacks, the device and a RandomState are not saved; for a network that is not sknic's, only its name is.

        Parameters
        ----------
        path : str or Path
            File to write; an existing file is replaced once the new one is complete.

        Raises
        ------
        ValueError
            If the network cannot be built again from its weights, as after a change of a parameter that it depends on.
        """
        check_is_fitted(self, "net_")
        write_estimator(path, self)

    def _restore_nets(self, weights):
        module = self._module(self.n_outputs_)
        self.nets_ = [restore(module, of_member, self.device) for of_member in split_weights(weights)]
