"""Cox's model: the loss is that of scikit-survival and lifelines, the hazard Breslow's."""

import numpy as np
import pandas as pd
import pytest
import torch
from lifelines import CoxPHFitter
from sklearn.model_selection import GridSearchCV
from sksurv.column import encode_categorical
from sksurv.datasets import load_gbsg2, load_veterans_lung_cancer, load_whas500
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.linear_model.coxph import BreslowEstimator
from sksurv.metrics import (
    as_concordance_index_ipcw_scorer,
    as_cumulative_dynamic_auc_scorer,
    as_integrated_brier_score_scorer,
    cumulative_dynamic_auc,
    integrated_brier_score,
)
from sksurv.nonparametric import kaplan_meier_estimator
from sksurv.util import Surv

from sknic.estimators import GridCoxSurvival
from sknic.estimators.cox import (
    cox_loss,
)
from sknic.exceptions import DegenerateDataError
from sknic.targets import read_survival

COHORTS = {"gbsg2": load_gbsg2, "whas500": load_whas500, "veterans": load_veterans_lung_cancer}


def _pair(y):
    target = read_survival(y)
    return target["event"].copy(), target["time"].copy()


def standardised(name):
    X, y = COHORTS[name]()
    X = encode_categorical(X).astype(float)
    return (X - X.mean()) / X.std(), y


def linear_coefficients(X, y, ties):
    """Coefficients that minimise `cox_loss` of a linear module."""
    event, time = map(torch.tensor, _pair(y))
    X = torch.tensor(X.to_numpy())
    module = torch.nn.Linear(X.shape[1], 1, bias=False, dtype=torch.float64)
    optimiser = torch.optim.LBFGS(module.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        loss = cox_loss(module(X)[:, 0], event, time, ties)
        loss.backward()
        return loss

    optimiser.step(closure)
    return module.weight.detach().numpy()[0]


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("name", COHORTS)
def test_a_linear_module_gets_scikit_survivals_coefficients(name, ties):
    X, y = standardised(name)
    expected = CoxPHSurvivalAnalysis(ties=ties, n_iter=200).fit(X, y).coef_
    np.testing.assert_allclose(linear_coefficients(X, y, ties), expected, atol=1e-3)


@pytest.mark.parametrize("name", COHORTS)
def test_a_linear_module_gets_lifelines_coefficients(name):
    X, y = standardised(name)
    event, time = _pair(y)
    expected = CoxPHFitter().fit(X.assign(time=time, event=event), "time", "event").params_
    np.testing.assert_allclose(linear_coefficients(X, y, "efron"), expected, atol=1e-3)


def test_every_cancer_type_of_tcga_gets_scikit_survivals_effect_of_age(test_data):
    table = pd.read_csv(test_data / "tables" / "tcga_cdr.csv", low_memory=False)
    table = table.rename(columns={"age_at_initial_pathologic_diagnosis": "age"})
    table = table.dropna(subset=["OS", "OS.time", "age"]).query("`OS.time` > 0")
    assert len(table) > 10_000
    for _, group in table.groupby("type"):
        age = (group[["age"]] - group["age"].mean()) / group["age"].std()
        y = Surv.from_arrays(group["OS"].astype(bool), group["OS.time"])
        expected = CoxPHSurvivalAnalysis(ties="efron").fit(age, y).coef_
        np.testing.assert_allclose(linear_coefficients(age, y, "efron"), expected, atol=1e-3)


def test_scikit_survival_measures_the_survival_functions_of_real_patients(test_data):
    table = pd.read_csv(test_data / "tables" / "tcga_cdr.csv", low_memory=False)
    table = table[table["type"].isin(["GBM", "KIRC", "PRAD"]) & (table["OS.time"] > 0)]
    table = table.dropna(subset=["OS", "OS.time"]).sample(600, random_state=0)
    X = pd.get_dummies(table["type"]).to_numpy(np.float32)
    y = Surv.from_arrays(table["OS"] == 1, table["OS.time"] / 365.25)
    settings = {"max_steps": 96, "n_members": 1, "batch_size": 64, "n_filters": 16, "random_state": 0}
    model = GridCoxSurvival(**settings).fit(X[:400], y[:400])
    years, y_train, y_test = np.array([1.0, 2, 3]), y[:400], y[400:]
    survival = np.array([function(years) for function in model.predict_survival_function(X[400:])])
    time, curve = kaplan_meier_estimator(y_train["event"], y_train["time"])
    marginal = np.tile(curve[np.searchsorted(time, years)], (len(y_test), 1))
    brier = [integrated_brier_score(y_train, y_test, prediction, years) for prediction in (survival, marginal)]
    assert brier[0] < 0.75 * brier[1]
    assert cumulative_dynamic_auc(y_train, y_test, model.predict(X[400:]), years)[1] > 0.8


@pytest.mark.parametrize(
    "scorer", [as_concordance_index_ipcw_scorer, as_cumulative_dynamic_auc_scorer, as_integrated_brier_score_scorer]
)
def test_scikit_survivals_scorers_choose_settings(scorer):
    random = np.random.RandomState(0)
    X, time = random.normal(size=(60, 2)).astype(np.float32), random.uniform(1, 4, 60)
    y = Surv.from_arrays(time < 3, np.minimum(time, 3 + random.uniform(0, 0.1, 60)))
    settings = {"tau": 2} if scorer is as_concordance_index_ipcw_scorer else {"times": [1.5, 2]}
    model = GridCoxSurvival(max_steps=2, eval_every=2, n_filters=4, random_state=0)
    search = GridSearchCV(scorer(model, **settings), {"estimator__lr": [0.1, 0.01]}, cv=2, error_score="raise")
    assert np.isfinite(search.fit(X, y).cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_the_order_of_samples_does_not_change_the_loss(ties):
    risk, time = torch.randn(50, dtype=torch.float64), torch.randint(0, 8, (50,)).double()
    event, order = torch.rand(50) < 0.6, torch.randperm(50)
    torch.testing.assert_close(
        cox_loss(risk, event, time, ties), cox_loss(risk[order], event[order], time[order], ties)
    )


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_a_batch_without_events_has_no_loss_and_no_gradient(ties):
    risk = torch.randn(5, requires_grad=True)
    loss = cox_loss(risk, torch.zeros(5, dtype=bool), torch.arange(5.0), ties)
    loss.backward()
    assert loss == 0 and (risk.grad == 0).all()


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("scale", [1, 300])
def test_extreme_risks_and_ties_everywhere_stay_finite(ties, scale):
    risk = (scale * torch.randn(20)).requires_grad_()
    loss = cox_loss(risk, torch.ones(20, dtype=bool), torch.ones(20), ties)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(risk.grad).all()


def test_the_functions_are_those_of_scikit_survivals_breslow_estimator():
    random = np.random.RandomState(0)
    X = random.normal(size=(60, 3)).astype(np.float32)
    y = Surv.from_arrays(random.uniform(size=60) < 0.6, random.randint(1, 15, 60).astype(float))
    model = GridCoxSurvival(max_steps=8, eval_every=4, n_filters=4, random_state=0).fit(X, y)
    reference = BreslowEstimator().fit(model.predict(X), y["event"], y["time"])
    np.testing.assert_array_equal(model.event_times_, np.unique(y["time"]))
    for ours, theirs in [
        (model.predict_survival_function, reference.get_survival_function),
        (model.predict_cumulative_hazard_function, reference.get_cumulative_hazard_function),
    ]:
        expected = np.array([function(model.event_times_) for function in theirs(model.predict(X))])
        np.testing.assert_allclose(ours(X, return_array=True), expected)
        np.testing.assert_allclose([function(model.event_times_) for function in ours(X)], expected)


EVENT, TIME = [True, False, True], [3.0, 2.5, 1.0]


@pytest.mark.parametrize(
    "y",
    [
        Surv.from_arrays(EVENT, TIME),
        Surv.from_arrays(EVENT, TIME, "died", "years"),
        pd.DataFrame({"time": TIME, "event": EVENT, "age": [1, 2, 3]}),
        pd.DataFrame({"event": [1, 0, 1], "time": TIME}),
    ],
)
def test_survival_targets_of_every_form_read_the_same(y):
    event, time = _pair(y)
    assert event.tolist() == EVENT and event.dtype == bool
    assert time.tolist() == TIME


def table(event, time):
    return pd.DataFrame({"event": event, "time": time})


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.arange(4.0), "y of type ndarray: expected a structured array"),
        (pd.DataFrame({"time": TIME}), "y of type DataFrame: expected"),
        (
            (np.array(EVENT), np.array(TIME)),
            r"y of type tuple: expected .*Surv.from_arrays\(event, time\)",
        ),
        ([EVENT, TIME], "y of type list: expected"),
        (table([0, 2, 1], TIME), "event: expected True or False"),
        (table(EVENT, [1, -1, 1]), "time: expected finite numbers"),
        (table(EVENT, [1, np.nan, 1]), "time: expected finite numbers"),
    ],
)
def test_a_target_that_is_no_survival_time_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        _pair(y)


def test_a_score_that_cannot_be_computed_is_an_error_with_its_reason():
    grids = [np.full((2, 3, 3), i, np.float32) for i in range(6)]
    y = Surv.from_arrays([True, False] * 3, [1.0, 2, 3, 4, 5, 6])
    model = GridCoxSurvival(max_steps=1, n_filters=2, random_state=0).fit(grids, y)
    assert 0 <= model.score(grids, y) <= 1
    with pytest.raises(DegenerateDataError, match="no event happens before the end of another's follow-up"):
        model.score(grids, Surv.from_arrays([True] * 6, [3.0] * 6))
    X, frame = pd.Series(grids), pd.DataFrame(y)
    with pytest.raises(ValueError, match="X and y have the same index in another order"):
        model.score(X, frame[::-1])
    with pytest.raises(DegenerateDataError, match="without any event"):
        model.score(grids, Surv.from_arrays([False] * 6, [1.0, 2, 3, 4, 5, 6]))


def test_the_number_of_steps_follows_from_that_of_the_slides(monkeypatch):
    assert [GridCoxSurvival()._n_steps(n) for n in (24, 160, 161, 320, 1571)] == [600, 600, 604, 1200, 1500]
    assert GridCoxSurvival(batch_size=64)._n_steps(1200) == 1125
    assert GridCoxSurvival(max_steps=7)._n_steps(1571) == 7
    monkeypatch.setattr("sknic.estimators.survival.MIN_STEPS", 3)
    monkeypatch.setattr("sknic.estimators.survival.N_PASSES", 8)
    random = np.random.default_rng(0)
    X = random.normal(size=(12, 3)).astype(np.float32)
    y = Surv.from_arrays(np.ones(12, bool), random.uniform(1, 9, 12))
    model = GridCoxSurvival(n_filters=2, batch_size=4, eval_every=8, validation_fraction=0.25, random_state=0).fit(X, y)
    # Eight passes over the nine slides that are learnt from, four at a time, by each of three networks.
    assert [row["step"] for row in model.history_ if row["step"] > 16] == [18] * 3 and len(model.nets_) == 3
