"""Files of fitted estimators: weights as safetensors, everything else as JSON in its header; no pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sknic import __version__
from sknic.estimators.network import AttentionMIL, GridCNN
from sknic.exceptions import ModelFileError
from sknic.files.weights import UNREADABLE, read_weights, write_weights

if TYPE_CHECKING:
    import torch


FORMAT = "sknic estimator 1"
_OWN_MODULES = {None: None, "GridCNN": GridCNN, "AttentionMIL": AttentionMIL}


def write_estimator(path, estimator):
    """Write a fitted estimator; a file of that name is replaced only once the new one is whole."""
    weights = estimator.net_.module_.state_dict()
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    header = {"format": FORMAT, "class": type(estimator).__name__}
    header |= {
        "params": _params_of(estimator),
        "learnt": _learnt_of(estimator),
        "module": _module_name(estimator.module),
    }
    write_weights(path, header, weights, _checksum)


def read_estimator(path):
    """Return the header and the weights of a file by `write_estimator`.

    Raises
    ------
    ModelFileError
        When it is not such a file, or is damaged.
    """
    content = Path(path).read_bytes()
    try:
        return read_weights(content, FORMAT, _checksum)
    except UNREADABLE as error:
        raise ModelFileError(f"{path} is not an estimator file that this sknic can read: {error}") from error


def load_estimator(path: str | Path, device: str | torch.device = "auto", module: Callable | None = None) -> Any:
    """Read a fitted estimator that `save` wrote. No code in a file is ever run.

    Parameters
    ----------
    path : str or Path
        File to read.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Device that the estimator predicts on.
    module : callable (n_channels, n_outputs) -> torch.nn.Module, default=None
        Network of an estimator whose network is not sknic's: what was its `module`.

    Returns
    -------
    GridCNNClassifier, GridCNNRegressor or GridCoxSurvival
        Fitted estimator.

    Raises
    ------
    ModelFileError
        When the file is damaged or foreign, its network is not known, or it has parameters of another version.
    FileNotFoundError
        When there is no such file.
    """
    from sknic import estimators

    header, weights = read_estimator(path)
    classes = {name: getattr(estimators, name) for name in ("GridCNNClassifier", "GridCNNRegressor", "GridCoxSurvival")}
    if header["class"] not in classes:
        raise ModelFileError(f"{path} holds an estimator of the unknown class {header['class']!r}")
    module = _module_of(path, header["module"], module)
    _check_names(path, header, classes[header["class"]])
    estimator = classes[header["class"]](**header["params"], module=module, device=device)
    for name, value in header["learnt"].items():
        setattr(estimator, name, _decode(value))
    try:
        estimator._restore_net(weights)
    except RuntimeError as error:
        raise ModelFileError(f"the weights in {path} are of another network: {error}") from error
    return estimator


def _check_names(path, header, kind):
    """Raise ModelFileError for parameters that this version does not have: no guess is made what they meant."""
    unknown = sorted(set(header["params"]) - set(signature(kind).parameters))
    if unknown:
        raise ModelFileError(
            f"{path} was written by sknic {header.get('sknic', 'of an unknown version')}, where {kind.__name__} has "
            f"the parameter {', '.join(unknown)}; this is sknic {__version__}, which does not know it. Read it with "
            "the version that wrote it, or train the model anew"
        )


def _module_of(path, name, given):
    if given is None and name not in _OWN_MODULES:
        raise ModelFileError(f"the network in {path} is {name}, which sknic does not know; give it as module=")
    return _OWN_MODULES[name] if given is None else given


def _checksum(header, weights):
    hashed = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(weights):
        array = weights[name].numpy()
        hashed.update(f"{name} {array.dtype} {array.shape};".encode())
        hashed.update(array.tobytes())
    return hashed.hexdigest()


def _params_of(estimator):
    """Parameters that JSON holds; callbacks and a RandomState serve training alone and are left out."""
    params = estimator.get_params(deep=False)
    for name in ("module", "device", "callbacks"):
        del params[name]
    if isinstance(estimator.random_state, np.random.RandomState):
        params["random_state"] = None
    return {name: _encode(value) for name, value in params.items()}


def _learnt_of(estimator):
    return {name: _encode(value) for name, value in vars(estimator).items() if name.endswith("_") and name != "net_"}


def _module_name(module):
    return None if module is None else getattr(module, "__qualname__", type(module).__qualname__)


def _encode(value):
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "values": value.tolist()}
    return value.item() if isinstance(value, np.generic) else value


def _decode(value):
    is_array = isinstance(value, dict) and set(value) == {"dtype", "values"}
    return np.array(value["values"], dtype=value["dtype"]) if is_array else value
