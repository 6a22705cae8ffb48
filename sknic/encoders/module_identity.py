"""What a torch module computes beside its weights: the code of the user's classes, plain attributes, TorchScript."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import Any

import numpy as np
import torch
from torch import nn

from sknic.files.callables import class_identity

_OF_TORCH = frozenset(vars(nn.Module()))
_PLAIN = (bool, int, float, str, bytes, type(None))


def module_identity(module: nn.Module) -> str | None:
    """Digest of what `repr` and `state_dict` do not show of a module.

    Parameters
    ----------
    module : torch.nn.Module
        A module; its submodules count, too.

    Returns
    -------
    str or None
        Hexadecimal digest: of the code and constants of TorchScript, or of the code, the plain attributes and the
        buffers that are not persistent of classes that are not part of an installed package. None if all classes are.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return _digest_of_script(module)
    parts = dict(module.named_modules())
    codes = {kind: class_identity(kind) for kind in set(map(type, parts.values()))}
    found = [(name, codes[type(part)], _state(part)) for name, part in parts.items() if codes[type(part)] is not None]
    return hashlib.sha256(repr(found).encode()).hexdigest() if found else None


def _state(module):
    """Plain attributes of a module, and the buffers that `state_dict` leaves out."""
    own = {name: value for name, value in vars(module).items() if name not in _OF_TORCH}
    own |= {name: module._buffers[name] for name in module._non_persistent_buffers_set}
    return [(name, plain) for name, value in sorted(own.items()) if (plain := _plain(value)) is not None]


def _plain(value: Any) -> Any:
    """A value in a form whose `repr` is its content; None for objects, which may print their address."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return sorted((repr(key), _plain(item)) for key, item in value.items() if isinstance(key, _PLAIN))
    is_array = isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc"
    return _array(value) if is_array or isinstance(value, torch.Tensor) else None


def _array(value):
    tensor = torch.as_tensor(value).detach().cpu().contiguous()
    content = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
    return str(tensor.dtype), tuple(tensor.shape), hashlib.sha256(content).hexdigest()


def _digest_of_script(module):
    """Of the files of code and constants in what TorchScript would save; weights are left to `state_dict`."""
    sha = hashlib.sha256()
    with zipfile.ZipFile(io.BytesIO(module.save_to_buffer())) as archive:
        for name in sorted(archive.namelist()):
            inside = name.partition("/")[2]
            if (
                inside == "constants.pkl"
                or inside == "data.pkl"
                or (inside.startswith("code/") and name.endswith(".py"))
            ):
                sha.update(inside.encode() + b"\0" + archive.read(name))
    return sha.hexdigest()
