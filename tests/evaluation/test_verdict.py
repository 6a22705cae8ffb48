"""A result says what it means: beside chance, beside a simple rival on the same folds, and in words."""

import math
import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from sknic.evaluation import CrossValEnsemble, Verdict, chance_level, compare
from sknic.evaluation.baseline import MeanEmbedding, linear_baseline
from sknic.evaluation.verdict import LEARNT, NO_BETTER, NOT_SHOWN, judge
from sknic.grids import Grid
from sknic.targets import KINDS

RNG = np.random.RandomState(0)
PATIENT = np.arange(60) // 2
MEAN = RNG.normal(size=30)[PATIENT]
CELLS = np.argwhere(np.ones((4, 4), bool))


def grids_of(means):
    grids = np.empty(len(means), object)
    grids[:] = [Grid(m + RNG.normal(size=(16, 3)), CELLS, (4, 4)) for m in means]
    return grids


GRIDS = grids_of(MEAN)
SURVIVAL = Surv.from_arrays(np.arange(60) % 3 > 0, np.exp(-MEAN) + 0.1)


class Column(RegressorMixin, BaseEstimator):
    """Predicts what it is told each grid holds, or noise."""

    def __init__(self, seed=None):
        self.seed = seed

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        if self.seed is not None:
            return np.random.RandomState(self.seed).normal(size=len(X))
        return np.array([float(grid.embeddings.mean()) for grid in X])


class Sure(ClassifierMixin, BaseEstimator):
    """A classifier of what the baseline cannot see: the order of the cells."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[(np.array([grid.embeddings[0, 0] for grid in X]) > 0).astype(int)]

    def predict_proba(self, X):
        positive = self.predict(X) == self.classes_[1]
        return np.stack([~positive, positive], axis=1) * 0.8 + 0.1


def test_a_model_like_the_baseline_is_no_better_than_it():
    ensemble = CrossValEnsemble(Column(), random_state=0).fit(GRIDS, MEAN, groups=PATIENT)
    verdict = ensemble.oof_verdict(n_resamples=200)
    assert verdict.outcome == NO_BETTER and verdict.chance == 0 and verdict.metric == "spearman"
    expected = compare(
        "spearman", MEAN, ensemble.oof_prediction_, ensemble.baseline_prediction_, groups=PATIENT, n_resamples=200
    )
    assert verdict.comparison == expected and verdict.score.n == 30
    assert str(verdict).startswith("No better than the baseline: spearman 0.")
    assert "mean embedding and a linear model reach 0.9" in str(verdict)


def test_noise_is_not_shown():
    verdict = CrossValEnsemble(Column(1), random_state=0).fit(GRIDS, MEAN, groups=PATIENT).oof_verdict(n_resamples=200)
    assert verdict.outcome == NOT_SHOWN and "contains chance, 0" in str(verdict)


def test_what_the_baseline_cannot_see_is_learnt():
    grids = grids_of(np.zeros(60))
    y = np.where([grid.embeddings[0, 0] > 0 for grid in grids], "up", "down")
    ensemble = CrossValEnsemble(Sure(), random_state=0).fit(grids, y)
    verdict = ensemble.oof_verdict(n_resamples=200)
    assert verdict.outcome == LEARNT and "above chance, 0.5" in str(verdict)
    assert ensemble.oof_verdict("balanced_accuracy", n_resamples=50).chance == 0.5
    assert pickle.loads(pickle.dumps(ensemble)).baseline_prediction_.shape == (60, 2)


def test_a_baseline_below_chance_is_not_what_a_model_is_measured_by():
    y, truth = np.arange(60) % 2, np.arange(60) % 2 + 0.0
    verdict = judge("auc", y, truth, 1 - truth, groups=None, level=0.95, n_resamples=50, random_state=0)
    assert verdict.outcome == LEARNT
    assert str(verdict).endswith("reach 0.000, no better than chance, so only chance counts.")


@pytest.mark.parametrize("kind", ["regression", "classification", "survival"])
def test_there_is_a_baseline_for_every_kind_of_target(kind):
    y = {"regression": MEAN, "classification": MEAN > 0, "survival": SURVIVAL}[kind]
    baseline = linear_baseline(KINDS[kind]).fit(GRIDS, y)
    assert getattr(baseline, KINDS[kind].prediction_method)(GRIDS).shape[0] == 60
    if kind != "survival":
        assert baseline.score(GRIDS, y) > 0.8


@pytest.mark.parametrize(
    ("estimator", "y"),
    [(Ridge(), MEAN), (LogisticRegression(), MEAN > 0), (CoxPHSurvivalAnalysis(alpha=0.1), SURVIVAL)],
)
def test_a_pipeline_gives_the_baseline_what_its_last_step_sees(estimator, y):
    pipe = make_pipeline(FunctionTransformer(lambda X: np.stack([g.embeddings.mean(0) for g in X])), estimator)
    ensemble = CrossValEnsemble(pipe, random_state=0).fit(GRIDS, y, groups=PATIENT)
    assert ensemble.baseline_reason_ == ""
    direct = CrossValEnsemble(linear_baseline(ensemble.kind_), random_state=0).fit(GRIDS, y, groups=PATIENT)
    np.testing.assert_allclose(ensemble.baseline_prediction_, direct.oof_prediction_, rtol=1e-2, atol=2e-3)


def test_without_a_baseline_the_reason_is_told():
    texts = [f"slide {i}" for i in range(60)]
    length = FunctionTransformer(lambda X: np.array([[len(x)] for x in X], float))
    asked = CrossValEnsemble(make_pipeline(length, StandardScaler(), Ridge()), baseline=False).fit(texts, MEAN)
    assert asked.baseline_prediction_ is None and asked.baseline_reason_ == "it was not requested"
    unreadable = CrossValEnsemble(Column(1), random_state=0).fit(np.full((60, 2, 2), "x"), MEAN)
    assert unreadable.baseline_prediction_ is None and unreadable.baseline_reason_
    assert "there is no baseline" not in str(unreadable.oof_verdict(n_resamples=50))


def test_slides_that_would_be_compressed_twice_have_no_baseline():
    class Compresses(FunctionTransformer):
        def __init__(self, cache_dir=None):
            super().__init__()
            self.cache_dir = cache_dir

    reasons = [
        CrossValEnsemble(make_pipeline(Compresses(cache), Column()), random_state=0).fit(GRIDS, MEAN).baseline_reason_
        for cache in (None, "grids")
    ]
    assert "cache_dir" in reasons[0] and reasons[1] == ""


def test_folds_are_measured_one_by_one_and_their_mean_beside_the_pooled_score():
    ensemble = CrossValEnsemble(Column(), cv=3, random_state=0).fit(GRIDS, MEAN, groups=PATIENT)
    scores = ensemble.fold_scores("r2")
    of_first = ensemble.fold_ == 0
    residual = ((MEAN - ensemble.oof_prediction_)[of_first] ** 2).sum()
    assert scores[0] == pytest.approx(1 - residual / ((MEAN - MEAN[of_first].mean())[of_first] ** 2).sum())
    assert ensemble.oof_score_ == pytest.approx(ensemble.fold_scores("spearman").mean())
    assert ensemble.oof_verdict(n_resamples=20).fold_scores == tuple(ensemble.fold_scores())


def test_a_fold_without_a_score_is_left_out_of_their_mean():
    y = np.array([0, 1] * 2 + [0] * 4)
    folds = [(np.r_[4:8, 0:2], np.r_[2:4]), (np.r_[0:4], np.r_[4:8]), (np.r_[2:8], np.r_[0:2])]
    ensemble = CrossValEnsemble(LogisticRegression(), cv=folds).fit(np.arange(8.0)[:, None], y)
    scores = ensemble.fold_scores()
    assert math.isnan(scores[1]) and ensemble.oof_score_ == pytest.approx(np.mean(scores[[0, 2]]))


def test_a_score_that_cannot_be_measured_is_not_shown_and_says_why():
    class Constant(Column):
        def predict(self, X):
            return np.zeros(len(X))

    verdict = CrossValEnsemble(Constant()).fit(GRIDS, MEAN).oof_verdict(n_resamples=20)
    assert isinstance(verdict, Verdict) and verdict.outcome == NOT_SHOWN
    assert "equal" in str(verdict) and math.isnan(verdict.mean_of_folds)


@pytest.mark.parametrize(
    ("metric", "y", "level"),
    [
        ("auc", [0, 1], 0.5),
        ("accuracy", [0, 0, 0, 1], 0.75),
        ("balanced_accuracy", list("abca"), 1 / 3),
        ("r2", [0.0, 1.0], 0.0),
        ("concordance", None, 0.5),
        (max, None, None),
    ],
)
def test_chance_levels(metric, y, level):
    assert chance_level(metric, y) == level


def test_the_mean_of_a_grid_is_that_of_its_tissue():
    array = np.zeros((2, 3, 3), np.float32)
    array[:, 1, 1], array[:, 0, 2] = [1, 2], [3, 4]
    means = MeanEmbedding().fit_transform([array, np.zeros((2, 1, 1), np.float32)])
    np.testing.assert_array_equal(means, [[2, 3], [0, 0]])
