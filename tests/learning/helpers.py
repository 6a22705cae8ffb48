"""A line to fit, and a training of it."""

from functools import partial

import torch
from skorch.callbacks import Callback
from torch import nn
from torch.utils.data import TensorDataset

from sknic.learning.net import train

linear = partial(nn.Linear, 3, 1)


def mse(output, target):
    return ((output[:, 0] - target) ** 2).mean()


def samples(X, y):
    return TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))


def fit(data, **settings):
    return train(linear, *data, **{"loss": mse, "lr": 0.1, "max_steps": 10, "random_state": 0, **settings})


def weights(net):
    return torch.cat([p.detach().flatten() for p in net.module_.parameters()])


class CtrlC(Callback):
    """Interrupts the training in the middle of an interval."""

    def __init__(self, after):
        self.after = after

    def on_batch_begin(self, net, training=True, **kwargs):
        if training and len(net.history) > self.after:
            raise KeyboardInterrupt
