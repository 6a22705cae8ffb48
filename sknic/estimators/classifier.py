"""GridCNNClassifier: predict the class of a slide from its grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_consistent_length

from sknic.estimators.base import RULES, GridEstimator
from sknic.estimators.cohort_loss import CohortLoss
from sknic.estimators.known_score import KnownScore
from sknic.estimators.outputs import OUTPUTS
from sknic.estimators.weights import SlideWeights
from sknic.learning.followed import followed
from sknic.learning.params import choice, flag, instance, nothing
from sknic.targets import Classification, kind_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class GridCNNClassifier(KnownScore, ClassifierMixin, GridEstimator):
    """The paper's CNN on grids, trained to distinguish classes of slides, or to find several labels per slide [1]_.

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
        Fraction of the grids (by patient when `fit` gets groups; stratified by class) that is held
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
    balanced : bool, default=True
        Whether batches contain equally many grids of each class (rare ones are repeated) and the validation loss
        weights classes equally; probabilities then assume that the classes are equally frequent. With several labels,
        the loss gives slides with and without each label the same weight instead.
    class_weight : "balanced", dict of label to float, or None, default=None
        Weights of the classes in the loss, as in scikit-learn, multiplied by `sample_weight`; batches then contain each
        class in proportion, whatever `balanced` is. A saved model does not keep a dict of weights. None for several
        labels.

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
    classes_ : array (n_classes,)
        Labels of the classes, sorted; for several labels their numbers, from 0.
    target_kind_ : str
        Kind of the target: "classification", or "labels" for several labels per slide.

    References
    ----------
    .. [1] Tellez et al., "Extending Unsupervised Neural Image Compression With Supervised Multitask Learning",
       MIDL 2020. https://proceedings.mlr.press/v121/tellez20a.html

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import GridCNNClassifier
    >>> grids = [np.full((4, 6, 6), i % 2, np.float32) for i in range(8)]
    >>> GridCNNClassifier(max_steps=32, random_state=0).fit(grids, [i % 2 for i in range(8)]).predict(grids).shape
    (8,)
    """

    target_kind = Classification.name

    _rules = {**RULES, "balanced": flag, "class_weight": choice("balanced") | instance(dict, name="a dict") | nothing}

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
        max_steps: int = 1500,
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
        balanced: bool = True,
        class_weight: str | dict | None = None,
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
        self.balanced = balanced
        self.class_weight = class_weight

    @followed
    def fit(
        self, X: Any, y: ArrayLike, *, groups: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train the network.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.
        y : array-like of labels (n,), or of 0, 1 and NaN (n, n_labels)
            Class of each grid; or, for several labels per grid, whether each is there, NaN if nobody knows.
        groups : array-like (n,), default=None
            Patient of each grid; a patient is never on both sides of the validation split.
        sample_weight : array-like (n,), default=None
            Weight of each grid in the loss; grids of weight 0 are not used. None gives all grids the same weight.

        Returns
        -------
        self : GridCNNClassifier
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter, X or y is invalid; the message names it. A grid without any known label is.
        DegenerateDataError
            If the target cannot be learnt: it has one class, or a label is there on all grids or on none.
        TrainingInterrupted
            On Ctrl-C; the estimator then has the best weights so far, if there are any.
        """
        grids = self._read(X, y, groups, sample_weight)
        self.target_kind_ = kind_of(self, y).name
        y = self._meaning.read(y)
        check_consistent_length(grids, y)
        weights = SlideWeights.read(sample_weight, len(grids))
        lesson = self._meaning.lesson(y, weights, balanced=self.balanced, class_weight=self.class_weight)
        self.classes_ = lesson.classes
        grids, groups = weights.select(grids, groups)
        self._fit_net(
            grids,
            lesson.targets,
            loss=lesson.loss,
            n_outputs=len(self.classes_),
            strata=lesson.strata,
            groups=groups,
            balanced=lesson.balanced,
            constant=lesson.constant,
            callbacks=[CohortLoss(lesson.loss)],
        )
        return self

    @property
    def _meaning(self):
        """What the outputs of the network mean; models in older files have one class per slide."""
        return OUTPUTS[vars(self).get("target_kind_", self.target_kind)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.

        Returns
        -------
        float array (n, n_classes)
            Probabilities, in the order of `classes_`; for several labels, that of each to be there.
        """
        return self._predict_members(X).mean(axis=0)

    def _link(self, output):
        return self._meaning.probabilities(output)

    def predict(self, X: Any) -> np.ndarray:
        """Predict the most probable class, or which labels are more probable than not.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.

        Returns
        -------
        array (n,), or int array (n, n_labels)
            Labels, as y had them; for several labels, 1 if the probability is above one half.
        """
        return self._meaning.kind.labels(self.predict_proba(X), self.classes_)

    def _explained(self, outputs, column):
        """The log odds of a class or label."""
        return self._meaning.log_odds(outputs, column)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
