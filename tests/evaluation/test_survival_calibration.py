"""Survival curves are recalibrated: what was put in is found, honest out of fold, and errors become smaller."""

import numpy as np
import pytest
import statsmodels.api as sm
from sksurv.functions import StepFunction
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from sknic import CrossValEnsemble
from sknic.evaluation import CensoredScores
from sknic.evaluation.survival_calibration import Recalibration, recalibrate_folds
from sknic.exceptions import DegenerateDataError

TIME = 8.0


def cohort(n, *, censored=True, seed=0):
    """Log hazards, outcomes, and the true probability of surviving `TIME`."""
    random = np.random.default_rng(seed)
    risk = random.normal(size=n)
    died = random.exponential(10 * np.exp(-risk))
    left = random.exponential(15, n) if censored else np.full(n, 1e6)
    return risk, Surv.from_arrays(died <= left, np.minimum(died, left)), np.exp(-TIME / 10 * np.exp(risk))


def said_by(survival, intercept, slope):
    """What a model would say whose correction is known."""
    return np.exp(-np.exp((np.log(-np.log(survival)) - intercept) / slope))


@pytest.mark.parametrize("intercept, slope", [(0.0, 1.0), (0.5, 0.4), (-0.3, 1.8)])
def test_the_correction_that_was_put_in_is_found_under_censoring(intercept, slope):
    _, y, survival = cohort(6000)
    said = said_by(survival, intercept, slope)
    found = Recalibration.fit(y, said, TIME)
    assert found.intercept == pytest.approx(intercept, abs=0.08)
    assert found.slope == pytest.approx(slope, rel=0.08)
    true = Recalibration(TIME, intercept, slope)
    np.testing.assert_allclose(said ** true.power(said), survival, atol=0.01)  # the tails are cut


def test_without_censoring_it_is_a_regression_with_the_link_of_statsmodels():
    _, y, survival = cohort(500, censored=False)
    said = said_by(survival, 0.3, 0.6)
    links = sm.families.Binomial(sm.families.links.CLogLog())
    model = sm.GLM(y["time"] <= TIME, sm.add_constant(np.log(-np.log(said))), family=links).fit()
    found = Recalibration.fit(y, said, TIME)
    assert [found.intercept, found.slope] == pytest.approx(model.params, abs=2e-3)


def test_each_fold_is_corrected_by_the_others_and_curves_keep_their_form():
    _, y, survival = cohort(600)
    said = np.column_stack([said_by(survival, 0.5, 0.5) ** power for power in (0.5, 1.0, 1.5)])
    fold, times = np.arange(600) % 3, np.array([4.0, TIME, 12.0])
    corrected = recalibrate_folds(y, said, times, fold, TIME)
    for number in range(3):
        others, own = fold != number, fold == number
        found = Recalibration.fit(y[others], said[others, 1], TIME)
        wanted = 1 - np.exp(-np.exp(found.intercept + found.slope * np.log(-np.log(said[own, 1]))))
        np.testing.assert_allclose(1 - corrected[own, 1], wanted, atol=1e-4)  # the tails are cut
        ratio = np.log(corrected[own]) / np.log(said[own])
        np.testing.assert_allclose(ratio, ratio[:, [1, 1, 1]])


def test_curves_and_hazards_are_corrected_alike():
    curves = np.array(
        [StepFunction(np.array([2.0, 8.0, 9.0]), np.array(y)) for y in ([0.9, 0.6, 0.5], [0.8, 0.3, 0.1])]
    )
    hazards = np.array([StepFunction(curve.x, -np.log(curve.y)) for curve in curves])
    correction = Recalibration(TIME, 0.2, 0.5)
    survival, hazard = correction.curves(curves), correction.hazards(hazards, curves)
    for curve, other, before in zip(survival, hazard, curves):
        np.testing.assert_allclose(curve.y, np.exp(-other.y))
        wanted = np.exp(-np.exp(0.2 + 0.5 * np.log(-np.log(before(TIME)))))
        assert curve(TIME) == pytest.approx(wanted)


def test_an_ensemble_that_exaggerates_becomes_honest():
    random = np.random.default_rng(1)
    X = random.normal(size=(300, 60))
    died, left = random.exponential(10 * np.exp(-X[:, 0])), random.exponential(15, 300)
    y = Surv.from_arrays(died <= left, np.minimum(died, left))
    cox = CoxPHSurvivalAnalysis(alpha=0.1)
    plain, calibrated = (
        CrossValEnsemble(cox, random_state=0, baseline=False, calibrate=calibrate).fit(X, y)
        for calibrate in (False, True)
    )
    assert plain.recalibration_ is None
    assert calibrated.recalibration_.slope < 0.7
    errors = [
        CensoredScores(y, each.oof_prediction_, each.fold_, each.oof_survival_).integrated_brier(np.arange(300))
        for each in (plain, calibrated)
    ]
    assert errors[1] < errors[0] - 0.01
    np.testing.assert_array_equal(calibrated.oof_prediction_, plain.oof_prediction_)
    new, before = calibrated.predict_survival_function(X[:5]), plain.predict_survival_function(X[:5])
    for curve, wanted in zip(new, calibrated.recalibration_.curves(before)):
        np.testing.assert_allclose(curve.y, wanted.y)
    hazards = calibrated.predict_cumulative_hazard_function(X[:5])
    for hazard, before_, curve in zip(hazards, plain.predict_cumulative_hazard_function(X[:5]), before):
        power = calibrated.recalibration_.power([curve(calibrated.recalibration_.time)])
        np.testing.assert_allclose(hazard.y, before_.y * power)


def test_too_few_events_are_counted_in_the_error():
    _, y, survival = cohort(8)
    with pytest.raises(DegenerateDataError, match=r"events until time 8 and \d+ slides seen longer; calibration needs"):
        Recalibration.fit(y, survival, TIME)
