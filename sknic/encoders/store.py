"""Files of encoders: safetensors with a JSON header, which are read completely or refused."""

from pathlib import Path

import torch

from sknic.exceptions import EncoderFileError
from sknic.files.registry import Registry, name_of
from sknic.files.weights import UNREADABLE, read_weights, write_weights

FORMAT = "sknic encoder 1"
ENCODERS = Registry("encoder", EncoderFileError)
_FOREIGN = {b"\x80": "a pickle", b"PK": "a zip archive (PyTorch, Keras 3 or numpy)", b"\x93NUMPY": "a numpy array"}


def write_encoder(path, encoder, header, tensors):
    """Write a fitted encoder.

    Parameters
    ----------
    path : str or Path
        File to write; an existing file is replaced once the new one is complete.
    encoder : BaseEncoder
        Encoder, whose class name is stored.
    header : dict
        Values that JSON can store, with "params".
    tensors : dict of str to torch.Tensor
        Weights by name.
    """
    write_weights(path, {"format": FORMAT, "class": name_of(type(encoder)), **header}, tensors)


def read_encoder(path):
    """Return header and tensors of a file written by `write_encoder`; tensors stored as float16 become float32.

    Raises
    ------
    EncoderFileError
        If it is not an encoder file or is damaged.
    """
    content = Path(path).read_bytes()
    try:
        header, tensors = read_weights(content, FORMAT)
    except UNREADABLE as error:
        looks = next((f" (it looks like {name})" for magic, name in _FOREIGN.items() if content.startswith(magic)), "")
        raise EncoderFileError(f"{path} is not an encoder file that sknic can read{looks}: {error}") from error
    return header, {name: t.float() if t.dtype == torch.float16 else t for name, t in tensors.items()}
