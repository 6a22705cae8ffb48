"""Values at the borders of the measurements: what cannot be paired or ranked is refused, and the numbers are right."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import mean_absolute_error
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sksurv.ensemble import GradientBoostingSurvivalAnalysis
from sksurv.linear_model import CoxPHSurvivalAnalysis, IPCRidge
from sksurv.util import Surv

from sknic import CrossValEnsemble
from sknic.evaluation import (
    SlideAndTable,
    accuracy,
    added_value,
    auc,
    balanced_accuracy,
    by_patient,
    compare,
    compare_auc,
    concordance,
    estimate,
    kaplan_meier,
    log_rank,
    rejection_curve,
    survival_scores,
)
from sknic.evaluation.baseline import MeanEmbedding
from sknic.exceptions import DegenerateDataError, MissingCodeWarning, SlideLeakageError
from sknic.plotting import RocDisplay, overlay
from sknic.plotting.slides import SaliencyDisplay

RNG = np.random.RandomState(0)
N = 60
TIMES = RNG.exponential(size=N)
Y = Surv.from_arrays(RNG.uniform(size=N) < 0.7, TIMES)
RISK = -np.log(TIMES)


def test_risks_are_one_per_slide():
    with pytest.raises(ValueError, match=r"risk has shape \(60, 2\).*predict_proba\(X\)\[:, 1\]"):
        concordance(Y, np.column_stack([RISK, -RISK]))
    assert concordance(Y, RISK[:, None]) == concordance(Y, RISK) == 1


def test_columns_of_classes_that_are_numbers_are_sorted_as_numbers():
    y = np.repeat([6, 7, 8, 9, 10], 4)
    right = pd.DataFrame(np.eye(5)[y - 6], columns=[6, 7, 8, 9, 10])
    assert auc(y, right) == 1
    with pytest.raises(ValueError, match="sorted order, .'6', '7', '8', '9', '10'"):
        auc(y, right[[10, 6, 7, 8, 9]])
    named = right.set_axis([f"probability {label}" for label in right], axis=1)
    assert auc(y, named) == 1
    with pytest.raises(ValueError, match="sorted order"):
        auc(y, named.iloc[:, ::-1])


def test_several_targets_may_be_a_table_of_predictions():
    Y2 = np.array([[0, 1], [1, 0]] * 6)
    assert auc(Y2, pd.DataFrame(Y2 * 0.5)) == 1


def test_columns_of_polars_are_in_the_order_of_the_classes():
    polars = pytest.importorskip("polars")
    y = np.array(["a", "b", "c"] * 4)
    table = polars.DataFrame({"c": y == "c", "b": y == "b", "a": y == "a"}).cast(polars.Float64)
    with pytest.raises(ValueError, match="sorted order"):
        auc(y, table)
    assert auc(y, table.select("a", "b", "c")) == 1


def test_slides_of_a_series_are_taken_by_their_place():
    grids = [np.full((2, 3, 3), value, float) for value in (1.0, 2.0, 3.0)]
    table = pd.DataFrame({"grid": grids, "patient": ["b", "a", "a"], "y": [0, 1, 1]}).sort_values("patient")
    X, y, patients = by_patient(table["grid"], table["patient"], table["y"])
    assert patients.tolist() == ["a", "b"] and y.tolist() == [1, 0]
    assert [[grid[0, 0, 0] for grid in of_patient] for of_patient in X] == [[2, 3], [1]]


def test_two_indices_that_each_lack_a_row_of_the_other_are_not_paired():
    y = pd.Series(np.arange(6) % 2, index=list("abcdef"))
    score = pd.Series(np.arange(6) % 2 * 1.0, index=list("abcdef"))
    with pytest.raises(ValueError, match="'b' is row 1 of y_true and row 0 of y_pred"):
        estimate("auc", y.drop("f"), score.drop("a"))
    with pytest.raises(ValueError, match="not the same rows"):
        compare("auc", y.drop("f"), score.drop("f"), score.drop("a"))
    with pytest.raises(ValueError, match="same index in another order"):
        auc(pd.Series([0, 1], index=["1", "2"]), pd.Series([0.0, 1.0], index=[2, 1]))
    assert auc(y.drop("f"), score.drop("f").reset_index(drop=True)) == 1


def test_the_order_of_categories_is_not_that_of_the_alphabet():
    grade = pd.Categorical(["low", "high"] * 6, ["low", "high"], ordered=True)
    with pytest.raises(ValueError, match="ordered categories low < high, but classes are sorted"):
        auc(grade, np.tile([0.1, 0.9], 6))
    thirds = pd.qcut(RISK, 3, labels=["low", "mid", "high"])
    assert accuracy(thirds, np.asarray(thirds)) == 1 and log_rank(Y, thirds) < 0.01
    ordered = pd.Categorical(["1-low", "2-high"] * 6, ["1-low", "2-high"], ordered=True)
    assert auc(ordered, np.tile([0.1, 0.9], 6)) == 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_survival_is_not_scored_by_risks_that_are_no_numbers(bad):
    risk = np.where(np.arange(N) % 4, RISK, bad)
    with pytest.raises(ValueError, match="15 values that are not finite"):
        survival_scores(Y, risk, None, n_resamples=20)


def test_survival_is_a_probability_at_the_times_of_its_columns():
    times, fold = np.array([0.2, 0.5, 1.0]), np.arange(N) % 2
    curves = np.exp(-np.exp(RISK)[:, None] * times)
    options = {"times": times, "n_resamples": 20}
    whole = survival_scores(Y, RISK, fold, pd.DataFrame(curves, columns=times), **options)["integrated_brier"].value
    assert whole == survival_scores(Y, RISK, fold, curves, **options)["integrated_brier"].value
    with pytest.raises(ValueError, match="expected probabilities between 0 and 1"):
        survival_scores(Y, RISK, fold, 100 * curves, **options)
    for names in (times, times.astype(str)):
        with pytest.raises(ValueError, match="expected the times .0.2, 0.5, 1.0."):
            survival_scores(Y, RISK, fold, pd.DataFrame(curves, columns=names).iloc[:, ::-1], **options)
    assert whole == survival_scores(Y, RISK, fold, pd.DataFrame(curves), **options)["integrated_brier"].value
    with pytest.raises(ValueError, match="ascending times"):
        survival_scores(Y, RISK, fold, curves, times=times[::-1], n_resamples=20)


def test_risks_of_folds_are_relative_to_their_own_training():
    """Raw years make the risks of each Cox model lie somewhere else."""
    random = np.random.RandomState(1)
    X = np.column_stack([random.normal(60, 12, 240), random.randint(2000, 2020, 240)]).astype(float)
    time = random.exponential(np.exp(-(X[:, 0] - 60) / 12))
    y = Surv.from_arrays(np.ones(240, bool), time)
    ensemble = CrossValEnsemble(CoxPHSurvivalAnalysis(alpha=0.1), random_state=0, baseline=False).fit(X, y)
    assert ensemble.oof_score().value > ensemble.fold_scores().mean() - 0.01
    assert np.ptp(ensemble.risk_levels_) > 0.5
    np.testing.assert_allclose(ensemble.predict(X).mean(), 0, atol=0.2)


def test_a_row_is_not_tested_by_what_has_learnt_it():
    X, y = np.random.RandomState(0).normal(size=(24, 3)), np.random.RandomState(1).normal(size=24)
    folds = [(np.arange(24), np.arange(24)[k::4]) for k in range(4)]
    with pytest.raises(SlideLeakageError, match="row 0 and 5 more on both sides"):
        CrossValEnsemble(KNeighborsRegressor(1), cv=folds).fit(X, y)


def clinical_cohort(n=80):
    random = np.random.RandomState(0)
    X = pd.DataFrame({"grid": list(random.normal(size=(n, 3, 1, 1))), "age": random.normal(60, 9, n)})
    return X, np.stack(X["grid"])[:, 0, 0, 0] + X["age"].to_numpy()


def slide_and_table(**settings):
    return SlideAndTable(make_pipeline(MeanEmbedding(), LinearRegression()), random_state=0, **settings)


def test_of_a_metric_of_the_user_nothing_is_claimed():
    X, y = clinical_cohort()
    found = added_value(slide_and_table(), X, y, metric=mean_absolute_error, n_resamples=50)
    assert found.of_slide.difference.value < 0 and not found.shown
    assert "not shown" in str(found) and "chance level of this metric is not known" in str(found)
    worse = added_value(
        slide_and_table(), X, y, metric=lambda y_true, y_pred: -mean_absolute_error(y_true, y_pred), n_resamples=50
    )
    assert worse.of_slide.difference.low > 0 and not worse.shown


def test_a_model_of_times_is_not_one_of_risks():
    X = RNG.normal(size=(N, 2))
    of_times = GradientBoostingSurvivalAnalysis(loss="ipcwls", n_estimators=2)  # knows it only once it is fitted
    later = Surv.from_arrays(Y[Y.dtype.names[0]], TIMES + 2)  # whose logarithms it takes for times
    for model in (make_pipeline(IPCRidge()), of_times):
        with pytest.raises(TypeError, match="predicts survival times"):
            CrossValEnsemble(model, random_state=0).fit(X, later)


@pytest.mark.parametrize("n", [24, 28, 30, 100])
def test_the_median_is_reached_where_half_are_left(n):
    time = np.r_[np.arange(1, n // 2 + 1), 1000 + np.arange(n // 2)].astype(float)
    assert kaplan_meier(Surv.from_arrays(np.ones(n, bool), time)).median == n // 2


def test_a_metric_that_is_not_a_number_has_no_p_value():
    y = RNG.normal(size=30)

    def correlation(y_true, y_pred):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.corrcoef(y_true, y_pred)[0, 1]

    with pytest.raises(TypeError, match="<lambda> returned ndarray: expected one number"):
        compare(lambda y_true, y_pred: y_true - y_pred, y, y, y, n_resamples=50)
    with pytest.raises(DegenerateDataError, match="correlation returned NaN"):
        compare(correlation, y, y, np.ones(30), n_resamples=50)
    assert compare(correlation, y, y, -y, n_resamples=50).difference.value == pytest.approx(2)


def test_labels_are_not_probabilities_and_have_one_spelling():
    Y2, P = np.array([[0, 1], [1, 0]] * 5), np.array([[0.2, 0.9], [0.8, 0.1]] * 5)
    with pytest.raises(ValueError, match="expected labels"):
        accuracy(Y2, P)
    assert accuracy(Y2, P > 0.5) == 1
    for metric in (accuracy, balanced_accuracy):
        with pytest.raises(ValueError, match="y_pred contains negative, positive and y_true neg, pos: one spelling"):
            metric(["neg", "pos"] * 4, ["negative", "positive"] * 4)
        assert metric(["a", "b"] * 4, ["c", "d"] * 4) == 0  # of a model of four classes


def test_a_function_of_sknic_is_scored_like_its_name():
    X = RNG.normal(size=(40, 2))
    y = np.where(X[:, 0] > 0, "high", "low")
    ensemble = CrossValEnsemble(LogisticRegression(), random_state=0, baseline=False).fit(X, y)
    for metric in (accuracy, balanced_accuracy, auc):
        assert ensemble.oof_score(metric) == ensemble.oof_score(metric.__name__)
        assert ensemble.oof_verdict(metric).outcome == "learnt"


def test_a_column_is_one_value_per_slide():
    table = pd.DataFrame({"s": RNG.normal(size=40)})
    prediction = table["s"].to_numpy() + 0.1
    assert estimate(mean_absolute_error, table, prediction).value == pytest.approx(0.1)
    assert estimate(lambda y, p: float(np.abs(y - p).mean()), table, prediction).value == pytest.approx(0.1)
    forest = CrossValEnsemble(RandomForestRegressor(5, random_state=0), random_state=0, baseline=False)
    two = [forest.fit(table.to_numpy(), y).oof_prediction_ for y in (table[["s"]], table["s"])]
    np.testing.assert_array_equal(*two)


def test_a_display_of_two_classes_needs_a_model_of_these():
    X, three = RNG.normal(size=(30, 2)), np.array(["a", "b", "c"] * 10)
    with pytest.raises(ValueError, match="the model has 3 classes: expected two"):
        RocDisplay.from_estimator(LogisticRegression().fit(X, three), X, np.array(["a", "b"] * 15))
    with pytest.raises(ValueError, match="expected the classes of the model"):
        RocDisplay.from_estimator(LogisticRegression().fit(X[:20], three[:20] == "a"), X, np.array(["x", "y"] * 15))


@pytest.mark.parametrize(
    "group, words",
    [
        (RISK, "60 values for 60 patients"),
        (np.where(np.arange(N) % 3, np.where(RISK > 0, "High", "low"), "high"), "differ only in case"),
        (np.where(np.arange(N) % 3, np.where(RISK > 0, "high", "low"), "unknown"), "stands for a missing value"),
    ],
)
def test_groups_of_survival_are_groups(group, words):
    with pytest.raises(ValueError if "values" not in words else DegenerateDataError, match=words):
        log_rank(Y, group)


@pytest.mark.parametrize(
    "column, words",
    [
        (lambda y: y, "'other' of X is the target"),
        (lambda y: y / 30.44, "'other' of X is the target"),
        (lambda y: [str(value) for value in range(60, 60 + len(y))], "numbers as text, such as '60'"),
        (lambda y: ["F", "f"] * (len(y) // 2), "differ only in case"),
    ],
)
def test_clinical_data_are_neither_the_target_nor_numbers_as_words(column, words):
    X, y = clinical_cohort()
    with pytest.raises(ValueError, match=words):
        slide_and_table().fit(X.assign(other=column(y)), y)


def test_classes_of_another_name_are_the_target_too():
    X, y = clinical_cohort()
    labels = np.where(y > np.median(y), "mut", "wt")
    model = SlideAndTable(make_pipeline(MeanEmbedding(), LogisticRegression()), random_state=0)
    with pytest.raises(ValueError, match="'other' of X is the target"):
        model.fit(X.assign(other=np.where(labels == "mut", 1.0, 0.0)), labels)
    assert model.fit(X.assign(other=np.arange(80) % 2), labels).score(X.assign(other=np.arange(80) % 2), labels) > 0.5


def test_times_among_clinical_data_are_the_target_too():
    X, _ = clinical_cohort(N)
    model = SlideAndTable(make_pipeline(MeanEmbedding(), CoxPHSurvivalAnalysis(alpha=1.0)), random_state=0)
    for part in ("event", "time"):
        with pytest.raises(ValueError, match="'followed' of X is the target"):
            model.fit(X.assign(followed=Y[Y.dtype.names[part == "time"]]), Y)


def test_codes_among_clinical_data_are_pointed_out():
    X, y = clinical_cohort()
    with pytest.warns(MissingCodeWarning, match="-9"):
        slide_and_table().fit(X.assign(age=np.where(np.arange(80) % 9, X["age"], -9)), y)


def test_as_many_predictions_as_slides_are_rejected():
    with pytest.raises(ValueError, match="y_pred has 6 rows, y_true 4"):
        rejection_curve("accuracy", [0, 1, 1, 0], [0, 1, 0, 0, 1, 1], [0.1, 0.2, 0.9, 0.3])


def test_a_map_of_another_shape_is_not_stretched_over_the_slide(mpp_grid):
    heat = np.zeros(mpp_grid.shape)
    heat[0, 1] = 1
    for wrong, words in ((heat.T, "expected .*, that of the grid"), (np.where(heat, np.nan, 0), "NaN")):
        with pytest.raises(ValueError, match=words):
            SaliencyDisplay.from_grid(mpp_grid, wrong)
        with pytest.raises(ValueError, match=words):
            overlay("no such slide.tiff", wrong, mpp_grid)


@pytest.fixture
def mpp_grid():
    from sknic import Grid

    cells = np.argwhere(np.ones((2, 4)))
    return Grid(np.ones((8, 3)), cells, (2, 4), mpp=0.5, patch_size=64, stride=64)


def test_the_limits_of_an_area_are_areas():
    y = np.array([0, 0, 0, 0, 1, 1, 1])
    found = compare_auc(y, [1, 2, 3, 6, 4, 5, 7], [1, 2, 3, 4, 5, 6, 7][::-1])
    assert found.a.high == 1 and found.b.low == 0 and found.a.value < 1
    assert -1 <= found.difference.low <= found.difference.value <= found.difference.high <= 1


def test_dates_are_not_numbers_of_nanoseconds():
    days = pd.to_datetime(["2020-01-01", "2021-01-01", "2022-01-01"])
    with pytest.raises(ValueError, match="found dates or durations"):
        estimate("spearman", days.to_series().reset_index(drop=True), [1.0, 2.0, 3.0])
