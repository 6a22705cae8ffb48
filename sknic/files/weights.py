"""The format of all weight files: safetensors with JSON in the header and a checksum over both."""

import hashlib
import json

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from sknic import __version__
from sknic.files.whole import whole_file

# What reading a damaged, foreign or hostile file may raise.
UNREADABLE = (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def write_weights(path, header, tensors):
    """Write named tensors and a header; an existing file is replaced only once the new one is complete.

    Parameters
    ----------
    path : str or Path
        File to write.
    header : dict
        Values that JSON can store, including "format", the kind and version of the file.
    tensors : dict of str to torch.Tensor
        Weights by name, on any device.
    """
    # Cloned: safetensors refuses tensors that share memory.
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    header = {"sknic": __version__, **header}
    header["checksum"] = digest(header, tensors)
    content = save(tensors, metadata={"sknic": json.dumps(header)})
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def read_weights(content, format):
    """Parse the bytes of a file written by `write_weights` into its header and tensors.

    Parameters
    ----------
    content : bytes
        The whole file.
    format : str
        Kind and version that the header must have.

    Returns
    -------
    header : dict
        As written, with "sknic", the version that wrote the file.
    tensors : dict of str to torch.Tensor
        Weights by name, on the CPU.

    Raises
    ------
    SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError
        If it is not such a file, or is damaged; they are `UNREADABLE`.
    """
    # Reads the header first and checks it against the length of the file.
    try:
        tensors = load(content)
    except SafetensorError:
        raise ValueError(f"it is cut off, damaged or not a safetensors file ({len(content):,} bytes)") from None
    length = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["sknic"])
    except (KeyError, TypeError, ValueError):
        raise ValueError("it has no sknic header: it was written by another program") from None
    checksum = header.pop("checksum")
    if header["format"] != format:
        version = header.get("sknic", "of an unknown version")
        raise ValueError(
            f"its format is {header['format']!r}, of sknic {version}; this is sknic {__version__}, which reads "
            f"{format!r}"
        )
    if digest(header, tensors) != checksum:
        raise ValueError("its checksum does not match: it is damaged")
    return header, tensors


def digest(settings, tensors):
    """Hex SHA-256 of settings (values that JSON can store) and of named tensors: names, types, shapes and values."""
    sha = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)};".encode())
        sha.update(tensor.flatten().view(torch.uint8).numpy())
    return sha.hexdigest()


def part(tensors, prefix):
    """Tensors whose name starts with `prefix`, under the rest of their name."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
