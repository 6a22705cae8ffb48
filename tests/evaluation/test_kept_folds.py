"""A cross-validation that was interrupted goes on with the next fold, and never takes a fold of other slides."""

import sys
import types

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sknic import CrossValEnsemble, Grid, GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
from sknic.estimators import AttentionMIL
from sknic.evaluation import kept_folds
from sknic.exceptions import RunFolderError
from sknic.targets import survival_array

QUICK = {"max_steps": 3, "eval_every": 1, "device": "cpu", "n_threads": 1, "random_state": 0}
Y = np.arange(12.0)


def grids(seed=0):
    rng = np.random.default_rng(seed)
    return [Grid(rng.normal(size=(4, 3)), [[0, 0], [0, 1], [1, 0], [1, 1]], (2, 2)) for _ in range(12)]


def ensemble(folder, model=None, **options):
    model = GridCNNRegressor(**QUICK, n_filters=4) if model is None else model
    return CrossValEnsemble(model, **({"cv": 4, "random_state": 0} | options), folds_dir=folder)


@pytest.fixture
def fits(monkeypatch):
    """Counts the folds that are fitted; a fit whose number is in `stop` is interrupted, as by Ctrl-C."""
    real, done, stop = kept_folds.fit_fold, [], []

    def counted(*fold):
        done.append(fold)
        if len(done) in stop:
            raise KeyboardInterrupt
        return real(*fold)

    monkeypatch.setattr(kept_folds, "fit_fold", counted)
    return done, stop


def test_the_same_call_goes_on_where_it_was_interrupted(fits, tmp_path):
    done, stop = fits
    stop.append(3)
    with pytest.raises(KeyboardInterrupt):
        ensemble(tmp_path).fit(grids(), Y)
    done.clear()
    stop.clear()
    again = ensemble(tmp_path).fit(grids(), Y)
    assert len(done) == 2
    whole = ensemble(None).fit(grids(), Y)
    np.testing.assert_array_equal(again.oof_prediction_, whole.oof_prediction_)
    np.testing.assert_array_equal(again.baseline_prediction_, whole.baseline_prediction_)
    np.testing.assert_array_equal(again.fold_, whole.fold_)
    assert {path.suffix for path in tmp_path.iterdir()} == {".npz", ".safetensors"}


MODELS = {
    "two members": (GridCNNRegressor(**QUICK, n_filters=4, n_members=2), Y),
    "attention": (GridCNNClassifier(**QUICK, module=AttentionMIL), np.arange(12) % 2),
    "survival": (GridCoxSurvival(**QUICK, n_filters=4), survival_array(np.ones(12, bool), 1 + Y % 5)),
}


@pytest.mark.parametrize("name", MODELS)
def test_folds_that_are_read_are_those_that_were_fitted(name, fits, tmp_path):
    model, y = MODELS[name]
    first, again = (ensemble(tmp_path, model, cv=3).fit(grids(), y) for _ in range(2))
    assert len(fits[0]) == 3
    for part in ("oof_prediction_", "oof_spread_", "oof_survival_", "baseline_prediction_"):
        np.testing.assert_array_equal(getattr(again, part), getattr(first, part))
    assert again.baseline_reason_ == first.baseline_reason_
    np.testing.assert_array_equal(again.predict(grids(seed=1)), first.predict(grids(seed=1)))
    for fitted, read in zip(first.estimators_, again.estimators_):
        assert read.history_ == fitted.history_ and read.get_params() == fitted.get_params()


@pytest.mark.parametrize("change", ["slides", "target", "patients", "folds", "model", "orientations"])
def test_other_slides_labels_folds_or_settings_are_fitted_anew(change, fits, tmp_path):
    ensemble(tmp_path).fit(grids(), Y)
    fits[0].clear()
    other = ensemble(tmp_path)
    X, y = (grids(seed=1) if change == "slides" else grids()), (Y + 1 if change == "target" else Y)
    if change == "folds":
        other.set_params(random_state=1)
    if change == "orientations":  # the embeddings of the first one are the same
        X = [Grid(g.embeddings, g.cells, g.shape, oriented_embeddings=np.stack([g.embeddings] * 7)) for g in X]
    if change == "model":
        other.set_params(estimator__lr=1e-3)
    other.fit(X, y, groups=np.arange(12) // 2 if change == "patients" else None)
    assert len(fits[0]) == 4


PLAIN = "def net(c, k):\n    return nn.Sequential(nn.Flatten(), nn.Linear(c * 4, k))"
BOUNDED = PLAIN.replace("c * 4, k)", "c * 4, k), nn.Tanh()")


def test_a_network_whose_code_changed_under_its_name_is_fitted_anew(fits, tmp_path, monkeypatch):
    module = types.ModuleType("users_networks")
    monkeypatch.setitem(sys.modules, "users_networks", module)
    predicted = []
    for code in (PLAIN, BOUNDED, PLAIN):
        exec(f"from torch import nn\n{code}", vars(module))
        arrays = [grid.to_dense() for grid in grids()]
        model = GridCNNRegressor(**QUICK, module=module.net)
        predicted.append(ensemble(tmp_path, model).fit(arrays, Y).oof_prediction_)
    assert len(fits[0]) == 8
    np.testing.assert_array_equal(predicted[0], predicted[2])
    assert (predicted[0] != predicted[1]).all()


def test_a_kept_fold_belongs_to_the_encoder_of_its_grids(tmp_path):
    made = [[Grid(g.embeddings, g.cells, g.shape, fingerprint=name) for g in grids()] for name in ("one", "other")]
    for X, name in zip(made, ("one", "other")):
        assert ensemble(tmp_path).fit(X, Y).estimators_[0].provenance_["encoder"] == name


def test_a_damaged_fold_is_named_and_one_without_a_model_is_fitted_again(fits, tmp_path):
    first = ensemble(tmp_path).fit(grids(), Y)
    next(tmp_path.glob("*.safetensors")).unlink()
    np.testing.assert_array_equal(ensemble(tmp_path).fit(grids(), Y).oof_prediction_, first.oof_prediction_)
    assert len(fits[0]) == 5
    file = next(tmp_path.glob("*.npz"))
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(RunFolderError, match=f"{file.name}: damaged .*; delete it, and this fold is fitted again"):
        ensemble(tmp_path).fit(grids(), Y)


def test_estimators_without_files_of_their_own_are_refused(tmp_path):
    with pytest.raises(TypeError, match="folds_dir: expected None, because Ridge does not write its own files"):
        ensemble(tmp_path, Ridge()).fit(np.ones((12, 2)), Y)
