"""GridCoxSurvival: the risk of a patient from the grid of a slide."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_consistent_length, check_is_fitted
from sksurv.metrics import concordance_index_censored

from sknic.estimators.base import RULES, CohortLoss, GridEstimator
from sknic.estimators.cox import (
    as_survival,
    baseline_hazard,
    check_events,
    cox_loss,
    cumulative_hazard_functions,
    survival_functions,
)
from sknic.learning.params import choice

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def risk_loss(output, target, ties):
    """`cox_loss` of a network's output (n, 1) and targets (n, 2) of event and time."""
    return cox_loss(output[:, 0], target[:, 0] > 0, target[:, 1], ties)


class GridCoxSurvival(GridEstimator):
    """The paper's CNN on grids with one risk unit, trained on Cox's partial likelihood.

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
        Crops of a training batch. The likelihood compares the
        slides of a batch, each with its share of events; as large as the cohort, it compares all.
    max_epochs : int
    min_batches : int
        Fewest batches of an epoch, which is one pass over the training grids or as many as that takes: small cohorts
        need some before the validation loss means anything.
    patience : int
        Epochs without a better validation loss that make a plateau.
    validation_fraction : float or None
        Share of the grids (by patient when `fit` gets groups; stratified by event) that decides on plateaus
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
    ties : "efron" or "breslow"
        How events at the same time are counted.

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
    mean_risk_ : float
        Mean output of the network over the slides of `fit`, taken off every risk.
    event_times_, baseline_hazard_ : float arrays (m,)
        The distinct times of `fit`, ascending, and Breslow's cumulative hazard of a slide with risk 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import GridCoxSurvival
    >>> grids = [np.full((4, 6, 6), i, np.float32) for i in range(8)]
    >>> y = np.ones(8, bool), np.arange(8, 0, -1.0)
    >>> GridCoxSurvival(max_epochs=1, random_state=0).fit(grids, y).predict(grids).shape
    (8,)
    """

    _rules = {**RULES, "ties": choice("efron", "breslow")}

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
        ties: str = "efron",
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
        self.ties = ties

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: np.ndarray, groups: ArrayLike | None = None) -> Self:
        """Train the network, then estimate the baseline hazard.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        y : structured array of event and time (scikit-survival's `Surv`), DataFrame with columns "event" and
            "time", or pair (event, time)
        groups : array-like (n,), optional
            Patient of each grid; a patient is never on both sides of the validation split.
        """
        grids = self._read(X, y, groups)
        event, time = self._read_target(y)
        check_consistent_length(grids, event)
        loss = partial(risk_loss, ties=self.ties)
        self._fit_net(
            grids,
            # Only the order of times counts; ranks keep it exact in float32.
            torch.from_numpy(np.stack([event, np.unique(time, return_inverse=True)[1]], axis=1).astype(np.float32)),
            loss=loss,
            n_outputs=1,
            strata=event.astype(int),
            groups=groups,
            callbacks=[CohortLoss(loss)],
        )
        risk = self._predict_outputs(X)[:, 0]
        # The likelihood leaves the level of the risk free; centred, the models of several folds can be pooled.
        self.mean_risk_ = float(risk.mean())
        self.event_times_, self.baseline_hazard_ = baseline_hazard(risk - self.mean_risk_, event, time)
        return self

    def _split(self, n, groups, strata, random):
        train_rows, valid_rows = super()._split(n, groups, strata, random)
        check_events(strata[train_rows], "training samples")
        if len(valid_rows):
            check_events(strata[valid_rows], "validation samples")
        return train_rows, valid_rows

    def _read_target(self, y):
        return as_survival(y)

    def predict(self, X: Any) -> np.ndarray:
        """Risk, the log of the hazard ratio to the mean slide of `fit`: float (n,), higher for shorter survival.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        """
        return self._predict_outputs(X)[:, 0] - self.mean_risk_

    def predict_survival_function(self, X: Any, return_array: bool = False) -> Any:
        """Probability of surviving each time.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        return_array : bool
            Give the values at `event_times_`, float (n, m), instead of scikit-survival's StepFunctions (n,).
        """
        functions = survival_functions(self.predict(X), self.event_times_, self.baseline_hazard_)
        return self._evaluated(functions) if return_array else functions

    def predict_cumulative_hazard_function(self, X: Any, return_array: bool = False) -> Any:
        """Cumulative hazard at each time.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        return_array : bool
            Give the values at `event_times_`, float (n, m), instead of scikit-survival's StepFunctions (n,).
        """
        functions = cumulative_hazard_functions(self.predict(X), self.event_times_, self.baseline_hazard_)
        return self._evaluated(functions) if return_array else functions

    def _evaluated(self, functions):
        return np.array([function(self.event_times_) for function in functions])

    def score(self, X: Any, y: Any) -> float:
        """Concordance index (Harrell) of the predicted risks.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
        y : as in `fit`
        """
        check_is_fitted(self, "net_")
        event, time = self._read_target(y)
        return float(concordance_index_censored(event, time, self.predict(X))[0])
