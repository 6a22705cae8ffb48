"""A training that was interrupted goes on where it stood, and no other one is mistaken for it."""

import pytest
import torch
from sklearn.base import clone
from torch import nn

from sknic.exceptions import ModelFileError
from sknic.learning.checkpoint import Checkpoint
from sknic.learning.net import history, train
from sknic.learning.schedule import Cosine, Plateau

from .helpers import CtrlC, fit, mse, weights


class Noisy(nn.Module):
    """Draws random numbers in each step, as dropout and augmentation do."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize("schedule", [Plateau(1, 1e-4), Cosine(0.3)])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_an_interrupted_training_resumes_bit_for_bit(data, tmp_path, schedule, weight_decay):
    def noisy(**settings):
        settings = {"max_steps": 30, "eval_every": 3, "schedule": clone(schedule), **settings}
        return train(Noisy, *data, loss=mse, lr=0.1, random_state=0, weight_decay=weight_decay, **settings)

    whole = noisy()
    path = tmp_path / "training"
    for after in (2, 5):
        with pytest.raises(KeyboardInterrupt):
            noisy(callbacks=[CtrlC(after)], checkpoint=Checkpoint(path, {"lr": 0.1}, every_minutes=0))
    resumed = noisy(checkpoint=Checkpoint(path, {"lr": 0.1}, every_minutes=0))
    assert torch.equal(weights(whole), weights(resumed))
    for row, same in zip(history(whole), history(resumed), strict=True):
        # How long it took, and what skorch's own callbacks think of it, which start anew.
        for other in ("dur", "train_loss_best", "valid_loss_best"):
            del row[other], same[other]
        assert row == same


def test_a_training_that_ended_is_not_repeated(data, tmp_path):
    first = fit(data, checkpoint=Checkpoint(tmp_path / "training", {}))
    again = fit(data, checkpoint=Checkpoint(tmp_path / "training", {}), callbacks=[CtrlC(0)])
    assert torch.equal(weights(first), weights(again))


def test_the_checkpoint_of_another_training_is_refused_and_says_what_differs(data, tmp_path):
    path = tmp_path / "training"
    fit(data, checkpoint=Checkpoint(path, {"lr": 0.1, "seed": 0}))
    with pytest.raises(ModelFileError, match=r"another training: seed differ"):
        fit(data, checkpoint=Checkpoint(path, {"lr": 0.1, "seed": 1}))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="is not a checkpoint"):
        fit(data, checkpoint=Checkpoint(path, {"lr": 0.1, "seed": 0}))
