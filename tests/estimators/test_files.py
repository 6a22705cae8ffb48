"""Fitted estimators survive pickle, joblib and their own file; a damaged file says so."""

import io
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sksurv.util import Surv

from sknic import __version__
from sknic.estimators import (
    PAPER_RECIPE,
    AttentionMIL,
    GridCNN,
    GridCNNClassifier,
    GridCNNRegressor,
    GridCoxSurvival,
    files,
    load_estimator,
)
from sknic.exceptions import ModelFileError
from sknic.files import weights

QUICK = {"n_filters": 8, "max_steps": 2, "eval_every": 2, "random_state": 0, "device": "cpu"}
OWN = {name: value for name, value in QUICK.items() if name != "n_filters"}


@pytest.fixture(scope="module")
def models(cohort):
    grids, scores, labels, _ = cohort
    y = Surv.from_arrays(scores > -1, np.exp(-scores))
    return {
        "classifier": GridCNNClassifier(**QUICK).fit(grids, labels),
        "regressor": GridCNNRegressor(**OWN, module=AttentionMIL).fit(grids, np.stack([scores, -scores], axis=1)),
        "survival": GridCoxSurvival(**QUICK, ties="breslow").fit(grids, y),
    }


def by_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, folder):
    file = io.BytesIO()
    joblib.dump(model, file)
    return joblib.load(io.BytesIO(file.getvalue()))


def by_file(model, folder):
    model.save(folder / "model.safetensors")
    return load_estimator(folder / "model.safetensors", device="cpu")


@pytest.mark.parametrize("way", [by_pickle, by_joblib, by_file])
@pytest.mark.parametrize("kind", ["classifier", "regressor", "survival"])
def test_it_comes_back_and_predicts_the_same(models, cohort, tmp_path, kind, way):
    model, grids = models[kind], cohort[0]
    back = way(model, tmp_path)
    assert type(back) is type(model)
    np.testing.assert_array_equal(back.predict(grids), model.predict(grids))
    assert back.get_params() == model.get_params()
    assert back.history_ == model.history_
    if kind == "classifier":
        np.testing.assert_array_equal(back.predict_proba(grids), model.predict_proba(grids))
    if kind == "survival":
        for ours, theirs in zip(back.predict_survival_function(grids), model.predict_survival_function(grids)):
            assert ours == theirs


def test_a_model_read_from_a_file_can_be_saved_and_fitted_again(models, cohort, tmp_path):
    back = by_file(models["classifier"], tmp_path)
    again = by_file(back, tmp_path)
    np.testing.assert_array_equal(again.predict_proba(cohort[0]), back.predict_proba(cohort[0]))
    back.fit(cohort[0], cohort[2])
    np.testing.assert_array_equal(again.predict_proba(cohort[0]), back.predict_proba(cohort[0]))


def test_the_data_is_in_no_pickle(cohort):
    grids, scores, *_ = cohort
    sizes = [len(pickle.dumps(GridCNNRegressor(**QUICK).fit(grids * n, np.tile(scores, n)))) for n in (1, 4)]
    assert abs(sizes[1] - sizes[0]) < 500


class OwnNetwork(GridCNN):
    """A network that is not sknic's."""


def test_a_network_that_is_not_sknics_is_asked_for(cohort, tmp_path):
    grids, scores, *_ = cohort
    model = GridCNNRegressor(**OWN, module=OwnNetwork).fit(grids, scores)
    model.save(tmp_path / "own")
    with pytest.raises(ModelFileError, match="OwnNetwork"):
        load_estimator(tmp_path / "own")
    back = load_estimator(tmp_path / "own", module=OwnNetwork, device="cpu")
    np.testing.assert_array_equal(back.predict(grids), model.predict(grids))
    with pytest.raises(ModelFileError, match="another network"):
        load_estimator(tmp_path / "own", module=AttentionMIL)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text", "pickle"])
def test_a_damaged_file_is_a_model_file_error(models, tmp_path, damage):
    path = tmp_path / "model.safetensors"
    models["survival"].save(path)
    content = bytearray(path.read_bytes())
    if damage == "flipped":
        content[-7] ^= 1
    damaged = {"cut": content[:-9], "flipped": content, "empty": b"", "text": b"no model", "pickle": pickle.dumps({})}
    path.write_bytes(damaged[damage])
    with pytest.raises(ModelFileError, match=r"model\.safetensors"):
        load_estimator(path)


def test_a_file_of_another_version_with_a_parameter_unknown_here_names_both_versions(models, tmp_path, monkeypatch):
    model = clone(models["regressor"])
    vars(model).update(vars(models["regressor"]))
    params = model.get_params()
    monkeypatch.setattr(model, "get_params", lambda deep=True: {**params, "max_epochs": 3, "padding_mode": "zeros"})
    monkeypatch.setattr(weights, "__version__", "7.1.0")
    model.save(tmp_path / "model")
    with pytest.raises(ModelFileError, match=r"sknic 7\.1\.0.*max_epochs, padding_mode.*this is sknic " + __version__):
        load_estimator(tmp_path / "model")


def test_a_file_from_before_the_default_recipe_predicts_as_it_did(cohort, tmp_path, monkeypatch):
    model = GridCNNRegressor(**{**PAPER_RECIPE, **QUICK}).fit(cohort[0], cohort[1])
    new = ("standardize", "schedule", "average_orientations", "channel_mean_", "channel_scale_")
    said = (model.get_params(), files._learnt_of(model))
    params, learnt = ({name: value for name, value in part.items() if name not in new} for part in said)
    with monkeypatch.context() as patch:
        patch.setattr(model, "get_params", lambda deep=True: params)
        patch.setattr(files, "_learnt_of", lambda _: learnt)
        model.save(tmp_path / "model")
    back = load_estimator(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(back.predict(cohort[0]), model.predict(cohort[0]))
    assert back.get_params() == model.get_params()


@pytest.mark.parametrize("written", [{}, {"pooled_branch": False}])
def test_a_model_with_another_network_from_before_a_parameter_of_the_cnn_can_be_fitted_again(
    cohort, tmp_path, monkeypatch, written
):
    grids, scores, *_ = cohort
    model = GridCNNRegressor(**OWN, module=AttentionMIL).fit(grids, scores)
    params = {name: value for name, value in model.get_params().items() if not name.endswith("_branch")} | written
    with monkeypatch.context() as patch:
        patch.setattr(model, "get_params", lambda deep=True: params)
        model.save(tmp_path / "model")
    back = load_estimator(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(back.predict(grids), model.predict(grids))
    np.testing.assert_array_equal(clone(back).fit(grids, scores).predict(grids), model.predict(grids))


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_estimator(tmp_path / "none")


def test_an_interrupted_save_leaves_the_old_file(models, tmp_path, monkeypatch):
    path = tmp_path / "model"
    models["classifier"].save(path)
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *names: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        models["regressor"].save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


class Plain(GridCNNRegressor):
    """A subclass with fewer parameters."""

    def __init__(self, max_steps=2, random_state=0):
        super().__init__(n_filters=8, max_steps=max_steps, eval_every=2, random_state=random_state, device="cpu")


def test_a_subclass_with_fewer_parameters_comes_back(cohort, tmp_path):
    grids, scores, *_ = cohort
    model = Plain(max_steps=1).fit(grids, scores)
    back = by_file(model, tmp_path)
    assert type(back) is Plain and back.get_params() == {"max_steps": 1, "random_state": 0}
    np.testing.assert_array_equal(back.predict(grids), model.predict(grids))


class Projected(torch.nn.Module):
    """A network with numbers that are neither parameters nor buffers."""

    def __init__(self, n_channels, n_outputs):
        super().__init__()
        self.head = torch.nn.Linear(4, n_outputs)
        self.projection = torch.randn(n_channels, 4)

    def forward(self, x):
        return self.head(x.mean(dim=(2, 3)) @ self.projection)


class MeanPooled(AttentionMIL):
    """Has the layers of sknic's network, and its name, but computes something else."""

    def forward(self, x):
        return self.head(self.embed(x.flatten(2).transpose(1, 2)).mean(dim=1))


MeanPooled.__qualname__ = MeanPooled.__name__ = "AttentionMIL"


def clone_of(model):
    return pickle.loads(pickle.dumps(model))


def test_a_network_that_the_file_would_not_bring_back_is_not_saved(cohort, tmp_path):
    grids, scores, _, _ = cohort
    random = GridCNNRegressor(**{**OWN, "random_state": 1}, module=Projected).fit(grids, scores)
    changed = GridCNNRegressor(**{**QUICK, "max_steps": 40, "lr": 3e-2}).fit(grids, scores)
    for model in (random, changed.set_params(mask_background=True), clone_of(changed).set_params(pooled_branch=False)):
        with pytest.raises(ValueError, match="the network cannot be built again from its weights"):
            model.save(tmp_path / "m.safetensors")
        assert not (tmp_path / "m.safetensors").exists()
    changed.set_params(mask_background=False).save(tmp_path / "m.safetensors")
    found = load_estimator(tmp_path / "m.safetensors", device="cpu").predict(grids)
    np.testing.assert_allclose(found, changed.predict(grids), rtol=1e-6)


def test_a_network_of_the_user_is_not_taken_for_sknics_of_the_same_name(cohort, tmp_path):
    grids, scores, _, _ = cohort
    model = GridCNNRegressor(**OWN, module=MeanPooled).fit(grids, scores)
    model.save(tmp_path / "m.safetensors")
    with pytest.raises(
        ModelFileError, match=r"test_files\.AttentionMIL, which sknic does not know; pass it as module="
    ):
        load_estimator(tmp_path / "m.safetensors")
    again = load_estimator(tmp_path / "m.safetensors", device="cpu", module=MeanPooled)
    np.testing.assert_allclose(again.predict(grids), model.predict(grids), rtol=1e-6)
