"""Files of fitted estimators: weights as safetensors, everything else as JSON in its header; no pickle."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sknic.estimators.members import join_weights
from sknic.estimators.network import AttentionMIL, GridCNN
from sknic.estimators.parameters import PAPER_RECIPE
from sknic.exceptions import ModelFileError
from sknic.files.registry import Registry, name_of
from sknic.files.weights import UNREADABLE, read_weights, write_weights
from sknic.learning.net import restore

FORMAT = "sknic estimator 1"
ESTIMATORS = Registry("estimator", ModelFileError)
_OLDER = {
    **dict.fromkeys(("channel_mean_", "channel_scale_", "target_names_")),
    **dict.fromkeys(("slide_mean_", "slide_scale_", "slide_cells_")),
    "n_restarts_": 0,
}
# Side of the crop on which networks are compared, in cells.
SMALL_CROP = 24
_OWN_MODULES = {None: None, "GridCNN": GridCNN, "AttentionMIL": AttentionMIL}


def write_estimator(path, estimator):
    """Write a fitted estimator; an existing file is replaced only once the new one is complete."""
    header = {
        "format": FORMAT,
        "class": name_of(type(estimator)),
        "params": _params_of(estimator),
        "learnt": _learnt_of(estimator),
        "module": _module_name(estimator.module),
    }
    _refuse_other_networks(estimator)
    write_weights(path, header, join_weights([net.module_.state_dict() for net in estimator.nets_]))


def _refuse_other_networks(estimator):
    """Raise ValueError if `load_estimator` would build networks that compute something else from these weights."""
    if not all(_comes_back(estimator, net.module_) for net in estimator.nets_):
        raise ValueError(
            "the network cannot be built again from its weights: a parameter was changed after fit, or the module has "
            "numbers that are neither parameters nor persistent buffers; fit again, or make them buffers"
        )


def _comes_back(estimator, module):
    """Whether the estimator's parameters and the weights of a fitted module make the same network."""
    try:
        again = restore(estimator._module(estimator.n_outputs_), module.state_dict(), "cpu").module_
    except RuntimeError:  # the weights do not fit
        return False
    crop = _crop_of_noise(estimator)
    with torch.inference_mode():
        expected, found = copy.deepcopy(module).cpu().eval()(crop), again(crop)
    return torch.allclose(found, expected, rtol=1e-6, atol=1e-8, equal_nan=True)


def _crop_of_noise(estimator):
    """A crop that every network of these channels can take, a third of it background."""
    is_small = estimator.module is None and estimator.padding == "same"
    size = min(estimator.canvas_, SMALL_CROP) if is_small else estimator.canvas_
    shape = (1, estimator.n_features_in_, size, size)
    crop = torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    crop[..., size - size // 3 :] = 0
    return crop


def read_estimator(path):
    """Return the header and the weights of a file written by `write_estimator`.

    Raises
    ------
    ModelFileError
        If it is not such a file, or is damaged.
    """
    content = Path(path).read_bytes()
    try:
        return read_weights(content, FORMAT)
    except UNREADABLE as error:
        raise ModelFileError(f"{path} is not an estimator file that this sknic can read: {error}") from error


def load_estimator(path: str | Path, *, device: str | torch.device = "auto", module: Callable | None = None) -> Any:
    """Read a fitted estimator that `save` wrote. No code in a file is ever run.

    Parameters
    ----------
    path : str or Path
        File to read.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Device that the estimator predicts on.
    module : callable (n_channels, n_outputs) -> torch.nn.Module, default=None
        Network of an estimator whose network is not sknic's: the value of its `module`.

    Returns
    -------
    GridCNNClassifier, GridCNNRegressor or GridCoxSurvival
        Fitted estimator.

    Raises
    ------
    ModelFileError
        If the file is damaged or foreign, its network is unknown, or it has parameters of another version.
    FileNotFoundError
        If there is no such file.
    """
    header, weights = read_estimator(path)
    module = _module_of(path, header["module"], module)
    cls = ESTIMATORS.find(path, header)
    # A file from before a parameter was there was trained without it.
    params = PAPER_RECIPE | header["params"] | {"module": module, "device": device}
    own = cls._get_param_names()  # a subclass may have fewer
    estimator = cls(**{name: value for name, value in params.items() if name in own})
    for name, value in (_OLDER | header["learnt"]).items():
        setattr(estimator, name, _decode(value))
    try:
        estimator._restore_nets(weights)
    except RuntimeError as error:
        raise ModelFileError(f"the weights in {path} belong to another network: {error}") from error
    return estimator


def _module_of(path, name, given):
    if given is None and name not in _OWN_MODULES:
        raise ModelFileError(f"the network in {path} is {name}, which sknic does not know; pass it as module=")
    return _OWN_MODULES[name] if given is None else given


def _params_of(estimator):
    """Parameters that JSON can store; those only for training, such as callbacks and a RandomState, are left out."""
    params = estimator.get_params(deep=False)
    for name in ("module", "device", "callbacks"):
        params.pop(name, None)
    if isinstance(estimator.random_state, np.random.RandomState):
        params["random_state"] = None
    if isinstance(params.get("class_weight"), dict):  # whose keys JSON would make texts
        params["class_weight"] = None
    return {name: _encode(value) for name, value in params.items()}


def _learnt_of(estimator):
    return {name: _encode(value) for name, value in vars(estimator).items() if name.endswith("_") and name != "nets_"}


def _module_name(module):
    """Short for sknic's own networks; of others with their module, because they may be called alike."""
    if module in _OWN_MODULES.values():
        return None if module is None else module.__name__
    of = module if hasattr(module, "__qualname__") else type(module)
    return f"{of.__module__}.{of.__qualname__}"


def _encode(value):
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "values": value.tolist()}
    return value.item() if isinstance(value, np.generic) else value


def _decode(value):
    is_array = isinstance(value, dict) and set(value) == {"dtype", "values"}
    return np.array(value["values"], dtype=value["dtype"]) if is_array else value
