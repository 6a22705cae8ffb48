"""What every encoder file is made of: weights as safetensors, the rest as JSON in its header, a checksum over both."""

import hashlib
import json
from pathlib import Path

import torch

from sknic.exceptions import EncoderFileError
from sknic.files.weights import UNREADABLE, read_weights, write_weights

FORMAT = "sknic encoder 1"
_FOREIGN = {b"\x80": "a pickle", b"PK": "a zip archive (PyTorch, Keras 3 or numpy)", b"\x93NUMPY": "a numpy array"}


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
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    write_weights(path, {"format": FORMAT, "kind": kind, **header}, tensors, digest)


def read_encoder(path):
    """Return kind, header and tensors of a file by `write_encoder`.

    Raises
    ------
    EncoderFileError
        If it is not an encoder file or is damaged.
    """
    content = Path(path).read_bytes()
    try:
        header, tensors = read_weights(content, FORMAT, digest)
        return header["kind"], header, tensors
    except UNREADABLE as error:
        looks = next((f" (it looks like {name})" for magic, name in _FOREIGN.items() if content.startswith(magic)), "")
        raise EncoderFileError(f"{path} is not an encoder file that sknic can read{looks}: {error}") from error


def part(tensors, prefix):
    """Tensors whose name starts with `prefix`, under the rest of their name."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def digest(settings, tensors):
    """Hex SHA-256 of settings that JSON can hold and of named tensors: names, types, shapes and values."""
    sha = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        sha.update(tensor.flatten().view(torch.uint8).numpy())
    return sha.hexdigest()
