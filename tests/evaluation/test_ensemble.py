"""CrossValEnsemble keeps one model per fold, never lets a patient sit on both sides, and predicts by their mean."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone, config_context
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from sknic.estimators import GridCoxSurvival
from sknic.evaluation import CrossValEnsemble, concordance, estimate
from sknic.evaluation.bootstrap import estimate_metrics
from sknic.evaluation.folds import make_folds
from sknic.exceptions import DegenerateDataError, PatientLeakageError
from sknic.targets import Classification

RNG = np.random.RandomState(0)
PATIENT = np.repeat(np.arange(30), 3)
X = RNG.normal(size=(30, 4))[PATIENT] + 0.1 * RNG.normal(size=(90, 4))
SCORE = X @ [1, 0.5, 0, 0] + 0.1 * RNG.normal(size=90)
CLASS = np.where(X[::3, 0] > 0.3, "dHGP", "other")[PATIENT]
TIME = np.exp(-X[::3, 0])[PATIENT] + 0.5
SURVIVAL = Surv.from_arrays((RNG.rand(30) < 0.6)[PATIENT], TIME)
TARGETS = [(Ridge(), SCORE), (LogisticRegression(), CLASS), (CoxPHSurvivalAnalysis(alpha=0.1), SURVIVAL)]
each_kind = pytest.mark.parametrize("estimator, y", TARGETS, ids=["regressor", "classifier", "survival"])


class GroupSpy(ClassifierMixin, BaseEstimator):
    """Remembers the groups that reached its fit."""

    def fit(self, X, y, groups=None):
        self.classes_, self.X_, self.groups_ = np.unique(y), X, groups
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@parametrize_with_checks([CrossValEnsemble(Ridge(), cv=2), CrossValEnsemble(LogisticRegression(), cv=2)])
def test_scikit_learn_accepts_the_ensemble(estimator, check):
    check(estimator)


@each_kind
def test_each_slide_is_predicted_by_the_model_that_has_not_seen_its_patient(estimator, y):
    ensemble = CrossValEnsemble(estimator, random_state=0).fit(X, y, groups=PATIENT)
    method = "predict_proba" if hasattr(estimator, "predict_proba") else "predict"
    for fold in range(4):
        test = ensemble.fold_ == fold
        assert not np.intersect1d(PATIENT[test], PATIENT[~test]).size
        model = clone(estimator).fit(X[~test], y[~test])
        by_hand = getattr(model, method)(X[test])
        if y.dtype.names:  # risks have no zero of their own
            by_hand = by_hand - model.predict(X[~test]).mean()
        np.testing.assert_allclose(ensemble.oof_prediction_[test], by_hand)


@each_kind
def test_new_slides_get_the_mean_of_the_models(estimator, y):
    ensemble = CrossValEnsemble(estimator, random_state=0).fit(X, y)
    new = RNG.normal(size=(7, 4))
    if hasattr(ensemble, "predict_proba"):
        mean = np.mean([model.predict_proba(new) for model in ensemble.estimators_], axis=0)
        np.testing.assert_allclose(ensemble.predict_proba(new), mean)
        assert (ensemble.predict(new) == ensemble.classes_[mean.argmax(axis=1)]).all()
    else:
        mean = np.mean([model.predict(new) for model in ensemble.estimators_], axis=0)
        np.testing.assert_allclose(ensemble.predict(new), mean - ensemble.risk_levels_.mean())


@each_kind
def test_pickled_ensemble_predicts_the_same_and_clone_forgets_the_fit(estimator, y):
    ensemble = CrossValEnsemble(estimator, random_state=0).fit(X, y, groups=PATIENT)
    again = pickle.loads(pickle.dumps(ensemble))
    assert (again.predict(X) == ensemble.predict(X)).all()
    assert again.oof_score() == ensemble.oof_score()
    assert not hasattr(clone(ensemble), "estimators_")


@each_kind
def test_folds_in_two_processes_give_the_same_as_in_one(estimator, y):
    one, two = (CrossValEnsemble(estimator, n_jobs=n, random_state=0).fit(X, y, groups=PATIENT) for n in (1, 2))
    np.testing.assert_array_equal(one.oof_prediction_, two.oof_prediction_)


@pytest.mark.parametrize("metric", ["auc", "accuracy", "balanced_accuracy"])
def test_out_of_fold_score_is_the_estimate_on_the_out_of_fold_predictions(metric):
    ensemble = CrossValEnsemble(LogisticRegression(), random_state=0).fit(X, CLASS, groups=PATIENT)
    prediction = ensemble.oof_prediction_
    if metric != "auc":
        prediction = ensemble.classes_[prediction.argmax(axis=1)]
    result = ensemble.oof_score(metric, n_resamples=100)
    assert result == estimate(metric, CLASS, prediction, groups=PATIENT, n_resamples=100)
    assert result.n == 30 and result.value > 0.8


def test_survival_functions_are_the_mean_of_the_models_and_fall():
    ensemble = CrossValEnsemble(CoxPHSurvivalAnalysis(alpha=0.1), random_state=0).fit(X, SURVIVAL)
    functions = ensemble.predict_survival_function(X[:2])
    time = 1.2
    parts = [model.predict_survival_function(X[:2])[0](time) for model in ensemble.estimators_]
    assert functions[0](time) == pytest.approx(np.mean(parts))
    assert (np.diff(functions[0].y) <= 1e-12).all()
    assert (np.diff(ensemble.predict_cumulative_hazard_function(X[:1])[0].y) >= -1e-12).all()
    assert ensemble.score(X, SURVIVAL) == pytest.approx(concordance(SURVIVAL, ensemble.predict(X)))


def test_risks_of_the_folds_networks_have_one_level_and_can_be_pooled():
    network = GridCoxSurvival(max_steps=1, eval_every=1, n_filters=4)
    ensemble = CrossValEnsemble(network, cv=3, random_state=0).fit(X, SURVIVAL, groups=PATIENT)
    for fold, model in enumerate(ensemble.estimators_):
        assert model.predict(X[ensemble.fold_ != fold]).mean() == pytest.approx(0, abs=1e-5)


def test_survival_times_may_come_as_a_table():
    table = pd.DataFrame({"time": SURVIVAL["time"], "event": SURVIVAL["event"], "sex": 0})
    ensemble = CrossValEnsemble(CoxPHSurvivalAnalysis(alpha=0.1), random_state=0)
    expected = clone(ensemble).fit(X, SURVIVAL, groups=PATIENT)
    given = ensemble.fit(X, table, groups=PATIENT)
    np.testing.assert_array_equal(given.oof_prediction_, expected.oof_prediction_)
    assert given.oof_score().value == estimate("concordance", table, given.oof_prediction_).value


def test_a_pair_of_event_and_time_is_refused_with_what_to_give_instead():
    pair = SURVIVAL["event"], SURVIVAL["time"]
    ensemble = CrossValEnsemble(CoxPHSurvivalAnalysis(alpha=0.1), random_state=0)
    for use in (lambda: ensemble.fit(X, pair), lambda: estimate("concordance", pair, SURVIVAL["time"])):
        with pytest.raises(ValueError, match="y of type tuple: expected a structured array"):
            use()


def test_methods_are_those_of_the_estimator():
    assert not hasattr(CrossValEnsemble(Ridge()), "predict_proba")
    assert not hasattr(CrossValEnsemble(LogisticRegression()), "predict_survival_function")


def test_classifiers_without_probabilities_vote():
    ensemble = CrossValEnsemble(RidgeClassifier(), random_state=0).fit(X, CLASS)
    assert ensemble.score(X, CLASS) > 0.9
    assert set(ensemble.oof_prediction_) == {"dHGP", "other"}


def test_labels_of_which_no_model_knows_any_are_not_all_wrong():
    ensemble = CrossValEnsemble(LogisticRegression(), random_state=0).fit(X, (CLASS == "dHGP").astype(int))
    with pytest.raises(ValueError, match=r"the target contains '1', '0' \(90 of 90 slides\): expected .* 0, 1, "):
        ensemble.score(X, np.where(CLASS == "dHGP", "1", "0"))
    # A class that no model knows is wrong where others are known, and an area under the curve has no place for it.
    some = np.where(np.arange(90) < 9, 2, ensemble.predict(X))
    assert ensemble.score(X, some) == pytest.approx(0.9)
    with pytest.raises(ValueError, match=r"the target contains 2 \(9 of 90 slides\)"):
        estimate_metrics(ensemble.kind_, some, ensemble.predict_proba(X), ensemble.classes_, n_resamples=100)


def test_several_outputs_are_averaged_each():
    ensemble = CrossValEnsemble(Ridge(), random_state=0).fit(X, np.c_[SCORE, -SCORE])
    assert ensemble.oof_prediction_.shape == (90, 2)
    assert ensemble.oof_score().value > 0.9


@pytest.mark.parametrize("as_input", [list, lambda rows: pd.DataFrame({"a": [row[0] for row in rows]})])
def test_slides_may_be_a_list_or_a_table(as_input):
    slides = as_input([np.array([value]) for value in X[:, 0]])
    ensemble = CrossValEnsemble(Ridge(), random_state=0).fit(slides, pd.Series(SCORE, index=np.arange(90) + 7))
    assert len(ensemble.predict(slides)) == 90


def test_a_pipeline_that_reads_paths_works_and_passes_groups_to_its_last_step():
    columns = {f"slide-{i}.tif": row for i, row in enumerate(X)}
    reader = FunctionTransformer(lambda paths: np.array([columns[path] for path in paths]))
    ensemble = CrossValEnsemble(make_pipeline(reader, GroupSpy()), random_state=0)
    ensemble.fit(list(columns), CLASS, groups=[f"patient {p}" for p in PATIENT])
    for fold, model in enumerate(ensemble.estimators_):
        assert list(model[-1].groups_) == [f"patient {p}" for p in PATIENT[ensemble.fold_ != fold]]
        np.testing.assert_array_equal(model[-1].X_, X[ensemble.fold_ != fold])


def test_groups_reach_a_search_and_the_pipeline_inside_it():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), GroupSpy()), {"standardscaler__with_mean": [True]}, cv=GroupKFold(2)
    )
    ensemble = CrossValEnsemble(search, cv=3, random_state=0).fit(X, CLASS, groups=PATIENT)
    best = ensemble.estimators_[0].best_estimator_[-1]
    assert (best.groups_ == PATIENT[ensemble.fold_ != 0]).all()


def test_groups_reach_the_estimator_under_metadata_routing():
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), GroupSpy().set_fit_request(groups=True))
        ensemble = CrossValEnsemble(pipeline, random_state=0).fit(X, CLASS, groups=PATIENT)
    assert (ensemble.estimators_[1][-1].groups_ == PATIENT[ensemble.fold_ != 1]).all()


def test_estimators_without_groups_are_fitted_without():
    assert CrossValEnsemble(Ridge(), random_state=0).fit(X, SCORE, groups=PATIENT).oof_score().n == 30


def test_events_are_spread_evenly_over_the_folds():
    y = Surv.from_arrays(np.arange(80) < 8, np.linspace(1, 2, 80))
    ensemble = CrossValEnsemble(CoxPHSurvivalAnalysis(alpha=1), random_state=0).fit(RNG.normal(size=(80, 2)), y)
    assert np.bincount(ensemble.fold_[:8]).tolist() == [2, 2, 2, 2]


def test_the_ensemble_itself_can_be_cross_validated():
    scores = cross_val_score(CrossValEnsemble(Ridge(), cv=3), X, SCORE, cv=GroupKFold(3), groups=PATIENT)
    assert scores.min() > 0.8


@pytest.mark.parametrize("cv", [KFold(4, shuffle=True, random_state=0), StratifiedKFold(3)])
def test_a_cv_that_splits_a_patient_is_refused(cv):
    patients = np.roll(PATIENT, 1)
    with pytest.raises(PatientLeakageError, match="slides in both training and test"):
        CrossValEnsemble(LogisticRegression(), cv=cv).fit(X, CLASS, groups=patients)


def test_a_cv_that_does_not_test_every_slide_once_is_refused():
    with pytest.raises(ValueError, match="exactly once"):
        CrossValEnsemble(Ridge(), cv=ShuffleSplit(3, random_state=0)).fit(X, SCORE)


def test_a_class_of_one_patient_is_refused():
    y = np.where(PATIENT == 0, "rare", "common")
    with pytest.raises(DegenerateDataError, match="does not contain class .*rare"):
        CrossValEnsemble(LogisticRegression(), cv=3, random_state=0).fit(X, y, groups=PATIENT)


def test_a_cohort_without_events_is_refused():
    y = Surv.from_arrays(np.zeros(90, bool), TIME)
    with pytest.raises(DegenerateDataError, match="no event"):
        CrossValEnsemble(CoxPHSurvivalAnalysis()).fit(X, y)


def test_a_cohort_of_one_class_is_refused():
    with pytest.raises(DegenerateDataError, match="one class"):
        CrossValEnsemble(LogisticRegression()).fit(X, np.zeros(90))


@pytest.mark.parametrize(
    ("cv", "groups", "message"),
    [
        (4, ["one"] * 8, "cv=4: 1 patient cannot fill 4 folds; use fewer folds, or more slides"),
        (9, None, "cv=9: 8 samples cannot fill 9 folds"),
        (5, None, "cv=5: the most frequent class has 4 slides; use fewer folds or more slides"),
    ],
)
def test_more_folds_than_the_data_can_fill_are_refused(cv, groups, message):
    y = np.array(["a", "b"] * 4)
    with pytest.raises(DegenerateDataError, match=message):
        make_folds(cv, Classification(), y, groups)


def test_a_class_that_no_training_part_has_is_named():
    y = np.array(["a", "a", "a", "b", "b"])
    with pytest.raises(DegenerateDataError, match="the training part of a fold does not contain class 'b'"):
        make_folds([(np.arange(3), np.arange(3, 5)), (np.arange(3, 5), np.arange(3))], Classification(), y)
