"""How the learning rate moves: down on plateaus, or along a cosine."""

import numpy as np
import pytest
from torch.utils.data import TensorDataset

from sknic.learning.net import Net, history
from sknic.learning.schedule import Cosine, Plateau

from .helpers import fit


def test_the_learning_rate_falls_on_plateaus_of_the_validation_loss_and_then_training_ends(data):
    train_data, valid_data = data
    opposite = TensorDataset(valid_data.tensors[0], -valid_data.tensors[1])
    rows = history(fit((train_data, opposite), lr=0.1, schedule=Plateau(2, 1e-3), max_steps=200))
    rates = [row["lr"] for row in rows]
    assert rates == sorted(rates, reverse=True)
    np.testing.assert_allclose(sorted(set(rates)), [1e-3, 1e-2, 1e-1])
    assert len(rows) < 20


def test_the_cosine_rises_then_falls_and_takes_every_step(data):
    rows = history(fit(data, schedule=Cosine(warmup=0.2, final=0.1), max_steps=10, eval_every=1))
    rates = [row["lr"] for row in rows]
    expected = [0.1 * (0.1 + 0.9 * (1 + np.cos(np.pi * i / 8)) / 2) for i in range(1, 9)]
    np.testing.assert_allclose(rates, [0.05, 0.1, *expected])


def test_groups_of_parameters_keep_the_ratio_of_their_learning_rates(data):
    class TwoRates(Net):
        def initialize_optimizer(self, triggered_directly=None):
            super().initialize_optimizer()
            self.optimizer_.param_groups[0]["lr"] = 0.01
            return self

    net = fit(data, schedule=Cosine(), net_class=TwoRates, max_steps=7)
    slow, fast = (group["lr"] for group in net.optimizer_.param_groups)
    assert fast == pytest.approx(10 * slow)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_last_weights_are_kept_where_only_the_training_loss_is_watched(data, keep):
    class Worse(Net):
        def get_loss(self, y_pred, y_true, X=None, training=False):
            return super().get_loss(y_pred, y_true, X=X, training=training) * 0 + len(self.history)

    rows = history(fit(data, schedule=Cosine(keep=keep), net_class=Worse, max_steps=6, eval_every=2))
    assert [row["event_best"] for row in rows] == [True, keep == "last", keep == "last"]
