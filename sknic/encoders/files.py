"""From a file to the encoder that wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sknic.encoders.base import BaseEncoder
from sknic.encoders.store import ENCODERS, read_encoder
from sknic.exceptions import EncoderFileError

if TYPE_CHECKING:
    from torch import nn

_HDF5 = b"\x89HDF\r\n\x1a\n"


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
    header, tensors = read_encoder(path)
    try:
        encoder = ENCODERS.find(path, header)._from_file(header, tensors, device, module)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        raise EncoderFileError(f"{path} cannot be made an encoder: {error}") from error
    if "card" in header:
        encoder.card_ = header["card"]
    return encoder
