"""benchmarks/recipe_ideas.py: each idea changes what it is named for, and nothing else."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch.nn import functional

from benchmarks.recipe_ideas import (
    AveragedWeights,
    CellDropout,
    FeatureNoise,
    HotspotChannels,
    HotspotWeight,
    Mixing,
    NoHotspotMeans,
    SmoothedLabels,
)
from sknic import GridCNNRegressor
from tests.estimators.test_network import crops


def changed_by(callback, x, y=None, training=True):
    batch = (x.clone(), torch.zeros(len(x)) if y is None else y.clone())
    torch.manual_seed(0)
    callback.on_batch_begin(None, batch, training=training)
    return batch


@pytest.mark.parametrize("callback", [FeatureNoise(), CellDropout(), Mixing()])
def test_batches_that_are_not_for_training_stay(callback):
    x = crops(12)
    assert torch.equal(changed_by(callback, x, training=False)[0], x)


def test_noise_of_the_stated_size_lies_on_tissue_alone():
    x = crops(12)
    difference = changed_by(FeatureNoise(0.2), x)[0] - x
    assert not difference[:, :, 8:].any() and not difference[:, :, :, 8:].any()
    assert float(difference[:, :, :8, :8].std()) == pytest.approx(0.2, rel=0.05)


def test_a_fraction_of_the_cells_vanishes_whole():
    dropped = changed_by(CellDropout(0.3), crops(12))[0][:, :, :8, :8]
    gone = (dropped == 0).all(dim=1)
    assert torch.equal(gone, (dropped == 0).any(dim=1))
    assert float(gone.float().mean()) == pytest.approx(0.3, abs=0.05)


def test_numbers_are_mixed_like_their_grids_and_labels_stay():
    x, y = torch.arange(40.0).reshape(-1, 1, 1, 1).expand(-1, 3, 2, 2), torch.arange(40.0)
    mixed, numbers = changed_by(Mixing(), x, y)
    assert torch.allclose(mixed[:, 0, 0, 0], numbers) and not torch.equal(numbers, y)
    assert torch.equal(changed_by(Mixing(), x, y.long())[1], y.long())


class Recorder(Callback):
    """Weights before the first step and after each one."""

    def on_train_begin(self, net, **kwargs):
        self.states = [copied(net)]

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.states.append(copied(net))


def copied(net):
    return {name: value.detach().clone() for name, value in net.module_.state_dict().items()}


@pytest.mark.filterwarnings("ignore::sknic.exceptions.CollapseWarning")
def test_the_moving_average_is_what_the_model_keeps():
    x = np.random.RandomState(0).normal(size=(8, 3, 4, 4)).astype(np.float32)
    recorder = Recorder()
    callbacks = [recorder, AveragedWeights(0.9)]
    model = GridCNNRegressor(max_steps=3, callbacks=callbacks, random_state=0, n_threads=1).fit(x, np.arange(8))
    name = "head.0.weight"
    expected = recorder.states[0][name]
    for state in recorder.states[1:]:
        expected = 0.9 * expected + 0.1 * state[name]
    assert len(recorder.states) == 4
    torch.testing.assert_close(model.nets_[0].module_.state_dict()[name], expected)
    assert not torch.allclose(expected, recorder.states[-1][name])


@pytest.mark.filterwarnings("ignore::sknic.exceptions.CollapseWarning")
def test_the_hot_spot_branch_is_changed_by_its_ideas_alone():
    x = np.random.RandomState(0).normal(size=(8, 40, 4, 4)).astype(np.float32)

    def branch_of(*callbacks):
        model = GridCNNRegressor(
            hotspot_branch=True, max_steps=3, n_filters=4, callbacks=list(callbacks), random_state=0, n_threads=1
        )
        return model.fit(x, np.arange(8)).nets_[0].module_.hotspot

    plain, alone = branch_of(), branch_of(NoHotspotMeans())
    maxima, means = np.split(alone.out.weight.detach().numpy(), 2, axis=1)
    assert maxima.any() and not means.any() and plain.out.weight[:, 32:].any()
    assert [float(each.weight) for each in (plain, branch_of(HotspotWeight(1.0)))] == pytest.approx([0.1, 1.0])
    assert [branch_of(HotspotChannels(n)).n_drawn for n in (16, 1 << 20)] == [16, 40] and plain.n_drawn == 32


def test_smoothed_labels_share_the_loss_of_classes_and_leave_numbers_alone():
    net = SimpleNamespace(criterion_=SimpleNamespace(function=functional.mse_loss))
    SmoothedLabels(0.2).on_train_begin(net)
    logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    surprise = -functional.log_softmax(logits, dim=1)[0]
    assert float(net.criterion_.function(logits, labels)) == pytest.approx(float(surprise @ torch.tensor([0.9, 0.1])))
    assert float(net.criterion_.function(torch.ones(3), torch.zeros(3))) == 1.0
