"""Does a model use where tissue is, or only what there is and how much of it?"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from sknic.estimators.base import GridEstimator
from sknic.estimators.network import AttentionMIL
from sknic.estimators.parameters import with_module
from sknic.estimators.reading import read_grids
from sknic.evaluation.bootstrap import check_interval, compare
from sknic.evaluation.ensemble import CrossValEnsemble
from sknic.evaluation.metrics import chosen_metric
from sknic.evaluation.results import Comparison, Estimate, format_p
from sknic.exceptions import NothingLearntWarning
from sknic.grids import Grid
from sknic.learning.randomness import make_random

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# What the estimators compare before they take grids together.
_KEPT = ("mpp", "patch_size", "stride", "slide", "fingerprint")


@dataclass(frozen=True)
class ArrangementTest:
    """Result of :func:`arrangement_test`: what a model loses without the positions of cells.

    Attributes
    ----------
    metric : str
        Name of the metric.
    shuffled : Comparison
        The model on the grids as they are (`a`) against the same model on shuffled ones (`b`), out of fold.
    attention : Comparison or None
        The model on the grids as they are against attention over the bag of cells; None if it was not asked for.
    pooled : Comparison or None
        The model on the grids as they are against mean embedding and a linear model; None if that cannot be fitted.
    chance : float or None
        Score of a model that has learnt nothing; None if unknown.
    """

    metric: str
    shuffled: Comparison
    attention: Comparison | None
    pooled: Comparison | None
    chance: float | None

    @property
    def used(self) -> bool:
        """Whether the model has learnt something and the interval of what it loses is above zero.

        Of a metric of the user it is not known whether higher is better, so nothing is shown.
        """
        learnt = self.chance is not None and self.shuffled.a.low > self.chance
        return bool(learnt and self.shuffled.difference.low > 0)

    @property
    def scores(self) -> dict[str, Estimate]:
        """Score of the model with cells in place, and of the rivals that cannot use positions."""
        others = {"attention over the bag": self.attention, "mean embedding, linear": self.pooled}
        known = {name: comparison.b for name, comparison in others.items() if comparison is not None}
        return {"cells in place": self.shuffled.a, "cells shuffled": self.shuffled.b, **known}

    def __str__(self) -> str:
        found, loss = self.shuffled, self.shuffled.difference
        scores = f"{self.metric} {found.a} with cells in place, {found.b} with cells shuffled within each slide"
        others = {"attention over the bag reaches": self.attention, "mean embedding and a linear model": self.pooled}
        known = [f"{name} {comparison.b.value:.3f}" for name, comparison in others.items() if comparison is not None]
        bags = f"; {', '.join(known)}" if known else ""
        verdict = (
            "The arrangement of tissue is used"
            if self.used
            else "It is not shown that the arrangement of tissue is used"
        )
        unknown = "; the chance level of this metric is not known" if self.chance is None else ""
        return f"{verdict}: {scores} (difference {loss}, {format_p(found.p_value)}){bags}{unknown}."


def arrangement_test(
    estimator: GridEstimator,
    X: Any,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    cv: Any = 4,
    attention: bool = True,
    metric: str | Callable | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    n_jobs: int | None = None,
    random_state: int | np.random.RandomState | None = None,
    verbose: int = 0,
) -> ArrangementTest:
    """Test whether a model uses the position of tissue, which the paper's method keeps and bags of patches lose.

    The estimator is cross-validated twice on the same folds: on the grids as they are, and on grids whose embeddings
    have been shuffled within each slide, for training and testing alike. The outline and the amounts of tissue stay the
    same, so whatever the second model loses was in the arrangement. The verdict is based on that. For comparison, two
    models that cannot use positions learn on the same folds: attention over the bag of cells, and a linear model of the
    mean embedding.

    Parameters
    ----------
    estimator : GridCNNClassifier, GridCNNRegressor or GridCoxSurvival
        Model to test; cloned, never fitted itself.
    X : sequence or object array of n Grids or (C, rows, columns) arrays, or 4-D array
        Grids of more than one cell.
    y : array-like (n,) or (n, n_outputs)
        Target, as the estimator takes it.
    groups : array-like (n,), default=None
        Patient of each slide: no patient is on both sides of a fold, and intervals resample patients.
    cv : int, splitter or iterable of (train, test), default=4
        Folds, as in CrossValEnsemble.
    attention : bool, default=True
        Whether to train the estimator with :class:`~sknic.estimators.AttentionMIL` as its network, too; never if that
        is its network already.
    metric : str or callable, default=None
        Metric as in :func:`sknic.evaluation.estimate`; by default the main metric for the kind of target.
    level : float, default=0.95
        Level of the intervals.
    n_resamples : int, default=1000
        Number of bootstrap resamples.
    n_jobs : int, default=None
        Number of folds fitted at once.
    random_state : int, RandomState or None, default=None
        Seed of folds, of shuffling and, if the estimator has no seed of its own, of training.
    verbose : int, default=0
        1 shows progress.

    Returns
    -------
    ArrangementTest
        Paired differences with intervals, and a sentence (`str`).

    Raises
    ------
    TypeError
        If the estimator does not learn from grids.
    DegenerateDataError
        If the target cannot be cross-validated or scored.

    Notes
    -----
    The interval resamples patients. A network that is trained again scores a little differently; if there are so few
    slides that this variation is large, repeat the test with other seeds before you believe a small difference.

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import GridCNNClassifier
    >>> from sknic.evaluation import arrangement_test
    >>> test = arrangement_test(GridCNNClassifier(), grids, labels, groups=patients)  # doctest: +SKIP
    >>> print(test)  # doctest: +SKIP
    """
    if not isinstance(estimator, GridEstimator):
        raise TypeError(f"estimator={type(estimator).__name__}: expected one that learns from grids, such as GridCNN*")
    check_interval(level, n_resamples, metric)
    model, seed = clone(estimator), make_random(random_state).randint(np.iinfo(np.int32).max)
    if model.random_state is None:
        model.set_params(random_state=seed)
    intact = CrossValEnsemble(model, cv=cv, n_jobs=n_jobs, random_state=seed, verbose=verbose).fit(X, y, groups=groups)
    options = {"metric": metric, "level": level, "n_resamples": n_resamples, "random_state": seed}
    return arrangement_of_ensemble(intact, X, attention=attention, **options)


def arrangement_of_ensemble(
    ensemble: CrossValEnsemble,
    X: Any,
    *,
    attention: bool = True,
    metric: str | Callable | None = None,
    level: float = 0.95,
    n_resamples: int = 1000,
    random_state: int = 0,
) -> ArrangementTest:
    """Do the test of :func:`arrangement_test` for an estimator that has been cross-validated already.

    Parameters
    ----------
    ensemble : CrossValEnsemble
        Fitted on grids. Its folds, `n_jobs` and `verbose` are used again.
    X : sequence or object array of n Grids or (C, rows, columns) arrays, or 4-D array
        The grids that it was fitted on.
    attention, metric, level, n_resamples
        As in :func:`arrangement_test`.
    random_state : int, default=0
        Seed of shuffling and of the resamples.

    Returns
    -------
    ArrangementTest
        Paired differences with intervals, and a sentence (`str`).

    Raises
    ------
    DegenerateDataError
        If the target cannot be scored.
    """
    check_interval(level, n_resamples, metric)
    grids = read_grids(clone(ensemble.estimator), X, reset=True)
    metric = chosen_metric(metric, ensemble.kind_.metrics[0])
    measured: dict[str, Any] = {"level": level, "n_resamples": n_resamples, "random_state": random_state}

    def against(model, grids):
        other = _on_the_same_folds(ensemble, model, grids)
        a, b = (each._for_metric(metric, each.oof_prediction_) for each in (ensemble, other))
        return compare(metric, ensemble.y_, a, b, groups=ensemble.groups_, **measured)

    shuffled = against(ensemble.estimator, shuffle_cells(grids, random_state))
    bag = None
    if attention and ensemble.estimator.module is not AttentionMIL:
        bag = against(with_module(ensemble.estimator, AttentionMIL), grids)
    verdict = ensemble.oof_verdict(metric, **measured)
    return ArrangementTest(verdict.metric, shuffled, bag, verdict.comparison, verdict.chance)


def _on_the_same_folds(ensemble, model, grids):
    """Cross-validate another model, or the same on other grids."""
    other = clone(ensemble).set_params(estimator=model, cv=ensemble.folds_, baseline=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NothingLearntWarning)  # the very thing that is asked
        return other.fit(grids, ensemble.y_, groups=ensemble.groups_, sample_weight=ensemble.sample_weight_)


def shuffle_cells(grids: Any, random_state: int | np.random.RandomState | None = None) -> np.ndarray:
    """Shuffle the embeddings of each grid among its cells; the outline of the tissue stays the same.

    Parameters
    ----------
    grids : sequence of Grid, or of objects with `embeddings`, `cells` and `shape`
        Grids; all stored orientations are shuffled in the same way.
    random_state : int, RandomState or None, default=None
        Seed of the shuffling.

    Returns
    -------
    object array (n,) of Grid
        Grids in memory.
    """
    random = make_random(random_state)
    shuffled = np.empty(len(grids), dtype=object)
    for index, grid in enumerate(grids):
        order = random.permutation(len(grid.cells))
        versions = [np.asarray(version.embeddings)[order] for version in grid.orientations]
        oriented = np.stack(versions[1:]) if len(versions) > 1 else None
        known: dict[str, Any] = {name: getattr(grid, name, None) for name in _KEPT}
        shuffled[index] = Grid(versions[0], grid.cells, grid.shape, oriented_embeddings=oriented, **known)
    return shuffled
