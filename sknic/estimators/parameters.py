"""Valid values of the grid estimators' parameters, which of them exclude each other, and the paper's values."""

from inspect import signature
from typing import Any

import numpy as np
from sklearn.base import clone
from torch import nn

from sknic.estimators.network import MIN_VALID_CANVAS
from sknic.learning.device import DEVICE
from sknic.learning.params import (
    Rule,
    check_params,
    choice,
    flag,
    function,
    instance,
    integer,
    level,
    nothing,
    real,
    seed,
)

RULES: dict[str, Rule] = {
    "crop_size": choice("auto") | integer(1),
    "padding": choice("same", "valid"),
    "pooled_branch": flag,
    "hotspot_branch": flag,
    "mask_background": flag,
    "n_filters": integer(1),
    "dropout": real(0, below=1),
    "standardize": flag,
    "l2": real(0),
    "weight_decay": real(0),
    "schedule": choice("cosine", "plateau"),
    "lr": real(above=0),
    "min_lr": real(above=0),
    "batch_size": integer(2),
    "max_steps": integer(1),
    "eval_every": integer(1),
    "patience": integer(1),
    "validation_fraction": real(above=0, below=1) | nothing,
    "n_members": integer(1),
    "n_crops": integer(1),
    "average_orientations": flag,
    "module": function | nothing,
    "callbacks": instance(list, tuple, name="a list of skorch callbacks") | nothing,
    "device": DEVICE,
    "n_threads": integer(1) | nothing,
    "random_state": seed,
    "verbose": level,
}

# The training of the paper (appendix, "Training"), for `GridCNNRegressor(**PAPER_RECIPE)` and its like. It is also what
# a model file means that does not name these parameters: one written before they were there.
PAPER_RECIPE: dict[str, Any] = {
    "pooled_branch": False,
    "hotspot_branch": False,
    "standardize": False,
    "l2": 1e-5,
    "weight_decay": 0.0,
    "schedule": "plateau",
    "lr": 1e-2,
    "max_steps": 3200,
    "validation_fraction": 0.25,
    "n_members": 1,
    "average_orientations": False,
}


# Parameters that have no meaning for another network.
OF_THE_CNN = ("n_filters", "dropout", "padding", "pooled_branch", "hotspot_branch", "mask_background")


def check_parameters(estimator, rules):
    """Raise ValueError for a parameter that breaks its rule, or that was set although another one overrides it."""
    check_params(estimator, rules)
    if estimator.padding == "valid" and estimator.crop_size != "auto" and estimator.crop_size < MIN_VALID_CANVAS:
        raise ValueError(f"crop_size={estimator.crop_size}: expected at least {MIN_VALID_CANVAS} for padding='valid'")
    if isinstance(estimator.module, nn.Module):
        raise TypeError(
            "module is an instance, which would carry trained weights from fit to fit; pass its class, "
            "or a function of (n_channels, n_outputs)"
        )
    if estimator.module is not None:
        beside = "module=, whose network they do not describe"
        _refuse_unused(estimator, OF_THE_CNN, beside)
    if estimator.weight_decay:
        _refuse_unused(estimator, ("l2",), f"weight_decay={estimator.weight_decay}, which replaces it")
    if estimator.schedule == "cosine":
        _refuse_unused(estimator, ("min_lr", "patience"), "schedule='cosine', which has no plateaus")
    elif estimator.min_lr > estimator.lr:
        raise ValueError(f"min_lr={estimator.min_lr}: expected at most lr={estimator.lr}")


def effective_params(estimator):
    """The parameters that say how an estimator is trained; with another network, none that describe the CNN."""
    params = estimator.get_params(deep=False)
    return params if estimator.module is None else {k: v for k, v in params.items() if k not in OF_THE_CNN}


def with_module(estimator, module):
    """A clone with another network; what describes the CNN gets its default."""
    other = clone(estimator)
    known = other.get_params(deep=False)
    defaults = {name: _default(estimator, name) for name in OF_THE_CNN if name in known}
    return other.set_params(**defaults, module=module)


def _refuse_unused(estimator, names, beside):
    for name in names:
        value, default = getattr(estimator, name), _default(estimator, name)
        is_there = not (isinstance(value, bool | np.bool_) and not value)  # a branch that is not there is not unused
        if value != default and is_there:
            raise ValueError(f"{name}={value!r}: expected the default, {default!r}, together with {beside}")


def _default(estimator, name):
    # A subclass may have fewer parameters, and has their defaults from its parents.
    signatures = (signature(cls).parameters for cls in type(estimator).__mro__ if "__init__" in vars(cls))
    return next(each[name].default for each in signatures if name in each)
