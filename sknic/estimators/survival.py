"""GridCoxSurvival: predict the risk of a patient from the grid of a slide."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from sknic.estimators.base import RULES, GridEstimator
from sknic.estimators.cohort_loss import CohortLoss
from sknic.estimators.cox import check_events, risk_loss
from sknic.estimators.hazard import HazardCurves
from sknic.estimators.weights import SlideWeights
from sknic.exceptions import FewEventsWarning, TrainingInterrupted, warn
from sknic.learning.followed import followed
from sknic.learning.params import choice, integer, nothing
from sknic.targets import Survival, read_survival
from sknic.targets.concordance import concordance_index
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# `max_steps` by default; 600 for 160 slides, and more for more, were measured (docs/recipe.md).
N_PASSES, MIN_STEPS, MAX_STEPS = 60, 600, 1500


def _event_and_time(y):
    target = read_survival(y)
    return target["event"], target["time"]


class GridCoxSurvival(HazardCurves, GridEstimator):
    """The paper's CNN on grids with one output for the risk, trained with Cox's partial likelihood [1]_.

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
    hotspot_branch : bool, default=True
        Whether the highest local densities (of learnt maps of the cells, over 5 x 5 cells) are added to the network's
        outputs, so that survival which one small region decides is learnt from few slides. Takes half as long again;
        False is the paper's network.
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
        Maximum number of crops per training batch. The likelihood compares the slides within a batch, each of which has
        its share of events; a batch as large as the cohort compares all slides.
    max_steps : int or None, default=None
        Number of training batches of each network; "plateau" usually stops earlier. None is 60 passes over the training
        grids, at least 600 batches and at most 1500: events are few, and a longer training memorizes a small cohort.
    eval_every : int, default=32
        Number of training batches between two rows of the history, each with the loss of the validation grids, if
        there are any. For "plateau", several passes over a small cohort, or a whole one over a large cohort.
    patience : int, default=4
        Number of evaluations without a better validation loss that count as a plateau; only for "plateau".
    validation_fraction : float or None, default=None
        Fraction of the grids (by patient when `fit` gets groups; stratified by event) that is held
        out to choose the best weights and to detect plateaus. With None, or fewer than four patients, all grids are
        used for training: "cosine" keeps the last weights, and "plateau" watches the training loss.
    n_members : int, default=3
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
    ties : {"efron", "breslow"}, default="efron"
        How events at the same time are handled.

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
    mean_risk_ : float array (n_members,)
        Mean output of each network over the slides of `fit`, which is subtracted from every risk.
    event_times_, baseline_hazard_ : float arrays (m,)
        The distinct times of `fit`, ascending, and Breslow's cumulative hazard of a slide with risk 0.

    References
    ----------
    .. [1] Tellez et al., "Extending Unsupervised Neural Image Compression With Supervised Multitask Learning",
       MIDL 2020. https://proceedings.mlr.press/v121/tellez20a.html

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import GridCoxSurvival
    >>> grids = [np.full((4, 6, 6), i, np.float32) for i in range(8)]
    >>> y = np.array([(True, time) for time in range(8, 0, -1)], dtype=[("event", bool), ("time", float)])
    >>> GridCoxSurvival(max_steps=32, random_state=0).fit(grids, y).predict(grids).shape
    (8,)
    """

    target_kind = Survival.name

    _rules = {**RULES, "max_steps": integer(1) | nothing, "ties": choice("efron", "breslow")}

    def __init__(
        self,
        *,
        crop_size: int | str = "auto",
        padding: str = "same",
        pooled_branch: bool = True,
        hotspot_branch: bool = True,
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
        max_steps: int | None = None,
        eval_every: int = 32,
        patience: int = 4,
        validation_fraction: float | None = None,
        n_members: int = 3,
        n_crops: int = 10,
        average_orientations: bool = True,
        module: Callable | None = None,
        callbacks: list | None = None,
        device: str | torch.device = "auto",
        n_threads: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        ties: str = "efron",
    ) -> None:
        super().__init__(
            crop_size=crop_size,
            padding=padding,
            pooled_branch=pooled_branch,
            hotspot_branch=hotspot_branch,
            mask_background=mask_background,
            n_filters=n_filters,
            dropout=dropout,
            standardize=standardize,
            l2=l2,
            weight_decay=weight_decay,
            schedule=schedule,
            lr=lr,
            min_lr=min_lr,
            batch_size=batch_size,
            max_steps=max_steps,
            eval_every=eval_every,
            patience=patience,
            validation_fraction=validation_fraction,
            n_members=n_members,
            n_crops=n_crops,
            average_orientations=average_orientations,
            module=module,
            callbacks=callbacks,
            device=device,
            n_threads=n_threads,
            random_state=random_state,
            verbose=verbose,
        )
        self.ties = ties

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _n_steps(self, n_grids):
        return self.max_steps or min(max(MIN_STEPS, math.ceil(N_PASSES * n_grids / self.batch_size)), MAX_STEPS)

    @followed
    def fit(
        self, X: Any, y: np.ndarray, *, groups: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train the network, then estimate the baseline hazard.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.
        y : structured array of event and time (scikit-survival's `Surv`), or DataFrame with columns "event" and "time"
            Whether the event was observed, and the time of the event or of censoring.
        groups : array-like (n,), default=None
            Patient of each grid; a patient is never on both sides of the validation split.
        sample_weight : array-like (n,), default=None
            Weight of each grid in the loss; grids of weight 0 are not used. None gives all grids the same weight.

        Returns
        -------
        self : GridCoxSurvival
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is invalid; the message names it.
        DegenerateDataError
            If the target cannot be learnt: there is no event.
        TrainingInterrupted
            On Ctrl-C; the estimator then has the best weights so far, if there are any.

        Warns
        -----
        FewEventsWarning
            If only one patient has an event: the grids cannot be split, and all are used for training.
        """
        grids = self._read(X, y, groups, sample_weight)
        event, time = _event_and_time(y)
        check_consistent_length(grids, event)
        weights = SlideWeights.read(sample_weight, len(grids))
        grids, groups, event, time = weights.select(grids, groups, event, time)
        loss = partial(risk_loss, ties=self.ties)
        # Only the order of times counts; ranks keep it exact in float32.
        ranks = np.unique(time, return_inverse=True)[1]
        try:
            self._fit_net(
                grids,
                weights.targets(torch.from_numpy(np.stack([event, ranks], axis=1).astype(np.float32))),
                loss=loss,
                n_outputs=1,
                strata=event.astype(int),
                groups=groups,
                callbacks=[CohortLoss(loss)],
            )
        except TrainingInterrupted as interrupt:
            if interrupt.net is not None:
                self._estimate_baseline(self._values(grids)[:, :, 0], event, time, weights.values)
            raise
        self._estimate_baseline(self._values(grids)[:, :, 0], event, time, weights.values)
        return self

    def _learnt_so_far(self, net):
        return {**super()._learnt_so_far(net), "mean_risk_": 0.0}  # the order of the risks is all that is known yet

    def _split(self, n, groups, strata, random):
        train_rows, valid_rows = super()._split(n, groups, strata, random)
        check_events(strata, "samples")
        if strata[train_rows].any() and (strata[valid_rows].any() or not len(valid_rows)):
            return train_rows, valid_rows
        warn(
            f"{strata.sum()} of {n} samples have an event, too few for a validation part with an event: all samples "
            "are used for training, and the training loss determines plateaus and weights",
            FewEventsWarning,
        )
        return np.arange(n), np.arange(0)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the risk of each grid; a higher risk means shorter survival.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.

        Returns
        -------
        float array (n,)
            Log of the hazard ratio to the mean training slide.
        """
        return self._predict_members(X)[:, :, 0].mean(axis=0)

    def _predict_members(self, X):
        return self._outputs(X) - np.reshape(self.mean_risk_, (-1, 1, 1))

    def score(self, X: Any, y: Any) -> float:
        """Return the concordance index (Harrell) of the predicted risks.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.
        y : structured array or DataFrame
            Event and time of each grid, as in `fit`.

        Returns
        -------
        float
            Fraction of the comparable pairs that are ordered correctly.

        Raises
        ------
        DegenerateDataError
            If no pair can be compared: no event, or none before the end of another's follow-up.
        """
        check_is_fitted(self, "net_")
        check_paired(X=X, y=y)
        event, time = _event_and_time(y)
        return concordance_index(event, time, self.predict(X))
