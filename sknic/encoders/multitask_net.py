"""What MultitaskEncoder trains: an encoder with one head per task, its loss, and its validation."""

import copy
import time

import numpy as np
import torch
import torch.nn.functional as F
from skorch.callbacks import Callback
from torch import nn

from sknic.encoders.inference import folded_embedder
from sknic.encoders.learning import OwnLossNet, Views
from sknic.encoders.network_encoder import SCALE, SHIFT
from sknic.encoders.networks import Head, new_encoder
from sknic.encoders.sampling import strata
from sknic.encoders.task_weights import make_weighting

# Of the contrast between two views (Chen 2020, SimCLR).
TEMPERATURE = 0.2
VALIDATION_ROWS = 1024


class MultitaskModule(nn.Module):
    """Encoder and heads; a batch holds one block of equal size for each task, in order, then unlabelled patches.

    Parameters
    ----------
    names : list of str
        Names of the tasks.
    n_classes : list of int
    code_size, input_size : int
    augment : callable or None
    task_weights : None, str or mapping
    unlabelled_weight : float
        If above 0, there is a block of unlabelled patches, whose two views must identify each other.
    body : str
    filters : sequence of int, optional
        Body and numbers of filters of a fresh network.
    network : Chain, optional
        Trained weights to start from; copied.
    heads : mapping of str to Head
        Heads to start from, by task; copied.
    network_lr : float, optional
        Learning rate of the network, if it differs from that of the heads.
    """

    def __init__(
        self,
        names,
        n_classes,
        code_size,
        input_size,
        augment,
        task_weights,
        unlabelled_weight,
        body="plain",
        filters=None,
        network=None,
        heads=(),
        network_lr=None,
    ):
        super().__init__()
        self.names = names
        self.views = Views(input_size, augment)
        self.network = new_encoder(code_size, input_size, body, filters) if network is None else copy.deepcopy(network)
        self.network.requires_grad_(True).to(memory_format=torch.channels_last)
        fresh = [Head(code_size, n) for n in n_classes]
        self.heads = nn.ModuleList(
            copy.deepcopy(heads[name]).requires_grad_(True) if name in heads else head
            for name, head in zip(names, fresh)
        )
        self.weighting = make_weighting(task_weights, names)
        self.unlabelled_weight = unlabelled_weight
        self.network_lr = network_lr
        self.projector = Head(code_size, 128, dropout=0.0) if unlabelled_weight else None

    def forward(self, patches):
        """Logits of each task's block, and for unlabelled patches the projections of two views."""
        n_tasks = len(self.heads)
        x = self.views(patches)
        if self.projector is not None:
            n_labelled = len(x) // (n_tasks + 1) * n_tasks
            x = torch.cat([x, self.views(patches[n_labelled:])])
        codes = self.network(x)
        blocks = codes.chunk(n_tasks + (2 if self.projector is not None else 0))
        output = {"logits": tuple(head(block) for head, block in zip(self.heads, blocks))}
        if self.projector is not None:
            output["views"] = (self.projector(blocks[-2]), self.projector(blocks[-1]))
        return output

    def losses(self, output, targets):
        """Cross-entropy by task, targets (n, n_tasks), and "unlabelled", the contrast of the two views."""
        blocks = targets.chunk(len(self.names) + (self.projector is not None))
        losses = {
            name: F.cross_entropy(logits, block[:, task])
            for task, (name, logits, block) in enumerate(zip(self.names, output["logits"], blocks))
        }
        if "views" in output:
            losses["unlabelled"] = contrast(*output["views"])
        return losses

    def total(self, losses):
        """The number to minimize."""
        tasks = torch.stack([losses[name] for name in self.names])
        total = self.weighting(tasks, self.network[-1].weight)
        return total + self.unlabelled_weight * losses["unlabelled"] if "unlabelled" in losses else total


class MultitaskNet(OwnLossNet):
    """A net whose module may have a separate learning rate for its network."""

    def initialize_optimizer(self, triggered_directly=None):
        super().initialize_optimizer()
        lr = self.module_.network_lr
        if lr is not None:
            known = set(self.module_.network.parameters())
            for group in list(self.optimizer_.param_groups):
                slow = [parameter for parameter in group["params"] if parameter in known]
                group["params"] = [parameter for parameter in group["params"] if parameter not in known]
                self.optimizer_.add_param_group({**group, "params": slow, "lr": lr})
        return self


def contrast(first, second):
    """NT-Xent loss: each of 2n projections must identify the other view of its patch among all others (Chen 2020)."""
    z = F.normalize(torch.cat([first, second]), dim=1)
    likeness = z @ z.T / TEMPERATURE
    likeness = likeness.masked_fill(torch.eye(len(z), dtype=torch.bool, device=z.device), -torch.inf)
    n = len(first)
    partner = torch.arange(2 * n, device=z.device).roll(n)
    return F.cross_entropy(likeness, partner)


class Validation(Callback):
    """At each evaluation, loss and accuracy of each task on held-out patches; classes and centers count equally.

    Parameters
    ----------
    patches : Patches
    tasks : list of Task
        With their codes set to -1 outside the held-out rows.
    centers : array (n,), optional
    """

    def __init__(self, patches, tasks, centers=None):
        self.patches = patches
        self.tasks = tasks
        self.centers = centers

    def on_train_begin(self, net, **kwargs):
        self.rows_ = np.flatnonzero(np.any([task.codes >= 0 for task in self.tasks], axis=0))
        self.weights_ = [_even_weights(task.codes, self.centers)[self.rows_] for task in self.tasks]

    def on_epoch_end(self, net, **kwargs):
        module = net.module_.eval()
        codes = self._embed(module, net.device)
        losses, accuracies = [], []
        for task, head, weights in zip(self.tasks, module.heads, self.weights_):
            labelled = np.flatnonzero(weights)
            if len(labelled) == 0:
                continue
            with torch.inference_mode():
                logits = head(codes[labelled].to(net.device)).cpu()
            target = torch.from_numpy(task.codes[self.rows_[labelled]])
            weights = torch.from_numpy(weights[labelled])
            losses.append((F.cross_entropy(logits, target, reduction="none") * weights).sum().item())
            net.history.record(f"valid_{task.name}", losses[-1])
            accuracies.append(((logits.argmax(1) == target) * weights).sum().item())
            net.history.record(f"valid_{task.name}_accuracy", accuracies[-1])
        net.history.record("valid_loss", float(np.mean(losses)))
        net.history.record("valid_accuracy", float(np.mean(accuracies)))

    def _embed(self, module, device):
        network, size = module.network, module.views.input_size
        embed = folded_embedder(network, SCALE, SHIFT, network.out_features, size, device, "float32")
        starts = range(0, len(self.rows_), VALIDATION_ROWS)
        parts = [embed(self.patches.read(self.rows_[i : i + VALIDATION_ROWS]).numpy()) for i in starts]
        return torch.from_numpy(np.concatenate(parts))


class Throughput(Callback):
    """After each interval between two evaluations, records the patches per second of its training steps."""

    def on_epoch_begin(self, net, **kwargs):
        self.begun_ = time.perf_counter()

    def on_epoch_end(self, net, **kwargs):
        n = sum(row["train_batch_size"] for row in net.history[-1]["batches"])
        net.history.record("patches_per_s", n / (time.perf_counter() - self.begun_))


class WeightHistory(Callback):
    """At each evaluation, records the weight of each task."""

    def on_epoch_end(self, net, **kwargs):
        module = net.module_
        for name, weight in zip(module.names, module.weighting.weights.tolist()):
            net.history.record(f"weight_{name}", weight)


def _even_weights(codes, centers):
    """Weights (n,) that sum to 1 and give each class at each center its equal share; 0 without a label."""
    weights = np.zeros(len(codes), np.float32)
    groups = strata(codes, centers)
    for rows in groups:
        weights[rows] = 1 / (len(groups) * len(rows))
    return weights
