"""GridCoxSurvival among scikit-survival's own tools: its assertions, its scorers in a search, its stacking."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sksurv.base import SurvivalAnalysisMixin
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.meta import Stacking
from sksurv.metrics import (
    as_concordance_index_ipcw_scorer,
    as_cumulative_dynamic_auc_scorer,
    as_integrated_brier_score_scorer,
    concordance_index_ipcw,
    integrated_brier_score,
)
from sksurv.testing import assert_chf_properties, assert_cindex_almost_equal, assert_survival_function_properties
from sksurv.util import Surv

from sknic import CrossValEnsemble, GridCoxSurvival

N = 72


@pytest.fixture(scope="module")
def data():
    """Grids of one cell whose first feature is the log hazard."""
    random = np.random.default_rng(0)
    X = random.normal(size=(N, 3)).astype(np.float32)
    death, end = random.exponential(100 * np.exp(-1.5 * X[:, 0])), random.uniform(50, 400, N)
    return X, Surv.from_arrays(death <= end, np.minimum(death, end))


def small(**settings):
    return GridCoxSurvival(n_filters=8, max_steps=60, n_members=1, lr=1e-2, random_state=0, **settings)


@pytest.fixture(scope="module")
def model(data):
    return small().fit(*data)


def test_it_is_one_of_theirs(model):
    assert isinstance(model, SurvivalAnalysisMixin)


def test_curves_pass_their_assertions(model, data):
    X, y = data
    survival = model.predict_survival_function(X, return_array=True)
    hazard = model.predict_cumulative_hazard_function(X, return_array=True)
    assert survival.shape == hazard.shape == (N, len(model.unique_times_))
    assert_survival_function_properties(survival)
    assert_chf_properties(hazard)
    np.testing.assert_array_equal(model.unique_times_, np.unique(y["time"]))
    functions = model.predict_survival_function(X[:2])
    np.testing.assert_allclose([function(model.unique_times_) for function in functions], survival[:2])


def test_the_concordance_is_theirs(model, data):
    X, y = data
    from sksurv.metrics import concordance_index_censored

    found = concordance_index_censored(y["event"], y["time"], model.predict(X))
    assert_cindex_almost_equal(y["event"], y["time"], model.predict(X), found)
    assert model.score(X, y) == pytest.approx(found[0])


TIMES = np.array([40.0, 80.0, 120.0])
SCORERS = {
    "IPCW concordance": lambda estimator: as_concordance_index_ipcw_scorer(estimator, tau=300.0),
    "time-dependent AUC": lambda estimator: as_cumulative_dynamic_auc_scorer(estimator, TIMES),
    "integrated Brier score": lambda estimator: as_integrated_brier_score_scorer(estimator, TIMES),
}


@pytest.mark.parametrize("name", SCORERS)
def test_a_search_by_their_scorers_prefers_the_network_that_learns(name, data):
    X, y = data
    search = GridSearchCV(SCORERS[name](small()), {"estimator__lr": [1e-5, 1e-2]}, cv=2, error_score="raise")
    search.fit(X, y)
    assert search.best_params_ == {"estimator__lr": 1e-2}


def test_their_stacking_takes_it_beside_a_cox_model(data):
    X, y = data
    parts = [("network", small()), ("table", CoxPHSurvivalAnalysis(alpha=0.1))]
    stack = Stacking(CoxPHSurvivalAnalysis(alpha=0.1), parts, probabilities=False).fit(X, y)
    assert stack.predict(X).shape == (N,)
    risks = np.column_stack([part.predict(X) for part in stack.estimators_])
    by_hand = CoxPHSurvivalAnalysis(alpha=0.1).fit(risks, y)
    np.testing.assert_allclose(stack.predict(X), by_hand.predict(risks))


def test_the_ensemble_of_folds_is_measured_by_their_metrics(data):
    X, y = data
    ensemble = CrossValEnsemble(small(), cv=3, random_state=0).fit(X, y)
    survival = np.array([function(TIMES) for function in ensemble.predict_survival_function(X)])
    assert_survival_function_properties(survival)
    assert integrated_brier_score(y, y, survival, TIMES) < 0.25
    assert concordance_index_ipcw(y, y, ensemble.predict(X))[0] > 0.7
