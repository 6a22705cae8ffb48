"""What every encoder file is made of: weights as safetensors, the rest as JSON in its header, a checksum over both."""

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from sknic import __version__
from sknic.exceptions import EncoderFileError

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


def digest(settings, tensors):
    """Hex SHA-256 of settings that JSON can hold and of named tensors: names, types, shapes and values."""
    sha = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        sha.update(tensor.flatten().view(torch.uint8).numpy())
    return sha.hexdigest()
