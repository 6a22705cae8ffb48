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

from sknic.exceptions import TrainingDivergedError, TrainingInterrupted
from sknic.learning.net import Net, history, train
from sknic.learning.schedule import Plateau

from .helpers import CtrlC, fit, mse, samples, weights


def test_it_learns(data):
    net = fit(data, max_steps=120)
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


def test_the_best_weights_are_kept(data):
    train_data, valid_data = data
    net = fit((train_data, TensorDataset(valid_data.tensors[0], -valid_data.tensors[1])), max_steps=16)
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


def test_ctrl_c_goes_through_and_the_best_weights_so_far_are_in_it(data):
    with pytest.raises(TrainingInterrupted) as interrupt:
        fit(data, max_steps=40, callbacks=[CtrlC(3)])
    net = interrupt.value.net
    assert torch.equal(weights(net), weights(fit(data, max_steps=6)))
    assert [row["step"] for row in history(net)] == [2, 4, 6]
    assert not net.module_.training
    assert torch.equal(weights(pickle.loads(pickle.dumps(interrupt.value)).net), weights(net))


def test_ctrl_c_before_the_first_evaluation_goes_through_with_nothing(data):
    with pytest.raises(KeyboardInterrupt) as interrupt:
        fit(data, callbacks=[CtrlC(0)])
    assert interrupt.value.net is None


def test_skorchs_early_stopping_stops_without_an_error(data):
    net = fit(data, callbacks=[EarlyStopping(patience=3, threshold=10)], max_steps=100)
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
    net = fit((biased,), l2=100.0, max_steps=300)
    assert net.module_.weight.abs().max() < 0.1
    assert net.module_.bias.item() == pytest.approx(5, abs=0.5)


def test_one_line_per_evaluation_when_verbose_and_none_otherwise(data, capsys):
    fit(data)
    assert capsys.readouterr().out == ""
    fit(data, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["2/10", "4/10", "6/10", "8/10", "10/10"]
    assert all("train_loss" in line and "valid_loss" in line and line.endswith("left") for line in lines)


@pytest.mark.parametrize("every", [1, 3, 4, 100])
def test_evaluations_come_every_so_many_steps_whatever_the_length_of_a_pass(data, every):
    rows = history(fit(data, eval_every=every))
    assert [row["step"] for row in rows] == [*range(every, 10, every), 10]
    assert all(np.isfinite(row["valid_loss"]) for row in rows)


def test_how_often_it_is_evaluated_does_not_change_the_batches(data):
    class Seen(Callback):
        def on_train_begin(self, net, **kwargs):
            self.batches = []

        def on_batch_begin(self, net, batch=None, training=True, **kwargs):
            if training:
                self.batches.append(batch[0].clone())

    seen = [Seen(), Seen()]
    for callback in seen:
        fit(data, eval_every=100, callbacks=[callback], max_steps=6)
    once = torch.cat(seen[0].batches)
    assert torch.equal(once, torch.cat(seen[1].batches))
    for i in range(0, 150, 50):
        assert torch.equal(once[i : i + 50].sort(0).values, data[0].tensors[0].sort(0).values)


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_network_computes_in_the_precision_asked_for_and_answers_in_float32(data, precision, dtype):
    seen = set()

    class Recording(nn.Linear):
        def forward(self, x):
            output = super().forward(x)
            seen.add(output.dtype)
            return output

    net = train(partial(Recording, 3, 1), *data, loss=mse, max_steps=2, precision=precision, device="cpu")
    assert seen == {dtype}
    assert net.predict(data[1].tensors[0]).dtype == np.float32


def test_weight_decay_is_that_of_adamw(data):
    ours = fit(data[:1], weight_decay=0.3, batch_size=50, max_steps=4, lr=0.05, schedule=Plateau(None))
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    model.load_state_dict(fit(data[:1], lr=1e-12, max_steps=1, batch_size=50).module_.state_dict())
    groups = [{"params": [model.weight], "weight_decay": 0.3}, {"params": [model.bias], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = mse(model(data[0].tensors[0]), data[0].tensors[1])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose([row["train_loss"] for row in history(ours)], losses, rtol=1e-4)


def test_it_trains_with_metadata_routing_switched_on(data):
    with sklearn.config_context(enable_metadata_routing=True):
        assert torch.equal(weights(fit(data)), weights(fit(data)))
