"""How the losses of several tasks are combined: equal or given weights, learnt uncertainty, or balanced gradients."""

import torch
from torch import nn

# Strength of the pull towards tasks that learn slowly, and step of the weights (Chen 2018, section 5).
GRADNORM_ALPHA = 1.5
GRADNORM_LR = 0.025


class FixedWeights(nn.Module):
    """Mean of the losses with fixed weights.

    Parameters
    ----------
    weights : sequence of float
        One per task, above zero; only their proportions count.
    """

    def __init__(self, weights):
        super().__init__()
        weights = torch.tensor(weights, dtype=torch.float32)
        self.register_buffer("weights", weights / weights.mean())

    def forward(self, losses, shared):
        """Return the loss to minimize of task losses (n_tasks,); `shared` are the last weights that all tasks share."""
        return (self.weights * losses).mean()


class UncertaintyWeights(nn.Module):
    """Weights exp(-s) learnt with the network from a penalty s / 2, s the log variance of a task (Kendall 2018)."""

    def __init__(self, n_tasks):
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(n_tasks))

    @property
    def weights(self):
        return torch.exp(-self.log_variance.detach())

    def forward(self, losses, shared):
        return (torch.exp(-self.log_variance) * losses + self.log_variance / 2).mean()


class GradNormWeights(nn.Module):
    """Weights that give every task a gradient whose size matches its learning speed (Chen 2018).

    The gradients are compared at the code layer, the last layer that the tasks share.
    """

    def __init__(self, n_tasks):
        super().__init__()
        self.register_buffer("weights", torch.ones(n_tasks))
        self.register_buffer("first_losses", torch.zeros(n_tasks))

    def forward(self, losses, shared):
        if not self.first_losses.any():
            self.first_losses.copy_(losses.detach())
        norms = torch.stack([torch.autograd.grad(loss, shared, retain_graph=True)[0].norm() for loss in losses])
        self._step(norms, losses.detach())
        return (self.weights * losses).mean()

    @torch.no_grad()
    def _step(self, norms, losses):
        """One step on the distance between each gradient's size and its target; the mean of the weights stays 1."""
        speed = losses / self.first_losses
        sizes = self.weights * norms
        target = sizes.mean() * (speed / speed.mean()) ** GRADNORM_ALPHA
        # The slope of |weight * norm - target| by weight, in units of the mean norm so that the step has one size.
        slope = torch.sign(sizes - target) * norms / norms.mean().clamp(min=1e-12)
        weights = (self.weights - GRADNORM_LR * slope).clamp(min=1e-3)
        self.weights.copy_(weights / weights.mean())


def make_weighting(task_weights, names):
    """Return the module for `task_weights`: None, "uncertainty", "gradnorm" or a mapping from task to weight.

    Raises
    ------
    ValueError
        For anything else, an unknown task, or a weight that is not above zero.
    """
    if task_weights == "uncertainty":
        return UncertaintyWeights(len(names))
    if task_weights == "gradnorm":
        return GradNormWeights(len(names))
    if isinstance(task_weights, str):
        raise ValueError(
            f"task_weights={task_weights!r}: expected 'uncertainty', 'gradnorm', a mapping of task to weight or None"
        )
    given = dict(task_weights or {})
    unknown = [name for name in given if name not in names]
    if unknown:
        found = ", ".join(map(str, unknown))
        raise ValueError(f"task_weights={given}: expected weights of {', '.join(names)}; found {found}")
    weights = [float(given.get(name, 1.0)) for name in names]
    if min(weights) <= 0:
        raise ValueError(f"task_weights={given}: expected numbers above 0; use tasks= to leave a task out")
    return FixedWeights(weights)
