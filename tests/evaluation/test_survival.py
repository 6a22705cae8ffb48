"""Risk groups: curves, log-rank and hazard ratio agree with lifelines, and degenerate groups are named."""

import lifelines
import numpy as np
import pandas as pd
import pytest
from lifelines.statistics import logrank_test
from sksurv.datasets import load_gbsg2
from sksurv.util import Surv

from sknic.evaluation import aggregate, hazard_ratio, kaplan_meier, log_rank, median_split, split_by_risk
from sknic.exceptions import DegenerateDataError, PatientLeakageError, SknicError


@pytest.fixture(scope="module")
def breast_cancer():
    X, y = load_gbsg2()
    return X["pnodes"].to_numpy(float), y


def test_curve_equals_that_of_lifelines(breast_cancer):
    _, y = breast_cancer
    curve = kaplan_meier(y)
    other = lifelines.KaplanMeierFitter().fit(y["time"], y["cens"])
    np.testing.assert_allclose(curve.survival, other.survival_function_at_times(curve.time), rtol=1e-9)
    assert curve.median == other.median_survival_time_
    assert curve.n == 686 and curve.n_events == y["cens"].sum()


def test_numbers_at_risk_count_who_is_still_observed(breast_cancer):
    _, y = breast_cancer
    times = [0, 500, 1000, 5000]
    assert kaplan_meier(y).at_risk(times).tolist() == [(y["time"] >= t).sum() for t in times]


def test_log_rank_equals_that_of_lifelines(breast_cancer):
    nodes, y = breast_cancer
    high = nodes > 3
    other = logrank_test(y["time"][high], y["time"][~high], y["cens"][high], y["cens"][~high])
    assert log_rank(y, high) == pytest.approx(other.p_value)


def test_hazard_ratio_and_its_interval_equal_those_of_lifelines(breast_cancer):
    nodes, y = breast_cancer
    table = pd.DataFrame({"time": y["time"], "event": y["cens"], "high": nodes > 3})
    other = lifelines.CoxPHFitter().fit(table, "time", "event")
    result = hazard_ratio(y, nodes > 3)
    assert result.value == pytest.approx(other.hazard_ratios_["high"], rel=1e-4)
    assert (result.low, result.high) == pytest.approx(tuple(np.exp(other.confidence_intervals_.loc["high"])), rel=1e-4)


def test_split_by_risk_reduces_slides_to_patients(breast_cancer):
    nodes, y = breast_cancer
    slides = np.random.RandomState(0).permutation(np.repeat(np.arange(len(y)), 2))
    by_slide = split_by_risk(y[slides], nodes[slides], groups=slides)
    by_patient = split_by_risk(y, nodes)
    assert (by_slide.low.n, by_slide.high.n) == (by_patient.low.n, by_patient.high.n)
    assert by_slide.p_value == pytest.approx(by_patient.p_value)
    assert by_slide.hazard_ratio.n == len(y)
    assert by_slide.patients[by_slide.is_high].tolist() == np.flatnonzero(nodes > by_slide.threshold).tolist()


def test_a_group_without_events_keeps_curves_and_test_and_says_why_there_is_no_ratio():
    y = Surv.from_arrays([True] * 6 + [False] * 6, np.r_[np.arange(1.0, 7), np.full(6, 9.0)])
    groups = split_by_risk(y, np.r_[np.ones(6), np.zeros(6)])
    assert groups.hazard_ratio is None and "no event among the 6 patients of the low group" in groups.note
    assert groups.p_value < 0.01 and groups.low.median is None
    assert "not finite" in repr(groups)


@pytest.mark.parametrize(
    "event, time, high, message",
    [
        ([1, 1, 0, 0], [1, 2, 3, 4], [1, 1, 0, 0], "no event among the 2 patients of the low group"),
        ([1, 1, 1, 1], [1, 2, 3, 4], [1, 1, 0, 0], "come before"),
        ([1, 1, 1, 1], [1, 2, 3, 4], [0, 0, 0, 0], "0 patients of the high group"),
    ],
)
def test_a_hazard_ratio_that_is_not_finite_is_refused(event, time, high, message):
    with pytest.raises(DegenerateDataError, match=message):
        hazard_ratio(Surv.from_arrays(np.array(event, bool), np.array(time, float)), high)


@pytest.mark.parametrize(
    "event, group, message",
    [
        ([1, 1, 1, 1], [0, 0, 0, 0], "one group"),
        ([0, 0, 0, 0], [0, 0, 1, 1], "no event among 4"),
        ([0, 1, 1, 1], [1, 0, 0, 0], "still under observation"),
    ],
)
def test_a_log_rank_test_without_a_comparison_is_refused(event, group, message):
    with pytest.raises(DegenerateDataError, match=message):
        log_rank(Surv.from_arrays(np.array(event, bool), np.arange(1.0, 5)), group)


def test_median_split_refuses_ties_everywhere():
    with pytest.raises(DegenerateDataError, match="0 of 5 patients have a risk above 2"):
        median_split(np.full(5, 2.0))


def test_median_split_takes_a_threshold_from_other_patients():
    is_high, threshold = median_split([1, 2, 3, 4], threshold=3.5)
    assert is_high.tolist() == [False, False, False, True] and threshold == 3.5


def test_curves_hold_no_nan_even_when_everyone_dies():
    curve = kaplan_meier(Surv.from_arrays(np.ones(5, bool), np.arange(1.0, 6)))
    assert np.isfinite([curve.survival, curve.low, curve.high]).all()


def test_no_patients_no_curve():
    with pytest.raises(DegenerateDataError, match="no patients"):
        kaplan_meier(Surv.from_arrays(np.zeros(0, bool), np.zeros(0)))


@pytest.mark.parametrize("how, expected", [("mean", [0.2, 0.9]), ("max", [0.3, 0.9])])
def test_aggregate_gives_one_value_a_patient(how, expected):
    patients, values = aggregate([0.3, 0.9, 0.1], ["anna", "ben", "anna"], how=how)
    assert patients.tolist() == ["anna", "ben"]
    np.testing.assert_allclose(values, expected)


def test_aggregate_reduces_every_column_of_probabilities():
    assert aggregate(np.eye(3), ["a", "a", "b"])[1].tolist() == [[0.5, 0.5, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    "how, message", [("same", "slides of patient a differ"), ("median", "'mean', 'max' or 'same'")]
)
def test_aggregate_refuses_what_it_cannot_reduce(how, message):
    with pytest.raises(ValueError, match=message):
        aggregate([1, 2, 3], ["a", "a", "b"], how=how)


def test_errors_are_both_ours_and_value_errors():
    for error in (DegenerateDataError, PatientLeakageError):
        assert issubclass(error, SknicError) and issubclass(error, ValueError)


@pytest.mark.parametrize("high", [[1, 0, np.nan, 1], ["high", "low", "high", "low"], [1, 2, 1, 2]])
def test_a_group_that_is_neither_high_nor_low_is_refused(high):
    y = Surv.from_arrays([True] * 4, [1, 2, 3, 4])
    with pytest.raises(ValueError, match="high contains .*: expected True or False"):
        hazard_ratio(y, high)


@pytest.mark.parametrize("patients", [[1.0, 1.0, np.nan, np.nan], ["a", "a", None, None], ["a", "a", " ", " "]])
def test_slides_of_unknown_patients_are_not_those_of_one(patients):
    with pytest.raises(ValueError, match=r"patients\[2\]=.*: expected a value for each sample; 2 of 4 missing"):
        aggregate([0.1, 0.2, 0.3, 0.4], patients)
    with pytest.raises(ValueError, match=r"patients\[2\]"):
        split_by_risk(Surv.from_arrays([True] * 4, [1, 1, 2, 2]), [0.1, 0.2, 0.3, 0.4], groups=patients)
