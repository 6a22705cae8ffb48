"""TaskSelector: which tasks should an encoder be trained on? The paper's open question, as a search."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted

from sknic.encoders.labels import to_frame
from sknic.exceptions import DegenerateDataError
from sknic.learning.params import Rule, check_params, choice, instance, integer, level, nothing

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sknic.encoders.multitask import MultitaskEncoder


_RULES: dict[str, Rule] = {
    "encoder": Rule(
        lambda value: hasattr(value, "fit") and hasattr(value, "tasks"), "an encoder with a parameter tasks"
    ),
    "scoring": Rule(callable, "a function of the fitted encoder"),
    "strategy": choice("forward", "backward", "exhaustive"),
    "tasks": instance(list, tuple, np.ndarray, name="a list of names of tasks") | nothing,
    "n_jobs": integer(1) | integer(high=-1) | nothing,
    "verbose": level,
}


class TaskSelector(MetaEstimatorMixin, TransformerMixin, BaseEstimator):
    """Search for the tasks that make the best encoder (paper, section 5: "which tasks to select").

    Parameters
    ----------
    encoder : MultitaskEncoder
        Encoder to train: this one, or any other with a parameter `tasks` and `fit(X, y, groups, centers)`; it is cloned
        for each subset.
    scoring : callable (fitted encoder) -> float
        Quality of an encoder (higher is better), for instance the cross-validated score of a pipeline on slides
        compressed with the encoder.
    strategy : {"forward", "backward", "exhaustive"}, default="forward"
        "forward" adds the most helpful task until none helps; "backward" removes the most harmful task until all
        help; "exhaustive" tries every subset.
    tasks : list of str, default=None
        Candidates; all columns of y by default.
    n_jobs : int, default=None
        Number of subsets to try at once; one by default.
    verbose : int, default=0
        Verbosity; above 0, one line is printed per subset.

    Attributes
    ----------
    best_tasks_ : list of str
        Tasks of the best subset.
    best_score_ : float
        Score of its encoder.
    best_encoder_ : encoder
        Encoder fitted on `best_tasks_`.
    results_ : DataFrame
        One row per subset in the order tried: a bool column for each candidate, n_tasks, score and seconds. The bool
        columns and the score are what `task_inclusion` and `by_task_count` take.

    Examples
    --------
    >>> from sknic import MultitaskEncoder, TaskSelector
    >>> selector = TaskSelector(MultitaskEncoder(code_size=16), scoring=lambda encoder: 0.5, strategy="backward")
    """

    def __init__(
        self,
        encoder: MultitaskEncoder,
        *,
        scoring: Callable,
        strategy: str = "forward",
        tasks: list[str] | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.encoder = encoder
        self.scoring = scoring
        self.strategy = strategy
        self.tasks = tasks
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: np.ndarray, y: Any, groups: ArrayLike | None = None, centers: ArrayLike | None = None) -> Self:
        """Train and score an encoder for each subset of the search.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3), RGB
            Patches.
        y : DataFrame or array (n, n_tasks)
            Labels, one column per task, as in `MultitaskEncoder.fit`.
        groups, centers : array-like (n,), default=None
            Source and center of each patch, as in `MultitaskEncoder.fit`.

        Returns
        -------
        self : TaskSelector
            Selector with its best encoder.

        Raises
        ------
        ValueError
            If a parameter is invalid, or names a task that y does not have.
        DegenerateDataError
            If no subset has a score.
        """
        check_params(self, _RULES)
        y = to_frame(y, len(X))
        candidates = list(y.columns) if self.tasks is None else list(self.tasks)
        unknown = set(candidates) - set(y.columns)
        if unknown or not candidates or len(set(candidates)) < len(candidates):
            raise ValueError(
                f"tasks={self.tasks!r}: expected one or more different columns of y, {', '.join(y.columns)}"
            )
        search = _Search(self, (X, y, groups, centers), candidates)
        getattr(search, self.strategy)()
        if search.best[0] is None:
            raise DegenerateDataError(f"scoring returned NaN for all {len(search.rows)} subsets of tasks")
        self.best_tasks_, self.best_score_, self.best_encoder_ = search.best
        self.results_ = search.table()
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Embed patches with the best encoder.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3), RGB
            Patches.

        Returns
        -------
        float32 array (n, C)
            One embedding per patch.
        """
        check_is_fitted(self)
        return self.best_encoder_.transform(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class _Search:
    """One search: what was tried, and the best so far."""

    def __init__(self, selector, data, candidates):
        self.selector, self.data, self.candidates = selector, data, candidates
        self.rows = []
        self.best = (None, float("-inf"), None)

    def exhaustive(self):
        n = len(self.candidates)
        self._try([subset for size in range(1, n + 1) for subset in combinations(self.candidates, size)])

    def forward(self):
        chosen, improved = (), True
        while improved and len(chosen) < len(self.candidates):
            improved = self._try([self._ordered({*chosen, task}) for task in self.candidates if task not in chosen])
            chosen = self.best[0]

    def backward(self):
        improved = self._try([tuple(self.candidates)])
        while improved and len(self.best[0]) > 1:
            improved = self._try([tuple(t for t in self.best[0] if t != task) for task in self.best[0]])

    def _ordered(self, tasks):
        return tuple(task for task in self.candidates if task in tasks)

    def _try(self, subsets):
        """Train and score subsets; whether one of them is better than all before."""
        selector, before = self.selector, self.best[1]
        jobs = (delayed(_evaluate)(selector.encoder, selector.scoring, subset, self.data) for subset in subsets)
        for subset, (encoder, score, seconds) in zip(subsets, Parallel(selector.n_jobs, return_as="generator")(jobs)):
            self.rows.append({**{t: t in subset for t in self.candidates}, "score": score, "seconds": seconds})
            if selector.verbose > 0:
                print(f"{score:.4f}  {', '.join(subset)}", flush=True)  # noqa: T201
            if score > self.best[1]:
                self.best = (list(subset), score, encoder)
        return self.best[1] > before

    def table(self):
        table = pd.DataFrame(self.rows)
        table.insert(len(self.candidates), "n_tasks", table[self.candidates].sum(axis=1))
        return table


def _evaluate(encoder, scoring, tasks, data):
    """Fitted encoder, score and seconds for one subset of tasks."""
    start = time.perf_counter()
    X, y, groups, centers = data
    encoder = clone(encoder).set_params(tasks=list(tasks)).fit(X, y, groups=groups, centers=centers)
    return encoder, float(scoring(encoder)), time.perf_counter() - start
