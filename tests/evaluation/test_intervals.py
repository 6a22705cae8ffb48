"""Intervals resample patients, comparisons are paired, and both say when the data cannot carry them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr
from sksurv.util import Surv

from sknic import GridCNNRegressor
from sknic.evaluation import (
    Estimate,
    SlideAndTable,
    added_value,
    arrangement_test,
    compare,
    compare_auc,
    estimate,
    format_p,
    hazard_ratio,
    kaplan_meier,
    split_by_risk,
)
from sknic.exceptions import DegenerateDataError


def _cohort(seed, n_patients=40, n_slides=4):
    """Slides of a patient share target and prediction but for a little noise."""
    rng = np.random.RandomState(seed)
    patients = np.repeat(np.arange(n_patients), n_slides)
    truth = rng.normal(size=n_patients)[patients]
    prediction = (truth[::n_slides] + rng.normal(size=n_patients))[patients] + rng.normal(0, 0.1, len(patients))
    return truth, prediction, patients


def test_value_is_the_metric_on_all_slides_and_lies_in_the_interval():
    y, prediction, patients = _cohort(0)
    result = estimate("spearman", y, prediction, groups=patients)
    assert result.value == pytest.approx(spearmanr(y, prediction).statistic)
    assert result.low < result.value < result.high
    assert (result.n, result.level) == (40, 0.95)


def test_interval_by_patient_is_wider_than_by_slide_when_slides_of_a_patient_agree():
    y, prediction, patients = _cohort(0)
    by_patient = estimate("spearman", y, prediction, groups=patients)
    by_slide = estimate("spearman", y, prediction)
    assert by_patient.high - by_patient.low > 1.5 * (by_slide.high - by_slide.low)


def test_copying_every_slide_does_not_narrow_the_interval_by_patient():
    y, prediction, patients = _cohort(1, n_slides=1)
    once = estimate("spearman", y, prediction, groups=patients)
    thrice = estimate("spearman", np.tile(y, 3), np.tile(prediction, 3), groups=np.tile(patients, 3))
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.02)


def test_interval_by_patient_covers_the_truth_about_as_often_as_it_says():
    inside = 0
    for seed in range(100):
        y, prediction, patients = _cohort(seed, n_slides=3)
        result = estimate("spearman", y, prediction, groups=patients, n_resamples=200)
        inside += result.low <= 6 / np.pi * np.arcsin(np.sqrt(1 / 2.01) / 2) <= result.high
    assert 86 <= inside <= 99


def test_same_random_state_gives_the_same_interval_and_leaves_the_global_state_alone():
    y, prediction, _ = _cohort(2)
    before = np.random.get_state()[2]  # noqa: NPY002
    first = estimate("r2", y, prediction, random_state=3)
    assert np.random.get_state()[2] == before  # noqa: NPY002
    assert first == estimate("r2", y, prediction, random_state=3)
    assert first != estimate("r2", y, prediction, random_state=4)


def test_resamples_that_lack_a_class_are_drawn_again():
    y = np.r_[np.zeros(30), np.ones(4)]
    result = estimate("auc", y, y + np.linspace(0, 0.5, 34))
    assert (result.value, result.low, result.high) == (1, 1, 1)


def test_two_positive_patients_give_a_value_without_an_interval_and_the_reason():
    y = np.r_[np.zeros(30), np.ones(2)]
    found = estimate("auc", y, np.arange(32))
    assert found.value == 1 and np.isnan([found.low, found.high]).all()
    assert "too few patients for an interval" in found.reason and "both classes" in found.reason
    assert str(found).startswith("1.000 [n/a: too few patients")


def test_one_patient_carries_no_interval():
    with pytest.raises(DegenerateDataError, match="1 patient"):
        estimate("spearman", [1, 2, 3], [1, 2, 3], groups=["a", "a", "a"])


@pytest.mark.parametrize(
    "metric, message", [("f1", "'f1' is unknown.*spearman"), ("spearman", "groups has 1 rows, y_true 2")]
)
def test_wrong_arguments_are_named(metric, message):
    with pytest.raises(ValueError, match=message):
        estimate(metric, [1, 2], [1, 2], groups=["a"])


def test_any_callable_is_a_metric():
    def mean_error(y_true, y_pred):
        return np.mean(np.abs(y_true - y_pred))

    assert estimate(mean_error, np.arange(9), np.arange(9) + 2).value == 2


def test_a_better_model_wins_and_a_model_ties_with_itself():
    y, prediction, patients = _cohort(3)
    noise = np.random.RandomState(0).normal(0, 3, len(y))
    against_noise = compare("spearman", y, prediction, prediction + noise, groups=patients)
    assert against_noise.p_value < 0.05 and against_noise.difference.low > 0
    against_itself = compare("spearman", y, prediction, prediction, groups=patients)
    assert against_itself.p_value == 1 and against_itself.difference.value == 0


def test_pairing_makes_the_difference_of_like_models_surer_than_their_intervals():
    y, prediction, patients = _cohort(4)
    result = compare("spearman", y, prediction, prediction + np.random.RandomState(0).normal(0, 0.2, len(y)))
    assert result.difference.high - result.difference.low < 0.5 * (result.a.high - result.a.low)


def _delong_by_pairs(y, score_a, score_b):
    """DeLong's variance written as in the paper: every pair of a positive and a negative."""
    fields = []
    for score in (score_a, score_b):
        positive, negative = score[y == 1][:, None], score[y == 0][None, :]
        wins = (positive > negative) + 0.5 * (positive == negative)
        fields.append((wins.mean(axis=1), wins.mean(axis=0), wins.mean()))
    by_positive, by_negative = np.cov(*[f[0] for f in fields]), np.cov(*[f[1] for f in fields])
    covariance = by_positive / (y == 1).sum() + by_negative / (y == 0).sum()
    return fields[0][2] - fields[1][2], covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]


def test_delong_by_midranks_equals_the_definition_by_pairs_with_ties():
    rng = np.random.RandomState(0)
    y = rng.randint(2, size=50)
    score_a, score_b = np.round(y + rng.normal(size=(2, 50)), 1)
    difference, variance = _delong_by_pairs(y, score_a, score_b)
    result = compare_auc(y, score_a, score_b)
    assert result.difference.value == pytest.approx(difference)
    assert result.difference.high - difference == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-5)


def test_delong_p_values_are_uniform_when_the_models_are_equally_good():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1], 50)
    p_values = [compare_auc(y, *(y + rng.normal(size=(2, 100)))).p_value for _ in range(400)]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.05)


def test_delong_agrees_with_the_paired_bootstrap():
    rng = np.random.RandomState(1)
    y = rng.randint(2, size=150)
    score_a, score_b = y + rng.normal(size=150), y + rng.normal(0, 2, size=150)
    delong, bootstrap = compare_auc(y, score_a, score_b), compare("auc", y, score_a, score_b)
    assert delong.difference.value == pytest.approx(bootstrap.difference.value)
    assert delong.difference.low == pytest.approx(bootstrap.difference.low, abs=0.02)


@pytest.mark.parametrize(
    "y, a, b, error, message",
    [
        ([0, 0, 0], [1, 2, 3], [1, 2, 3], DegenerateDataError, "two classes"),
        ([0, 0, 1], [1, 2, 3], [1, 2, 3], DegenerateDataError, "at least two each"),
        ([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1], DegenerateDataError, "without any spread"),
        ([0, 0, 1, 1], [1, 2, 3, np.nan], [4, 3, 2, 1], ValueError, "4 finite numbers"),
    ],
)
def test_delong_refuses_what_it_cannot_compare(y, a, b, error, message):
    with pytest.raises(error, match=message):
        compare_auc(y, a, b)


def test_results_read_well():
    assert repr(Estimate(0.632, 0.59661, 0.66411, 0.95, 321)) == "Estimate(0.632 [0.597, 0.664], level=0.95, n=321)"
    assert [format_p(p) for p in (0.0004, 0.0123, 0.4567)] == ["p < 0.001", "p = 0.012", "p = 0.46"]


def test_slides_of_unknown_patients_are_not_resampled_as_one():
    truth, prediction, patients = _cohort(0)
    unknown = np.where(patients < 4, np.nan, patients)
    mixed = [str(name) if name % 2 else int(name) for name in patients]
    with pytest.raises(ValueError, match=r"patients\[0\]=.*: expected a value for each sample; 16 of 160 missing"):
        estimate("spearman", truth, prediction, groups=unknown)
    with pytest.raises(ValueError, match="patients: expected all text or all numbers; found int, str"):
        compare("spearman", truth, prediction, -prediction, groups=mixed)


def test_predictions_of_other_slides_are_refused_also_by_a_metric_that_takes_them():
    def gap(y_true, y_pred):
        return float(np.mean(y_true) - np.mean(y_pred))

    for measure in (
        lambda: estimate(gap, [0, 1, 2], [0, 1, 2, 3]),
        lambda: compare(gap, [0, 1, 2], [0, 1, 2], [0, 1, 2, 3]),
    ):
        with pytest.raises(ValueError, match="pred(_b)? has 4 rows, y_true 3; they must be the same slides"):
            measure()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"level": 95}, "level=95: expected a finite number above 0 and below 1"),
        ({"n_resamples": 0}, "n_resamples=0: expected"),
        ({"metric": "acuracy"}, "metric='acuracy' is unknown"),
    ],
)
def test_a_wrong_option_of_an_interval_ends_no_work_of_hours(wrong, message):
    never = GridCNNRegressor(max_steps=10**9)
    grids, y = list(np.random.default_rng(0).random((8, 2, 3, 3))), np.arange(8.0)
    table = pd.DataFrame({"slide": grids, "age": y})
    for start in (
        lambda: arrangement_test(never, grids, y, **wrong),
        lambda: added_value(SlideAndTable(never), table, y, **wrong),
    ):
        with pytest.raises(ValueError, match=message):
            start()


@pytest.mark.parametrize("level", [95, 0, 1, -0.5])
def test_a_level_is_between_0_and_1(level):
    y = Surv.from_arrays([True] * 8, np.arange(1, 9))
    labels, score = [0, 1] * 4, np.arange(8.0)
    for use in (
        lambda: estimate("auc", labels, score, level=level),
        lambda: compare("auc", labels, score, -score, level=level),
        lambda: compare_auc(labels, score, score**2 % 7, level=level),
        lambda: kaplan_meier(y, level=level),
        lambda: hazard_ratio(y, np.array(labels, bool), level=level),
        lambda: split_by_risk(y, score, level=level),
    ):
        with pytest.raises(ValueError, match=f"level={level}: expected"):
            use()
