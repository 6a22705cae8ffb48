"""The trainer: same seed same net, the best weights, Ctrl-C, and nobody's random state touched."""

import pickle
from functools import partial

import numpy as np
import pytest
import sklearn
import torch
from skorch.callbacks import BatchScoring, Callback, EarlyStopping, EpochScoring
from torch import nn
from torch.utils.data import TensorDataset

from sknic.exceptions import TrainingDivergedError
from sknic.learning.device import resolve_device
from sknic.learning.net import EvenBatches, Net, history, train

linear = partial(nn.Linear, 3, 1)


def mse(output, target):
    return ((output[:, 0] - target) ** 2).mean()


def samples(X, y):
    return TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))


@pytest.fixture(scope="module")
def data():
    random = np.random.RandomState(0)
    X = random.normal(size=(70, 3))
    y = X @ [1, -2, 0.5] + 0.01 * random.normal(size=70)
    return samples(X[:50], y[:50]), samples(X[50:], y[50:])


def fit(data, **settings):
    return train(linear, *data, **{"loss": mse, "lr": 0.1, "max_epochs": 5, "random_state": 0, **settings})


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.module_.parameters()])


def test_it_learns(data):
    net = fit(data, max_epochs=60)
    np.testing.assert_allclose(weights(net)[:3], [1, -2, 0.5], atol=0.02)
    assert not net.module_.training


def test_same_seed_same_weights_and_another_seed_others(data):
    assert torch.equal(weights(fit(data)), weights(fit(data)))
    assert not torch.equal(weights(fit(data)), weights(fit(data, random_state=1)))


@pytest.mark.parametrize("random_state", [0, None])
def test_the_callers_random_states_are_left_alone(data, random_state):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    fit(data, random_state=random_state)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


def test_the_learning_rate_falls_on_plateaus_of_the_validation_loss_and_then_training_ends(data):
    train_data, valid_data = data
    opposite = TensorDataset(valid_data.tensors[0], -valid_data.tensors[1])
    rows = history(fit((train_data, opposite), lr=0.1, min_lr=1e-3, patience=2, max_epochs=100))
    rates = [row["lr"] for row in rows]
    assert rates == sorted(rates, reverse=True)
    np.testing.assert_allclose(sorted(set(rates)), [1e-3, 1e-2, 1e-1])
    assert len(rows) < 20


def test_the_best_weights_are_kept(data):
    train_data, valid_data = data
    net = fit((train_data, TensorDataset(valid_data.tensors[0], -valid_data.tensors[1])), max_epochs=8)
    best = min(row["valid_loss"] for row in history(net))
    with torch.no_grad():
        loss = mse(net.module_(valid_data.tensors[0]), -valid_data.tensors[1])
    assert loss == pytest.approx(best, rel=1e-5)
    assert best < history(net)[-1]["valid_loss"]


def test_without_validation_data_the_training_loss_is_watched(data):
    rows = history(fit(data[:1]))
    assert "valid_loss" not in rows[0]
    assert rows[-1]["event_best"]


def test_a_loss_that_is_never_finite_raises(data):
    def broken(output, target):
        return output.sum() * float("nan")

    with pytest.raises(TrainingDivergedError, match="valid_loss"):
        fit(data, loss=broken)


class CtrlC(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise KeyboardInterrupt


def test_ctrl_c_goes_through(data):
    with pytest.raises(KeyboardInterrupt):
        fit(data, callbacks=[CtrlC()])


def test_skorchs_early_stopping_stops_without_an_error(data):
    net = fit(data, callbacks=[EarlyStopping(patience=3, threshold=10)], max_epochs=50)
    assert len(history(net)) < 10


def r2(net, X, y):
    return 0.5


def test_a_score_of_a_skorch_callback_can_be_monitored(data):
    scoring = EpochScoring(r2, lower_is_better=False, name="r2")
    net = fit(data, callbacks=[scoring], monitor="r2", lower_is_better=False)
    assert [row["event_best"] for row in history(net)] == [True, False, False, False, False]


def test_the_fitted_net_pickles_small_and_predicts_the_same(data):
    net = fit((samples(np.zeros((20_000, 3)), np.zeros(20_000)),), batch_size=10_000)
    saved = pickle.dumps(net)
    assert len(saved) < 20_000
    X = data[1].tensors[0]
    np.testing.assert_array_equal(net.predict(X), pickle.loads(saved).predict(X))


def named(output, target):
    return {"a_loss": mse(output, target), "b_loss": 3 * mse(output, target)}


def test_named_losses_are_averaged_and_recorded(data):
    row = history(fit(data, loss=named))[-1]
    assert row["valid_b_loss"] == pytest.approx(3 * row["valid_a_loss"])
    assert row["valid_loss"] == pytest.approx(2 * row["valid_a_loss"])
    assert row["train_loss"] == pytest.approx(2 * row["train_a_loss"], rel=1e-5)


def test_a_score_of_each_batch_stays_skorchs_own(data):
    scoring = BatchScoring(r2, name="r2")
    assert history(fit(data, callbacks=[scoring]))[-1]["r2"] == 0.5


class Doubled(Net):
    def train_step(self, batch, **fit_params):
        super().train_step(batch)
        return super().train_step(batch)


def test_another_training_step_comes_as_a_subclass(data):
    assert not torch.equal(weights(fit(data, net_class=Doubled)), weights(fit(data)))


def test_l2_pulls_kernels_to_zero_but_not_biases(data):
    biased = TensorDataset(data[0].tensors[0], data[0].tensors[1] + 5)
    net = fit((biased,), l2=100.0, max_epochs=150)
    assert net.module_.weight.abs().max() < 0.1
    assert net.module_.bias.item() == pytest.approx(5, abs=0.5)


def test_one_line_an_epoch_when_verbose_and_none_otherwise(data, capsys):
    fit(data)
    assert capsys.readouterr().out == ""
    fit(data, verbose=1)
    assert len(capsys.readouterr().out.strip().splitlines()) == 5 + 2


def test_it_trains_with_metadata_routing_switched_on(data):
    with sklearn.config_context(enable_metadata_routing=True):
        assert torch.equal(weights(fit(data)), weights(fit(data)))


def test_no_batch_is_left_with_a_single_sample():
    sizes = [len(batch) for batch in EvenBatches(17, 16)]
    assert sorted(sizes) == [8, 9]
    assert sorted(i for batch in EvenBatches(17, 16) for i in batch) == list(range(17))
    assert [len(batch) for batch in EvenBatches(3, 2)] == [3]


def test_devices_are_resolved_and_nonsense_is_refused():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in {"cpu", "cuda"}
    with pytest.raises(ValueError, match="moon"):
        resolve_device("moon")
