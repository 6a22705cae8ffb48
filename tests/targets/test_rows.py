"""Labels that were sorted alone are not paired with the slides of others."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from sknic import CrossValEnsemble, Grid, GridCNNClassifier, GridCNNRegressor, MultitaskEncoder
from sknic.evaluation import (
    SlideAndTable,
    accuracy,
    added_value,
    aggregate,
    auc,
    balanced_accuracy,
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
from sknic.targets import Classification
from sknic.targets.rows import check_paired

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
    check_paired(y=patients, groups=patients + 1)
    with pytest.raises(ValueError, match="y and groups have the same index in another order: row 0 is a in y and b in"):
        check_paired(y=patients, groups=patients[::-1])


@pytest.mark.parametrize("form", [str, Path, os.path.basename, lambda path: Path(path).stem])
@pytest.mark.parametrize("kind", ["paths", "grids"])
def test_an_index_that_names_the_slides_has_to_be_in_their_order(form, kind):
    paths = [f"/slides/{name}.svs" for name in "abc"]
    slides = paths if kind == "paths" else [Grid(np.ones((1, 2)), [[0, 0]], (1, 1), slide=path) for path in paths]
    y = pd.Series([1.0, 2.0, 3.0], index=[form(path) for path in paths])
    check_paired(X=slides, y=y)
    check_paired(X=slides, y=y.iloc[::-1].to_numpy())
    check_paired(X=slides, y=y.iloc[[2, 0, 1]].reset_index(drop=True))
    with pytest.raises(ValueError, match="X and y have the same slides in another order: row 0 is .*a.* in X and .*c"):
        check_paired(X=slides, y=y.iloc[::-1])


def test_labels_of_slides_in_another_order_are_not_learnt():
    grids = [Grid(np.full((4, 2), i), np.argwhere(np.ones((2, 2))), (2, 2), slide=f"/slides/{i}.svs") for i in range(4)]
    y = pd.Series(np.arange(4.0), index=[f"{i}.svs" for i in range(4)])
    for model in (GridCNNRegressor(max_steps=1, device="cpu"), CrossValEnsemble(Ridge())):
        with pytest.raises(ValueError, match="same slides in another order"):
            model.fit(grids, y[::-1])


def test_columns_have_to_be_in_one_order():
    table = pd.DataFrame(np.arange(12.0).reshape(6, 2), columns=["a", "b"])
    with pytest.raises(ValueError, match="y_true and prediction have the same columns in another order: column 0 is a"):
        spearman(table, table[["b", "a"]])
    assert spearman(table, table) == spearman(table, table[["b", "a"]].set_axis(["c", "d"], axis=1)) == 1


@pytest.mark.parametrize("classes", [["normal", "tumor"], ["a", "b", "c"]])
def test_probabilities_are_in_the_order_of_the_classes(classes):
    truth = pd.Series(classes * 6)
    scores = pd.DataFrame({name: 1.0 * (truth == name) for name in classes})
    assert auc(truth, scores) == 1
    assert auc(truth, scores[classes[::-1]].to_numpy()) < 1
    for measure in (auc, lambda *y: estimate("auc", *y), lambda y, p: compare("auc", y, scores, p)):
        with pytest.raises(ValueError, match="sorted order|the same columns in another order"):
            measure(truth, scores[classes[::-1]])


def test_targets_are_scored_in_the_order_of_the_training():
    grids = [np.full((2, 3, 3), i, np.float32) for i in range(6)]
    y = pd.DataFrame({"a": np.arange(6.0), "b": -np.arange(6.0)})
    single = GridCNNRegressor(max_steps=2, n_filters=4, device="cpu", random_state=0)
    ensemble = CrossValEnsemble(single, cv=2, baseline=False)
    for model in (single, ensemble):
        model.fit(grids, y)
        assert np.isfinite(model.score(grids, y))
        with pytest.raises(ValueError, match=r"y has the columns \['b', 'a'\]; the model was fitted on \['a', 'b'\]"):
            model.score(grids, y[["b", "a"]])


def test_weights_are_not_taken_for_patients():
    with pytest.raises(TypeError, match="positional argument"):
        GridCNNRegressor().fit(list(np.zeros((4, 2, 3, 3))), np.arange(4.0), np.ones(4))


@pytest.mark.parametrize("word", ["nan", "NaN", "unknown", "None", "[Not Available]"])
def test_a_word_for_a_missing_patient_is_not_the_name_of_one(word):
    """As `astype(str)` makes of an empty cell."""
    patients = ["p1", word, "p2", word]
    truth, score = [0, 1, 0, 1], [0.1, 0.9, 0.2, 0.8]
    for use in (
        lambda: estimate("auc", truth, score, groups=patients),
        lambda: aggregate(score, patients),
        lambda: CrossValEnsemble(Ridge(), cv=2).fit(np.eye(4), score, groups=patients),
        lambda: GridCNNRegressor(max_steps=1).fit(list(np.zeros((4, 2, 3, 3))), score, groups=patients),
    ):
        with pytest.raises(ValueError, match=re.escape(f"[1]={word!r} stands for a missing value")):
            use()


@pytest.mark.parametrize("word", ["nan", "NA", "<NA>"])
def test_a_word_for_a_missing_label_is_not_a_class(word):
    labels = np.array(["a", "b", word, "a"])
    for use in (
        lambda: Classification().read(labels),
        lambda: accuracy(labels, labels),
        lambda: auc(labels, np.eye(3)[[0, 1, 2, 0]]),
    ):
        with pytest.raises(ValueError, match=re.escape(f"[2]={word!r} stands for a missing value")):
            use()
    assert accuracy(["None", "some"], ["None", "some"]) == 1  # a finding like any other


def test_models_of_different_targets_are_not_averaged():
    grids = list(np.random.default_rng(0).normal(size=(6, 2, 3, 3)))
    quick = {"max_steps": 1, "n_filters": 2, "device": "cpu", "random_state": 0}
    of_two, of_others = (GridCNNClassifier(**quick).fit(grids, names * 3) for names in (["a", "b"], ["b", "c"]))
    with pytest.raises(ValueError, match=r"expected models of one target; found \['a', 'b'\] and \['b', 'c'\]"):
        CrossValEnsemble.from_models([of_two, of_others])
    with pytest.raises(ValueError, match="found classification and regression"):
        CrossValEnsemble.from_models([of_two, GridCNNRegressor(**quick).fit(grids, np.arange(6.0))])


def test_the_values_under_a_mask_are_not_used():
    truth = np.ma.array([0.1, -999.0, 0.3, 0.4], mask=[False, True, False, False])
    score, patients = np.arange(4.0), ["P1", "P2", "P3", "P4"]
    hidden = np.ma.array(np.arange(4), mask=truth.mask)
    for use in (
        lambda: spearman(truth, score),
        lambda: estimate("spearman", score, truth),
        lambda: estimate("spearman", score, score, groups=hidden),
        lambda: CrossValEnsemble(Ridge(), cv=2).fit(np.eye(4), truth),
        lambda: GridCNNRegressor(max_steps=1).fit(list(np.zeros((4, 2, 3, 3))), truth, groups=patients),
    ):
        with pytest.raises(ValueError, match=r"\[1\] is masked; expected a value for each sample"):
            use()
    assert spearman(np.ma.array(score), score) == 1  # nothing is masked


def test_a_label_in_two_cases_is_not_two_labels():
    for use in (accuracy, balanced_accuracy):
        with pytest.raises(ValueError, match="y_true and y_pred: 'Low' and 'low' differ only in case"):
            use(["Low", "High", "Low"], ["low", "High", "low"])
    assert accuracy(["Low", "High", "Low"], ["Low", "High", "High"]) == 2 / 3


def test_patients_are_one_column():
    score, two = np.arange(4.0), pd.DataFrame({"patient": list("aabb"), "center": list("cdcd")})
    for use in (
        lambda: estimate("spearman", score, score, groups=two),
        lambda: estimate("spearman", score, score, groups=two["patient"].to_numpy()[:, np.newaxis]),
        lambda: CrossValEnsemble(Ridge(), cv=2).fit(np.eye(4), score, groups=two),
    ):
        with pytest.raises(ValueError, match=r"has shape \(4, .\): expected one name for each sample"):
            use()
