"""Which training tasks matter: the analysis in section 4.3 of the paper, for any set of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sknic.evaluation.metrics import spearman
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def task_inclusion(included: pd.DataFrame | Mapping, result: ArrayLike) -> pd.Series:
    """Correlate the inclusion of each task with the result (the paper's Table 2).

    Parameters
    ----------
    included : DataFrame or mapping of bool, shape (n_runs, n_tasks)
        Whether each run used each task; one column per task.
    result : array-like of float, shape (n_runs,)
        Slide-level result of each run, higher is better.

    Returns
    -------
    Series
        Spearman's correlation of each task.

    Raises
    ------
    DegenerateDataError
        If a task is in all runs or in none.
    """
    included = _bools(included, result)
    return pd.Series({task: spearman(result, included[task]) for task in included}, name="spearman")


def by_task_count(included: pd.DataFrame | Mapping, result: ArrayLike) -> pd.DataFrame:
    """Mean, standard deviation and number of the results by number of tasks (the paper's Fig. 3).

    Parameters
    ----------
    included, result
        As in :func:`task_inclusion`.

    Returns
    -------
    DataFrame
        Columns ``mean``, ``std`` (of the sample; 0 for a single run) and ``n``, indexed by the number of tasks.
    """
    count = _bools(included, result).sum(axis=1).to_numpy()
    table = pd.Series(np.asarray(result, dtype=float)).groupby(count).agg(["mean", "std", "count"])
    return table.fillna({"std": 0.0}).rename(columns={"count": "n"}).rename_axis("n_tasks")


def _bools(included, result):
    """Whether each run used each task, a DataFrame of bool; a cast makes True of NaN and of "0"."""
    table = pd.DataFrame(included)
    check_paired(included=table if isinstance(included, pd.DataFrame) else None, result=result)
    wrong = [task for task in table if not table[task].isin([0, 1]).all()]
    if wrong:
        raise ValueError(f"included: column {wrong[0]!r} contains values other than True and False (1 and 0)")
    return table.astype(bool)
