"""Several networks in one fit: their mean is the prediction, one that collapsed is trained again, files keep all."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from sksurv.util import Surv

from sknic import CrossValEnsemble
from sknic.estimators import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival, load_estimator
from sknic.estimators.members import MAX_RESTARTS, join_weights, split_weights, spread_between
from sknic.exceptions import NothingLearntWarning, TrainingInterrupted
from sknic.plotting import LearningCurveDisplay
from sknic.saliency import grad_cam

RANDOM = np.random.RandomState(0)
GRIDS = [RANDOM.normal(size=(3, 4, 4)).astype(np.float32) + i % 2 for i in range(10)]
TARGETS = {
    GridCNNRegressor: np.arange(10) % 2 + RANDOM.normal(size=10) / 10,
    GridCNNClassifier: np.array(["a", "b"] * 5),
    GridCoxSurvival: Surv.from_arrays(np.ones(10, bool), 2 - np.arange(10) % 2 + RANDOM.uniform(size=10)),
}
SETTINGS = {"n_filters": 4, "max_steps": 8, "eval_every": 4, "random_state": 0, "device": "cpu", "n_threads": 1}
METHOD = {GridCNNRegressor: "predict", GridCNNClassifier: "predict_proba", GridCoxSurvival: "predict"}
each_kind = pytest.mark.parametrize("kind", TARGETS)


def of_member(model, number):
    """The fitted estimator with one of its networks alone."""
    alone = type(model)(**model.get_params())
    vars(alone).update({**vars(model), "nets_": [model.nets_[number]]})
    if hasattr(model, "mean_risk_"):
        alone.mean_risk_ = model.mean_risk_[[number]]
    return alone


@each_kind
def test_a_prediction_is_the_mean_of_the_members(kind):
    model = kind(**SETTINGS, n_members=3).fit(GRIDS, TARGETS[kind])
    found = getattr(model, METHOD[kind])(GRIDS)
    members = np.array([getattr(of_member(model, number), METHOD[kind])(GRIDS) for number in range(3)])
    assert len({member.tobytes() for member in members}) == 3
    np.testing.assert_allclose(found, members.mean(axis=0), rtol=1e-12)
    of_winner = members if found.ndim == 1 else members[:, np.arange(10), found.argmax(axis=1)]
    np.testing.assert_allclose(model.predict_spread(GRIDS), of_winner.std(axis=0), rtol=1e-12)


@each_kind
def test_the_first_member_is_the_network_that_is_fitted_alone(kind):
    alone, several = (kind(**SETTINGS, n_members=n).fit(GRIDS, TARGETS[kind]) for n in (1, 2))
    first = of_member(several, 0)
    np.testing.assert_array_equal(getattr(alone, METHOD[kind])(GRIDS), getattr(first, METHOD[kind])(GRIDS))


@each_kind
def test_a_file_keeps_all_members(kind, tmp_path):
    model = kind(**SETTINGS, n_members=2).fit(GRIDS, TARGETS[kind])
    model.save(tmp_path / "m.safetensors")
    read = load_estimator(tmp_path / "m.safetensors", device="cpu")
    assert len(read.nets_) == 2
    np.testing.assert_array_equal(getattr(read, METHOD[kind])(GRIDS), getattr(model, METHOD[kind])(GRIDS))
    np.testing.assert_array_equal(read.predict_spread(GRIDS), model.predict_spread(GRIDS))


class Collapsing(torch.nn.Module):
    """A linear map of the mean embedding; the networks whose numbers are in `dead` answer 0 for ever."""

    built = 0
    dead: tuple = ()

    def __init__(self, n_channels, n_outputs):
        super().__init__()
        self.linear = torch.nn.Linear(n_channels, n_outputs)
        self.alive = float(type(self).built not in self.dead)
        type(self).built += 1

    def forward(self, crops):
        return self.alive * self.linear(crops.mean(dim=(2, 3)))


def fit_collapsing(dead, n_members):
    Collapsing.built, Collapsing.dead = 0, dead
    model = GridCNNRegressor(
        **SETTINGS | {"max_steps": 120, "n_filters": 128}, module=Collapsing, n_members=n_members, lr=0.05
    )
    return model.fit(GRIDS, TARGETS[GridCNNRegressor])


def test_a_member_that_collapsed_is_trained_again():
    model = fit_collapsing(dead=(1, 2), n_members=3)
    assert (Collapsing.built, model.n_restarts_) == (5, 2)
    assert all(net.module_.alive for net in model.nets_)
    assert {row["member"] for row in model.history_} == {0, 1, 2}


def test_a_member_that_stays_collapsed_is_named():
    with pytest.warns(NothingLearntWarning, match="network 2 of 2, learnt nothing"):
        model = fit_collapsing(dead=(1, 2, 3), n_members=2)
    assert model.n_restarts_ == MAX_RESTARTS


def test_a_single_network_is_what_its_seed_gives():
    with pytest.warns(NothingLearntWarning, match="GridCNNRegressor learnt nothing"):
        model = fit_collapsing(dead=(0,), n_members=1)
    assert (Collapsing.built, model.n_restarts_) == (1, 0)


def test_an_interrupted_fit_keeps_the_members_that_are_whole(monkeypatch):
    from sknic.estimators import training

    calls, train = [], training.train

    def interrupted_third(*args, **kwargs):
        calls.append(1)
        if len(calls) == 3:
            raise TrainingInterrupted
        return train(*args, **kwargs)

    monkeypatch.setattr(training, "train", interrupted_third)
    model = GridCoxSurvival(**SETTINGS, n_members=4)
    with pytest.raises(TrainingInterrupted):
        model.fit(GRIDS, TARGETS[GridCoxSurvival])
    assert len(model.nets_) == 2
    assert np.isfinite(model.predict(GRIDS)).all()


def test_a_saliency_map_is_the_mean_of_those_of_the_members():
    model = GridCNNClassifier(**SETTINGS, n_members=2).fit(GRIDS, TARGETS[GridCNNClassifier])
    maps = [grad_cam(of_member(model, number), GRIDS[0], "a") for number in range(2)]
    assert not np.allclose(*maps)
    np.testing.assert_allclose(grad_cam(model, GRIDS[0], "a"), np.mean(maps, axis=0), atol=1e-6)


def test_one_network_has_no_spread():
    model = GridCNNRegressor(**SETTINGS).fit(GRIDS, TARGETS[GridCNNRegressor])
    with pytest.raises(ValueError, match="n_members=3 or more"):
        model.predict_spread(GRIDS)


def test_a_learning_curve_has_a_line_for_each_member():
    model = GridCNNRegressor(**SETTINGS, n_members=2).fit(GRIDS, TARGETS[GridCNNRegressor])
    display = LearningCurveDisplay.from_estimator(model)
    plt.close(display.figure_)
    assert [list(line.get_xdata()) for line in display.lines_] == [[4, 8], [4, 8]]


def test_members_work_inside_an_ensemble():
    model = CrossValEnsemble(GridCNNClassifier(**SETTINGS, n_members=2), cv=2, random_state=0, baseline=False)
    model.fit(GRIDS, TARGETS[GridCNNClassifier])
    assert [len(fold.nets_) for fold in model.estimators_] == [2, 2]


def test_weights_come_apart_as_they_were_put_together():
    states = [{"a.b": torch.tensor([float(i)])} for i in range(11)]
    assert split_weights(join_weights(states)) == states
    assert split_weights(join_weights(states[:1])) == states[:1]


def test_the_spread_is_of_the_class_that_wins():
    found = np.array([[[0.9, 0.1]], [[0.3, 0.7]]])
    np.testing.assert_allclose(spread_between(found, of_winner=True), [0.3])
    np.testing.assert_allclose(spread_between(np.array([[1.0], [3.0]]), of_winner=False), [1.0])


def test_lines_of_progress_name_the_network(capsys):
    GridCNNRegressor(**SETTINGS, n_members=2, verbose=1).fit(GRIDS, TARGETS[GridCNNRegressor])
    begins = [line.partition("  ")[0] for line in capsys.readouterr().out.splitlines()]
    assert begins == [f"network {number} of 2, step {step}/8" for number in (1, 2) for step in (4, 8)]
    GridCNNRegressor(**SETTINGS, verbose=1).fit(GRIDS, TARGETS[GridCNNRegressor])
    assert capsys.readouterr().out.startswith("step 4/8")
