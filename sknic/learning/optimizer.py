"""Adam with an L2 penalty, or AdamW; biases and BatchNorm are not decayed."""

import torch


def adam(param_groups, lr, l2, weight_decay):
    """Return the optimizer of a module's parameters.

    Parameters
    ----------
    param_groups : list of dict
        Parameter groups from skorch.
    lr : float
        Learning rate.
    l2 : float
        Penalty l2 * sum(w ** 2) on kernels, added to the loss (Adam). Not used with `weight_decay`.
    weight_decay : float
        Decoupled weight decay of kernels per step, in units of the learning rate (AdamW).

    Returns
    -------
    torch.optim.Optimizer
        Adam, or AdamW if `weight_decay` is above 0.
    """
    params = [p for group in param_groups for p in group["params"]]
    kernels = {"params": [p for p in params if p.ndim > 1], "weight_decay": weight_decay or 2 * l2}
    others = {"params": [p for p in params if p.ndim <= 1], "weight_decay": 0.0}
    kind = torch.optim.AdamW if weight_decay else torch.optim.Adam
    return kind([group for group in (kernels, others) if group["params"]], lr=lr, fused=True)
