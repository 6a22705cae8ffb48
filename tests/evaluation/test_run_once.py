"""Networks run once for prediction, curves and spread together, and say what they say one by one."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknic import CrossValEnsemble, Grid, GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
from sknic.estimators.network import GridCNN
from sknic.evaluation import external_survival_scores
from sknic.evaluation.fitting import fit_fold
from sknic.evaluation.run_once import has_spread, run_once
from sknic.evaluation.survival_scores import survival_at
from sknic.targets import Survival, survival_array
from tests.cli.helpers import run

N = 40
RANDOM = np.random.default_rng(0)
GRIDS = [RANDOM.normal(size=(3, 4, 4)).astype(np.float32) + i % 2 for i in range(N)]
Y = survival_array(np.arange(N) % 4 > 0, 1 + RANDOM.permutation(N).astype(float))
TARGETS = {GridCNNRegressor: RANDOM.normal(size=N), GridCNNClassifier: np.array(["a", "b"] * 20), GridCoxSurvival: Y}
# One crop of each grid in each prediction, so that grids are counted.
QUICK = {"n_filters": 4, "max_steps": 6, "eval_every": 6, "random_state": 0, "device": "cpu", "n_threads": 1}
ONE_CROP = {**QUICK, "average_orientations": False, "n_crops": 1}


@pytest.fixture
def seen(monkeypatch):
    """One entry per forward pass: the number of grids in it."""
    passes, forward = [], GridCNN.forward
    monkeypatch.setattr(GridCNN, "forward", lambda net, x: passes.append(len(x)) or forward(net, x))
    return passes


def n_seen(seen, act):
    """Grids that networks see during an act, and its result."""
    seen.clear()
    result = act()
    return sum(seen), result


def assert_same_curves(found, wanted):
    assert len(found) == len(wanted)
    for curve, other in zip(found, wanted):
        np.testing.assert_array_equal(curve.x, other.x)
        np.testing.assert_array_equal(curve.y, other.y)


@pytest.mark.parametrize("name, value", [("average_orientations", True), ("n_crops", 2)])
def test_outputs_of_other_settings_do_not_stand_for_the_grids(name, value):
    model = GridCNNRegressor(**ONE_CROP).fit(GRIDS[:8], TARGETS[GridCNNRegressor][:8])
    outputs = model.run_networks(GRIDS[:8])
    np.testing.assert_array_equal(model.predict(outputs), model.predict(GRIDS[:8]))
    model.set_params(**{name: value})
    with pytest.raises(ValueError, match=f"X: the networks were run with .*'{name}': .* run them again"):
        model.predict(outputs)


@pytest.mark.parametrize("kind", TARGETS)
def test_outputs_stand_for_the_grids(kind, seen):
    model = kind(**ONE_CROP, n_members=2).fit(GRIDS, TARGETS[kind])
    n, outputs = n_seen(seen, lambda: model.run_networks(GRIDS))
    assert (n, len(outputs)) == (2 * N, N)
    for method in ("predict", "predict_proba", "predict_spread"):
        if hasattr(model, method):
            wanted = getattr(model, method)(GRIDS)
            n, found = n_seen(seen, lambda name=method: getattr(model, name)(outputs))
            assert n == 0
            np.testing.assert_array_equal(found, wanted)


@pytest.fixture(scope="module")
def cox():
    return GridCoxSurvival(**ONE_CROP, n_members=2).fit(GRIDS, Y)


@pytest.fixture(scope="module")
def ensemble():
    members = GridCoxSurvival(**ONE_CROP, n_members=1)
    return CrossValEnsemble(members, cv=3, random_state=0, baseline=False, calibrate=True).fit(GRIDS, Y)


@pytest.mark.parametrize("name", ["predict_survival_function", "predict_cumulative_hazard_function"])
@pytest.mark.parametrize("which", ["cox", "ensemble"])
def test_curves_follow_from_outputs(which, name, seen, request):
    model = request.getfixturevalue(which)
    outputs = model.run_networks(GRIDS)
    wanted = getattr(model, name)(GRIDS)
    n, found = n_seen(seen, lambda: getattr(model, name)(outputs))
    assert n == 0
    assert_same_curves(found, wanted)


def test_recalibrated_hazards_take_one_run_of_each_model(ensemble, seen):
    n, found = n_seen(seen, lambda: ensemble.predict_cumulative_hazard_function(GRIDS))
    assert n == 3 * N
    plain = CrossValEnsemble.from_models(ensemble.estimators_)
    hazards, curves = plain.predict_cumulative_hazard_function(GRIDS), plain.predict_survival_function(GRIDS)
    assert_same_curves(found, ensemble.recalibration_.hazards(hazards, curves))


def test_a_fold_is_predicted_once(seen):
    model = GridCoxSurvival(**ONE_CROP, n_members=2)
    train, test, times = np.arange(30), np.arange(30, N), np.array([3.0, 8.0])
    in_fit, alone = n_seen(seen, lambda: clone(model).fit(GRIDS[:30], Y[:30]))
    fold = (Survival(), GRIDS, Y, {}, train, test, False, times)
    in_fold, found = n_seen(seen, lambda: fit_fold(model, *fold))
    assert in_fold - in_fit == 2 * len(test)
    np.testing.assert_array_equal(found.prediction, alone.predict(GRIDS[30:]))
    np.testing.assert_array_equal(found.survival, survival_at(alone, GRIDS[30:], times))
    np.testing.assert_array_equal(found.spread, alone.predict_spread(GRIDS[30:]))


@pytest.mark.parametrize("which", ["cox", "ensemble"])
def test_an_external_test_takes_outputs(which, seen, request):
    model = request.getfixturevalue(which)
    wanted = external_survival_scores(model, GRIDS, Y, model.predict(GRIDS), n_resamples=20)

    def measured():
        outputs = model.run_networks(GRIDS)
        return external_survival_scores(model, outputs, Y, model.predict(outputs), n_resamples=20)

    n, found = n_seen(seen, measured)
    assert n == (2 if which == "cox" else 3) * N
    assert found == wanted


@pytest.mark.parametrize("n_members", [1, 2])
def test_predictions_curves_and_spread_of_the_command_take_one_run(n_members, seen, tmp_path):
    rows = []
    for i, dense in enumerate(GRIDS):
        Grid.from_dense(dense).write(tmp_path / f"{i}.h5")
        rows.append({"path": f"{i}.h5", "patient": f"p{i}", "event": int(Y["event"][i]), "time": Y["time"][i]})
    pd.DataFrame(rows[12:]).to_csv(tmp_path / "old.csv", index=False)
    pd.DataFrame(rows[:12]).to_csv(tmp_path / "new.csv", index=False)
    settings = ("--task", "survival", "--max-steps", 6, "--n-filters", 4, "--n-members", n_members, "--device", "cpu")
    assert run("fit", tmp_path / "old.csv", *settings, "--out", tmp_path / "model").exit_code == 0
    out, options = tmp_path / "p.csv", ["--spread"] if n_members > 1 else []
    n, result = n_seen(
        seen, lambda: run("predict", tmp_path / "new.csv", "--model", tmp_path / "model", "--out", out, *options)
    )
    assert result.exit_code == 0, result.output
    assert n == n_members * 12 * 8  # orientations
    assert json.loads((tmp_path / "p.metrics.json").read_text())["integrated_brier"]["n"] == 12
    assert ("spread" in pd.read_csv(out)) == (n_members > 1)


def test_outputs_of_another_model_are_refused(cox, ensemble):
    other = GridCoxSurvival(**ONE_CROP).fit(GRIDS, Y)
    with pytest.raises(ValueError, match="expected grids, or outputs of this GridCoxSurvival's own networks"):
        other.predict(cox.run_networks(GRIDS))
    with pytest.raises(ValueError, match="expected slides, or outputs of this CrossValEnsemble's own models"):
        CrossValEnsemble.from_models([other]).predict(ensemble.run_networks(GRIDS))


def test_a_pipeline_or_search_is_asked_through_its_last_step(cox):
    X = RANDOM.normal(size=(40, 2))
    y = (X[:, 0] > 0).astype(int)
    pipeline = make_pipeline(FunctionTransformer(np.square), LogisticRegression()).fit(X, y)
    last, inputs = run_once(pipeline, X)
    assert last is pipeline[-1]
    np.testing.assert_array_equal(inputs, X**2)
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1]}, cv=2).fit(X, y)
    last, inputs = run_once(search, X)
    np.testing.assert_array_equal(last.predict_proba(inputs), search.predict_proba(X))
    last, inputs = run_once(make_pipeline(cox), GRIDS)
    assert last is cox
    np.testing.assert_array_equal(inputs.values, cox.run_networks(GRIDS).values)


def test_several_networks_or_models_have_a_spread(cox, ensemble):
    assert has_spread(cox) and has_spread(ensemble)
    assert not has_spread(CrossValEnsemble.from_models(ensemble.estimators_[:1]))
    assert not has_spread(ensemble.estimators_[0])
    assert not has_spread(LogisticRegression())
