"""Several targets per slide: what is missing, what is refused and by which name, and how each is scored."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, balanced_accuracy_score, r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline

from sknic.cli.cohort import read_targets
from sknic.estimators import GridCNNClassifier, GridCNNRegressor
from sknic.evaluation import accuracy, aggregate, auc, balanced_accuracy, r2, spearman
from sknic.evaluation.verdict import chance_level
from sknic.exceptions import DatasetError, DegenerateDataError
from sknic.targets import Labels, Scores, kind_of
from sknic.targets.known import accuracy_of_known, r2_of_known

NAN = np.nan
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "given",
    [
        [[1, NAN], [2, 3]],
        pd.DataFrame({"a": [1, 2], "b": [None, 3]}, dtype=object),
        pd.DataFrame({"a": [1, 2], "b": pd.array([pd.NA, 3], "Int64")}),
        [["1", None], ["2", "3"]],
    ],
    ids=["nan", "none", "pandas.NA", "text"],
)
def test_what_is_missing_becomes_nan(given):
    y = Scores().read(given)
    assert y.dtype == float
    np.testing.assert_array_equal(y, [[1, NAN], [2, 3]])


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        (
            Scores(),
            [[1, 2], [NAN, NAN], [NAN, NAN]],
            r"y\[1\]: all 2 labels are missing \(2 such rows\); leave out the rows",
        ),
        (Labels(), [[1, 0], [None, None]], r"y\[1\]: all 2 labels are missing; leave"),
        (Scores(), [[1, NAN], [2, np.inf]], r"y\[1, 1\] contains NaN or infinity"),
        (Scores(), [["1", None], ["2", "three"]], r"y\[1, 1\]='three' is not a number"),
        (Labels(), [[1, 0], [NAN, 2]], r"y\[1, 1\]=2: expected 0, 1, or NaN"),
        (Labels(), [[True, None], [False, 1]], "bool among numbers"),
    ],
)
def test_what_is_not_a_label_is_refused_with_its_place(kind, y, message):
    with pytest.raises(ValueError, match=message):
        kind.read(y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([[1, 0], [0, 0], [1, NAN]], "target 1 of y is 0 on all 2 slides whose label is known"),
        ([[1, NAN], [0, NAN]], "target 1 of y is unknown"),
    ],
)
def test_a_target_of_one_value_is_refused_by_its_number(y, message):
    with pytest.raises(DegenerateDataError, match=message):
        Labels().check(np.array(y, float))
    with pytest.raises(DegenerateDataError, match=message.replace(" of y", "").replace("target", "a fold: target")):
        Scores().check_training_part(np.array(y, float), np.arange(len(y)))


def test_a_sparse_y_is_refused_with_what_to_pass():
    with pytest.raises(ValueError, match=r"y is a sparse csr_array: expected a dense array; pass y\.toarray\(\)"):
        GridCNNClassifier(max_steps=2).fit(np.ones((4, 3)), csr_array(np.eye(4)))


def test_the_number_of_columns_decides_which_kind_an_estimator_learns():
    one, two = np.arange(4), np.eye(4)[:, :2]
    for estimator, names in [
        (GridCNNRegressor(), ("regression", "scores")),
        (GridCNNClassifier(), ("classification", "labels")),
        (Ridge(), ("regression", "scores")),
        (make_pipeline(LogisticRegression()), ("classification", "labels")),
    ]:
        assert tuple(kind_of(estimator, y).name for y in (one, two)) == names
        assert kind_of(estimator, one[:, None]).name == names[0]


def test_strata_are_the_rarest_label_of_each_slide():
    y = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [1, NAN, 0], [NAN, 0, 1], [1, 0, 1], [1, 0, NAN]])
    # Label 1 is there once, label 2 twice, label 0 most often.
    np.testing.assert_array_equal(Labels().strata(y), [0, 2, 3, 2, 1, 1, 2])


def test_scores_without_missing_labels_are_those_of_scikit_learn():
    y, found, weights = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 3)), RNG.uniform(1, 2, 30)
    assert r2_of_known(y, found) == pytest.approx(r2_score(y, found)) == r2(y, found)
    assert r2_of_known(y, found, weights) == pytest.approx(r2_score(y, found, sample_weight=weights))
    labels, said = (y > 0).astype(int), (found > 0).astype(int)
    assert accuracy_of_known(labels, said) == accuracy_score(labels, said) == accuracy(labels, said)
    assert accuracy_of_known(labels, said, weights) == pytest.approx(
        accuracy_score(labels, said, sample_weight=weights)
    )
    assert auc(labels, found) == pytest.approx(roc_auc_score(labels, found))


def test_metrics_of_several_targets_are_means_over_the_known_labels_of_each():
    y, found = RNG.normal(size=(40, 3)), RNG.normal(size=(40, 3))
    labels = (y > 0).astype(float)
    for table in (y, labels):
        table[RNG.random((40, 3)) < 0.3] = NAN
    known = [~np.isnan(column) for column in labels.T]
    pairs = [(labels[rows, k], found[rows, k]) for k, rows in enumerate(known)]
    assert auc(labels, found) == pytest.approx(np.mean([roc_auc_score(*pair) for pair in pairs]))
    balanced = [balanced_accuracy_score(true, score > 0) for true, score in pairs]
    assert balanced_accuracy(labels, (found > 0).astype(float)) == pytest.approx(np.mean(balanced))
    frame = pd.DataFrame(y)
    assert spearman(y, found) == pytest.approx(frame.corrwith(pd.DataFrame(found), method="spearman").mean())
    right = [all(np.isnan(true) or true == (score > 0) for true, score in zip(*row)) for row in zip(labels, found)]
    assert accuracy(labels, (found > 0).astype(float)) == pytest.approx(np.mean(right))


def test_a_metric_that_one_target_has_not_names_it():
    with pytest.raises(DegenerateDataError, match="target 1: y_true contains 1 class"):
        auc([[0, 1], [1, 1], [1, NAN]], RNG.random((3, 2)))


def test_chance_of_all_labels_right_is_that_of_the_best_constant_combination():
    y = np.array([[0, 1], [0, 1], [1, 1], [NAN, 1], [1, 0]])
    assert chance_level("accuracy", y) == 3 / 5  # 0 1 agrees with the unknown one as well
    assert chance_level("balanced_accuracy", y) == 0.5 == chance_level("auc", y)


def test_the_best_constant_combination_need_not_be_known_of_any_slide():
    assert chance_level("accuracy", np.array([[1, NAN], [1, NAN], [NAN, 0], [0, 1]])) == 3 / 4  # 1 0


def test_slides_of_a_patient_may_miss_the_same_label():
    y = np.array([[1, NAN], [1, NAN], [0, 2]])
    names, found = aggregate(y, ["anna", "anna", "ben"], how="same")
    np.testing.assert_array_equal(found, [[1, NAN], [0, 2]])
    with pytest.raises(DegenerateDataError, match="slides of patient anna differ"):
        aggregate(np.array([[1, NAN], [1, 3], [0, 2]]), ["anna", "anna", "ben"], how="same")


def test_columns_of_predictions_are_numbered_and_read_back():
    probabilities = np.array([[0.2, 0.9], [0.5, 0.51]])
    table = pd.DataFrame(Labels().columns(np.array([[0, 1], [NAN, 1]]), probabilities, np.arange(2)))
    assert list(table) == [f"{name} {k}" for name in ("target", "prediction", "probability") for k in (0, 1)]
    np.testing.assert_array_equal(table[["prediction 0", "prediction 1"]], [[0, 1], [0, 1]])
    np.testing.assert_array_equal(Labels().prediction_of(table, None), probabilities)
    np.testing.assert_allclose(Labels().scores(np.array([[0.5, 0.9]])), [[0, np.log(9)]])
    table = pd.DataFrame(Scores().columns(np.eye(2), probabilities, None))
    np.testing.assert_array_equal(Scores().prediction_of(table, None), probabilities)


def test_several_targets_are_described_with_what_is_missing():
    y = np.array([[0, 1], [1, NAN], [1, 0]])
    assert Labels().describe(y) == "label 0: 2 of 3 slides; label 1: 1 of 2 slides, 1 missing"
    assert Scores().describe(y) == "target 0: from 0 to 1, median 1; target 1: from 0 to 1, median 0.5, 1 missing"


@pytest.mark.parametrize("task", ["scores", "labels"])
def test_the_command_line_says_that_it_learns_one_target(task, tmp_path):
    pd.DataFrame({"path": ["a.tiff"], "score": [1]}).to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "a.tiff").touch()
    message = f"task='{task}': expected regression, classification or survival; the command line learns one target"
    with pytest.raises(DatasetError, match=message):
        read_targets(tmp_path / "table.csv", task, {"target": "score"}, path="path")


@pytest.mark.parametrize("rows, columns", [(2, 2), (1, 2), (4, 1), (4, 3)])
def test_labels_of_other_slides_or_targets_are_not_scored(rows, columns):
    predicted = np.array([[0, 1], [1, 0], [1, 1], [0, 0]])
    y = np.resize(predicted, (rows, columns)).astype(float)
    for score in (r2_of_known, accuracy_of_known):
        with pytest.raises(ValueError, match=r"y of shape .* and a prediction of shape \(4, 2\): expected the same"):
            score(y, predicted)
    with pytest.raises(ValueError, match=r"sample_weight of shape \(9,\): expected \(4,\)"):
        r2_of_known(predicted.astype(float), predicted, np.ones(9))
