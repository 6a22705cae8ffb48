"""Labels that were sorted alone are not paired with the slides of others."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from sknic import CrossValEnsemble, GridCNNRegressor, MultitaskEncoder
from sknic.evaluation import (
    SlideAndTable,
    accuracy,
    added_value,
    aggregate,
    by_patient,
    by_task_count,
    compare,
    compare_auc,
    concordance,
    estimate,
    hazard_ratio,
    log_rank,
    net_benefit,
    rejection_curve,
    spearman,
    split_by_risk,
    survival_scores,
    task_inclusion,
)
from sknic.plotting import RocDisplay, ScatterDisplay
from sknic.targets.rows import check_same_order

N = 12
TRUTH = pd.Series(np.arange(N) % 2, index=[f"slide {i}" for i in range(N)])
SCORE = pd.Series(np.linspace(0.1, 0.9, N), index=TRUTH.index)
SORTED = SCORE.sort_values(ascending=False)
TABLE = pd.DataFrame({"event": TRUTH == 1, "time": np.arange(1.0, N + 1)})
X = pd.DataFrame({"grid": list(np.zeros((N, 2))), "age": SCORE})
PATCHES = np.zeros((N, 64, 64, 3), np.uint8)
SWAPPED = {
    "estimate": lambda: estimate("auc", TRUTH, SORTED),
    "estimate, patients": lambda: estimate("auc", TRUTH, SCORE.to_numpy(), groups=SORTED),
    "compare": lambda: compare("auc", TRUTH, SCORE, SORTED),
    "compare_auc": lambda: compare_auc(TRUTH, SCORE, SORTED),
    "spearman": lambda: spearman(SCORE, SORTED),
    "accuracy": lambda: accuracy(TRUTH, SORTED > 0.5),
    "concordance": lambda: concordance(TABLE, SORTED),
    "net_benefit": lambda: net_benefit(TRUTH, SORTED),
    "rejection_curve": lambda: rejection_curve("auc", TRUTH, SCORE, SORTED),
    "split_by_risk": lambda: split_by_risk(TABLE, SORTED),
    "log_rank": lambda: log_rank(TABLE, SORTED > 0.5),
    "hazard_ratio": lambda: hazard_ratio(TABLE, SORTED > 0.5),
    "survival_scores": lambda: survival_scores(TABLE, SORTED, None),
    "aggregate": lambda: aggregate(SCORE, SORTED),
    "by_patient": lambda: by_patient(list(range(N)), SORTED, TRUTH),
    "task_inclusion": lambda: task_inclusion(TRUTH.to_frame("a"), SORTED),
    "by_task_count": lambda: by_task_count(TRUTH.to_frame("a"), SORTED),
    "scatter": lambda: ScatterDisplay.from_predictions(SCORE, SORTED),
    "roc": lambda: RocDisplay.from_predictions(TRUTH, SCORE.to_numpy(), groups=SORTED),
    "ensemble": lambda: CrossValEnsemble(Ridge()).fit(X[["age"]], SORTED),
    "ensemble, weights": lambda: CrossValEnsemble(Ridge()).fit(X[["age"]], SCORE, sample_weight=SORTED),
    "estimator, patients": lambda: GridCNNRegressor().fit(np.ones((N, 2)), SCORE, groups=SORTED),
    "slide and table": lambda: SlideAndTable(Ridge()).fit(X, SORTED),
    "added_value": lambda: added_value(SlideAndTable(Ridge()), X, SCORE.to_numpy(), groups=SORTED),
    "encoder, sources": lambda: MultitaskEncoder().fit(PATCHES, TRUTH.to_frame("a"), groups=SORTED),
}


@pytest.mark.parametrize("name", SWAPPED)
def test_rows_in_another_order_are_refused(name):
    with pytest.raises(ValueError, match="have the same index in another order: row 0 is slide 0 in .* slide 11 in"):
        SWAPPED[name]()


def test_rows_are_paired_by_position_where_their_indices_say_nothing():
    wanted = estimate("auc", TRUTH.to_numpy(), SORTED.to_numpy()).value
    assert estimate("auc", TRUTH, SORTED.to_numpy()).value == wanted
    assert estimate("auc", TRUTH, SORTED.reset_index(drop=True)).value == wanted
    assert estimate("auc", TRUTH, SORTED[TRUTH.index]).value == estimate("auc", TRUTH, SCORE).value != wanted


def test_several_slides_of_one_name_are_compared_too():
    patients = pd.Series([1, 2, 3], index=["a", "a", "b"])
    check_same_order(y=patients, groups=patients + 1)
    with pytest.raises(ValueError, match="y and groups have the same index in another order: row 0 is a in y and b in"):
        check_same_order(y=patients, groups=patients[::-1])
