"""What else was tried on the default recipe: noise, missing cells, mixing, averaged weights, smoothed labels, ...

Most ideas act on the batches or on the weights of a training, so each one is a skorch callback; `recipes.py` measures
them beside the default. None of them needs the estimators to know of it.
"""

import torch
from skorch.callbacks import Callback
from torch import nn

from sknic.estimators.network import is_tissue


class FeatureNoise(Callback):
    """Adds normal noise to the embeddings of tissue, whose channels have standard deviation 1."""

    def __init__(self, scale=0.2):
        self.scale = scale

    def on_batch_begin(self, net, batch, training=False, **kwargs):
        if training:
            x = batch[0]
            x.add_(self.scale * torch.randn_like(x) * is_tissue(x)[:, None])


class CellDropout(Callback):
    """Makes some cells of each crop background."""

    def __init__(self, fraction=0.2):
        self.fraction = fraction

    def on_batch_begin(self, net, batch, training=False, **kwargs):
        if training:
            x = batch[0]
            x.mul_(torch.rand(len(x), 1, *x.shape[2:], device=x.device) >= self.fraction)


class Mixing(Callback):
    """Adds another crop of the batch with a weight below one half; numbers are mixed alike, labels stay."""

    def __init__(self, concentration=0.4):
        self.concentration = concentration

    def on_batch_begin(self, net, batch, training=False, **kwargs):
        if training:
            x, y = batch
            share = torch.distributions.Beta(self.concentration, self.concentration).sample((len(x),)).to(x.device)
            share, other = torch.minimum(share, 1 - share), torch.randperm(len(x), device=x.device)
            mix(x, other, share)
            if y.is_floating_point():
                mix(y, other, share)


def mix(values, other, share):
    """Move each row, in place, toward another row by its share."""
    share = share.reshape(-1, *[1] * (values.ndim - 1)).to(values.dtype)
    values.copy_(torch.lerp(values, values[other], share))


class AveragedWeights(Callback):
    """Keeps the exponential moving average of the weights instead of the last ones."""

    def __init__(self, decay=0.99):
        self.decay = decay

    def on_train_begin(self, net, **kwargs):
        self.average_ = {name: value.detach().clone() for name, value in net.module_.state_dict().items()}

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            for name, value in net.module_.state_dict().items():
                average = self.average_[name]
                if value.is_floating_point():
                    average.lerp_(value, 1 - self.decay)
                else:
                    average.copy_(value)

    def on_train_end(self, net, **kwargs):
        # The schedule, whose turn comes after this, loads the weights that it keeps.
        dict(net.callbacks_)["schedule"].best_weights_ = self.average_


class SmoothedLabels(Callback):
    """Gives the other classes a share of each label; numbers and survival are learnt as by default."""

    def __init__(self, share=0.1):
        self.share = share

    def on_train_begin(self, net, **kwargs):
        sharp = net.criterion_.function
        smooth = nn.CrossEntropyLoss(label_smoothing=self.share)
        net.criterion_.function = lambda output, y: (smooth if y.dtype == torch.long else sharp)(output, y)


class BranchDropout(Callback):
    """Drops another share of the channels before the pooled branch than by default; 0 is the whole mean embedding."""

    def __init__(self, share):
        self.share = share

    def on_train_begin(self, net, **kwargs):
        net.module_.branch_dropout = self.share


class HotspotChannels(Callback):
    """Draws another number of channels for the hot-spot branch than by default, at most all."""

    def __init__(self, n):
        self.n = n

    def on_train_begin(self, net, **kwargs):
        branch = net.module_.hotspot
        branch.n_drawn = min(self.n, branch.map.in_channels)


class HotspotWeight(Callback):
    """Gives the hot-spot branch another weight than by default."""

    def __init__(self, weight):
        self.weight = weight

    def on_train_begin(self, net, **kwargs):
        net.module_.hotspot.weight.fill_(self.weight)


class NoHotspotMeans(Callback):
    """Leaves the hot-spot branch the maxima of its maps alone, without their means."""

    def on_batch_end(self, net, training=False, **kwargs):
        weight = net.module_.hotspot.out.weight
        with torch.no_grad():
            weight[:, weight.shape[1] // 2 :] = 0


# Changes of the default with a hot-spot branch.
OF_HOT_SPOTS = {
    name: {"hotspot_branch": True, "callbacks": [callback]}
    for name, callback in {
        "hot spots at full weight": HotspotWeight(1.0),
        "hot spots without means": NoHotspotMeans(),
        "hot spots of 16 channels": HotspotChannels(16),
        "hot spots of all channels": HotspotChannels(1 << 20),
    }.items()
}

# Changes of one network.
IDEAS = {
    "feature noise": {"callbacks": [FeatureNoise()]},
    "cell dropout": {"callbacks": [CellDropout()]},
    "mixed grids": {"callbacks": [Mixing()]},
    "averaged weights": {"callbacks": [AveragedWeights()]},
    "smoothed labels": {"callbacks": [SmoothedLabels()]},
    "background masked": {"mask_background": True},
    "batches of 64": {"batch_size": 64, "max_steps": 600},
    "32 filters": {"n_filters": 32},
    "three members of 600 steps": {"n_members": 3, "max_steps": 600},
    "three members of 640 steps": {"n_members": 3, "max_steps": 640},
    "half dropped": {"dropout": 0.5},
    "weight decay 0.1": {"weight_decay": 0.1},
    "a quarter held out": {"validation_fraction": 0.25},
    "branch dropout 0.5": {"callbacks": [BranchDropout(0.5)]},
    "branch dropout 0.8": {"callbacks": [BranchDropout(0.8)]},
    "branch dropout 0.9": {"callbacks": [BranchDropout(0.9)]},
}
