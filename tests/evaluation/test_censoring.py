"""Survival under censoring: the numbers of scikit-survival, fold by fold, or the reason why there is none."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.metrics import brier_score, concordance_index_ipcw, cumulative_dynamic_auc, integrated_brier_score
from sksurv.nonparametric import SurvivalFunctionEstimator
from sksurv.util import Surv

from sknic import CrossValEnsemble
from sknic.evaluation import (
    CensoredScores,
    concordance,
    evaluation_times,
    external_survival_scores,
    survival_scores,
)
from sknic.exceptions import DegenerateDataError


def cohort(n=160, seed=0):
    """Covariates, and times whose hazard they decide; rounded, so that there are ties."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 3))
    died, left = random.exponential(12 * np.exp(-X[:, 0])), random.exponential(20, n)
    return X, Surv.from_arrays(died <= left, np.ceil(np.minimum(died, left)))


X, Y = cohort()
PATIENT = np.arange(160) // 2


@pytest.fixture(scope="module")
def ensemble():
    return CrossValEnsemble(CoxPHSurvivalAnalysis(), cv=4, random_state=0).fit(X, Y)


@pytest.fixture(scope="module")
def scores(ensemble):
    return CensoredScores(Y, ensemble.oof_prediction_, ensemble.fold_, ensemble.oof_survival_)


def of_scikit_survival(measure, ensemble, fold, what):
    """A function of scikit-survival on one fold; what comes after the last time is cut off, as it wants it."""
    test, times = ensemble.fold_ == fold, ensemble.survival_times_
    cut = Surv.from_arrays(
        Y["event"] & (Y["time"] <= times[-1]), np.minimum(Y["time"], np.nextafter(times[-1], np.inf)), "event", "time"
    )
    return measure(Y[~test], cut[test], what[test], times)


@pytest.mark.parametrize("fold", range(4))
def test_a_fold_alone_has_the_numbers_of_scikit_survival(ensemble, scores, fold):
    rows, times = np.flatnonzero(ensemble.fold_ == fold), ensemble.survival_times_
    risk, survival = ensemble.oof_prediction_, ensemble.oof_survival_
    end = min(Y["time"][side].max() for k in range(4) for side in (ensemble.fold_ == k, ensemble.fold_ != k))
    train = Y[ensemble.fold_ != fold]
    uno = concordance_index_ipcw(train, Y[rows], risk[rows], tau=end)[0]
    assert scores.concordance(rows) == pytest.approx(uno, abs=1e-12)
    auc, _ = of_scikit_survival(cumulative_dynamic_auc, ensemble, fold, risk)
    np.testing.assert_allclose(scores.auc(rows), auc)
    _, brier = of_scikit_survival(brier_score, ensemble, fold, survival)
    np.testing.assert_allclose(scores.brier(rows), brier)
    whole = of_scikit_survival(integrated_brier_score, ensemble, fold, survival)
    assert scores.integrated_brier(rows) == pytest.approx(whole)
    without = np.tile(SurvivalFunctionEstimator().fit(train).predict_proba(times), (len(Y), 1))
    whole = of_scikit_survival(integrated_brier_score, ensemble, fold, without)
    assert scores.integrated_brier(rows, reference=True) == pytest.approx(whole)


def test_all_folds_are_the_mean_of_the_folds_by_slides_or_by_pairs(ensemble, scores):
    every = np.arange(len(Y))
    of_folds = [np.flatnonzero(ensemble.fold_ == fold) for fold in range(4)]
    wanted = np.average([scores.integrated_brier(rows) for rows in of_folds], weights=[len(rows) for rows in of_folds])
    assert scores.integrated_brier(every) == pytest.approx(wanted)
    low, high = (pick([scores.concordance(rows) for rows in of_folds]) for pick in (min, max))
    assert low < scores.concordance(every) < high


def test_the_mean_area_weighs_times_by_the_events_that_they_add(ensemble, scores):
    every = np.arange(len(Y))
    survived = SurvivalFunctionEstimator().fit(Y).predict_proba(ensemble.survival_times_)
    wanted = np.average(scores.auc(every), weights=-np.diff(np.r_[1, survived]))
    assert scores.mean_auc(every) == pytest.approx(wanted)


def test_a_slide_that_is_drawn_twice_counts_as_two_slides(ensemble):
    rows = np.r_[np.arange(len(Y)), 5, 5, 17]
    risk, fold, survival = ensemble.oof_prediction_, ensemble.fold_, ensemble.oof_survival_
    times = ensemble.survival_times_
    drawn = CensoredScores(Y, risk, fold, survival, times).brier(rows)
    by_hand = np.mean([CensoredScores(Y, risk, fold, survival, times).brier(np.array([row])) for row in rows], axis=0)
    np.testing.assert_allclose(drawn, by_hand)


def test_risks_of_other_folds_may_have_another_level(ensemble, scores):
    moved = ensemble.oof_prediction_ + 10 * ensemble.fold_
    every = np.arange(len(Y))
    again = CensoredScores(Y, moved, ensemble.fold_, ensemble.oof_survival_)
    assert again.concordance(every) == scores.concordance(every)
    np.testing.assert_array_equal(again.auc(every), scores.auc(every))
    assert concordance(Y, moved) < concordance(Y, ensemble.oof_prediction_)


def test_times_are_those_of_events_inside_the_follow_up_of_every_side():
    y = Surv.from_arrays([1, 1, 1, 1, 1, 0, 1, 0], [1.0, 2, 3, 4, 5, 6, 30, 40])
    fold = [0, 1, 0, 1, 0, 1, 1, 0]
    assert evaluation_times(y, fold).tolist() == [2, 3, 4, 5]
    assert evaluation_times(y, [0, 0, 0, 0, 0, 0, 1, 1]).size == 0


def test_an_ensemble_measures_itself_with_intervals_by_patient():
    ensemble = CrossValEnsemble(CoxPHSurvivalAnalysis(), cv=4, random_state=0)
    ensemble.fit(X[PATIENT], Y[PATIENT], groups=PATIENT)
    found = ensemble.oof_survival_scores(n_resamples=100)
    assert list(found) == ["concordance_ipcw", "mean_auc", "integrated_brier", "kaplan_meier_brier"]
    for measured in found.values():
        assert measured.n == 80
        assert measured.low < measured.value < measured.high
    assert found["integrated_brier"].value < found["kaplan_meier_brier"].value < 0.26
    assert found["mean_auc"].low > 0.6


def test_a_model_without_curves_has_no_brier_score_and_says_so():
    plain = CoxnetSurvivalAnalysis(alphas=[0.01])  # without its baseline hazard
    ensemble = CrossValEnsemble(plain, cv=2, random_state=0, baseline=False).fit(X, Y)
    found = ensemble.oof_survival_scores(n_resamples=50)
    assert ensemble.oof_survival_ is None
    assert found["concordance_ipcw"].value > 0.6
    assert np.isnan(found["integrated_brier"].value)
    assert found["integrated_brier"].reason == "the estimator does not predict survival curves"
    assert found["kaplan_meier_brier"].value > 0


def test_what_cannot_be_measured_says_why():
    y, fold = Surv.from_arrays([1, 1, 1, 0], [1.0, 2, 30, 40]), [0, 0, 1, 1]
    found = survival_scores(y, [4, 3, 2, 1], fold, np.empty((4, 0)), n_resamples=20)
    assert "fewer than two event times" in found["mean_auc"].reason
    assert "fewer than two event times" in found["integrated_brier"].reason
    assert "there is only one fold" in survival_scores(y, [4, 3, 2, 1], [0, 0, 0, 0])["mean_auc"].reason
    late = Surv.from_arrays([0, 1, 0, 1], [1.0, 2, 1, 2])
    assert "no event happens before" in survival_scores(late, [4, 3, 2, 1], fold)["concordance_ipcw"].reason
    with pytest.raises(ValueError, match=r"survival has shape \(160, 2\); expected \(160, 3\)"):
        CensoredScores(Y, X[:, 0], np.arange(160) % 2, np.zeros((160, 2)), [2, 4, 6])


def test_other_targets_have_none():
    assert CrossValEnsemble(Ridge(), cv=2).fit(X, X[:, 0]).oof_survival_scores() == {}
    with pytest.raises(DegenerateDataError):
        CensoredScores(Y, X[:, 0], np.zeros(160))


def test_a_model_on_new_slides_has_the_numbers_of_scikit_survival_weighted_by_the_new_slides():
    new_X, new_y = cohort(120, seed=1)
    model = CoxPHSurvivalAnalysis().fit(X, Y)
    risk, end = model.predict(new_X), model.unique_times_[-1]
    found = external_survival_scores(model, new_X, new_y, risk, n_resamples=20)
    times = evaluation_times(new_y, None)
    times = times[times <= end]
    assert len(times) >= 5
    # What comes after the last time is cut off, as scikit-survival wants it.
    late = np.nextafter(times[-1], np.inf)
    cut = Surv.from_arrays(new_y["event"] & (new_y["time"] <= times[-1]), np.minimum(new_y["time"], late))
    survival = np.array([curve(times) for curve in model.predict_survival_function(new_X)])
    assert found["integrated_brier"].value == pytest.approx(integrated_brier_score(new_y, cut, survival, times))
    uno = concordance_index_ipcw(new_y, new_y, risk, tau=new_y["time"].max())[0]
    assert found["concordance_ipcw"].value == pytest.approx(uno, abs=1e-12)
    auc, _ = cumulative_dynamic_auc(new_y, cut, risk, times)
    np.testing.assert_allclose(CensoredScores(new_y, risk, None, survival, times).auc(np.arange(120)), auc)
    without = np.tile(SurvivalFunctionEstimator().fit(new_y).predict_proba(times), (120, 1))
    assert found["kaplan_meier_brier"].value == pytest.approx(integrated_brier_score(new_y, cut, without, times))
    assert found["integrated_brier"].value < found["kaplan_meier_brier"].value


def test_new_slides_are_measured_no_later_than_the_model_knows():
    new_X, new_y = cohort(120, seed=1)
    early = Y["time"] <= 6
    model = CoxPHSurvivalAnalysis().fit(X[early], Y[early])
    found = external_survival_scores(model, new_X, new_y, model.predict(new_X), n_resamples=20)
    times = evaluation_times(new_y, None)
    assert times[-1] > 6
    times = times[times <= 6]
    survival = np.array([curve(times) for curve in model.predict_survival_function(new_X)])
    by_hand = CensoredScores(new_y, model.predict(new_X), None, survival, times).integrated_brier(np.arange(120))
    assert found["integrated_brier"].value == by_hand
