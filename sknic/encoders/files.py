"""Encoder files: weights as safetensors, everything else as JSON in its header, a checksum over both."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import SafetensorError
from safetensors.torch import load, save

from sknic import __version__
from sknic.encoders.base import BaseEncoder, digest
from sknic.exceptions import EncoderFileError

if TYPE_CHECKING:
    from torch import nn


FORMAT = "sknic encoder 1"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_FOREIGN = {b"\x80": "a pickle", b"PK": "a zip archive (PyTorch, Keras 3 or numpy)", b"\x93NUMPY": "a numpy array"}


def load_encoder(path: str | Path, device: str = "auto", module: nn.Module | None = None) -> BaseEncoder:
    """Read an encoder file: our own safetensors, or a published Keras HDF5 file.

    No code in a file is ever run.

    Parameters
    ----------
    path : str or Path
        A file written by `save`, or e.g. `encoder_multitask-4.h5` of the authors' repository.
    device : str
        "auto", "cpu" or "cuda": where `transform` of the encoder runs.
    module : torch.nn.Module, optional
        Only for the file of a `TorchEncoder`: the module whose weights the file holds.

    Returns
    -------
    encoder
        Fitted. It is of the class that wrote the file; `KerasEncoder` for a Keras file.

    Raises
    ------
    EncoderFileError
        When the file is damaged, foreign, or holds layers that sknic does not know.
    FileNotFoundError

    Examples
    --------
    >>> from sknic import load_encoder
    >>> encoder = load_encoder("encoder_multitask-4.h5")  # doctest: +SKIP
    """
    with open(path, "rb") as file:
        start = file.read(8)
    if start == _HDF5:
        from sknic.encoders.keras_h5 import KerasEncoder

        return KerasEncoder(path, device).fit()
    kind, header, tensors = read_encoder(path)
    return _revive(path, kind, header, tensors, device, module)


def write_encoder(path, kind, header, tensors):
    """Write an encoder file; a file of that name is replaced only once the new one is whole.

    Parameters
    ----------
    path : str or Path
    kind : str
        Name of the encoder's class.
    header : dict
        What JSON can hold.
    tensors : dict of str to torch.Tensor
    """
    path = Path(path)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {"format": FORMAT, "sknic": __version__, "kind": kind, **header}
    header["checksum"] = digest(header, tensors)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(save(tensors, metadata={"sknic": json.dumps(header)}))
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_encoder(path):
    """Return kind, header and tensors of a file by `write_encoder`.

    Raises
    ------
    EncoderFileError
        When it is none or is damaged.
    """
    content = Path(path).read_bytes()
    try:
        # Reads the header first and checks it against the length of the file.
        tensors = load(content)
        length = int.from_bytes(content[:8], "little")
        header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["sknic"])
        checksum = header.pop("checksum")
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']!r}, this sknic reads {FORMAT!r}")
        if digest(header, tensors) != checksum:
            raise ValueError("its checksum does not fit: it is damaged")
        return header["kind"], header, tensors
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        looks = next((f" (it looks like {name})" for magic, name in _FOREIGN.items() if content.startswith(magic)), "")
        raise EncoderFileError(f"{path} is no encoder file that sknic can read{looks}: {error}") from error


def part(tensors, prefix):
    """Tensors whose name starts with `prefix`, under the rest of their name."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _revive(path, kind, header, tensors, device, module):
    from sknic import encoders

    classes = {name: getattr(encoders, name) for name in encoders.__all__ if name.endswith("Encoder")}
    if kind not in classes or not hasattr(classes[kind], "_from_file"):
        raise EncoderFileError(f"{path} holds an encoder of the unknown kind {kind!r}")
    try:
        if kind == "TorchEncoder":
            return classes[kind]._from_file(header, tensors, device, module)
        return classes[kind]._from_file(header, tensors, device)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        raise EncoderFileError(f"{path} cannot be made an encoder: {error}") from error
