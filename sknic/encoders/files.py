"""Load encoders from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sknic.encoders.base import BaseEncoder
from sknic.encoders.catalog import encoder_path
from sknic.encoders.foreign import Foreign
from sknic.encoders.store import ENCODERS, read_encoder
from sknic.exceptions import EncoderFileError

if TYPE_CHECKING:
    import torch
    from torch import nn

_HDF5 = b"\x89HDF\r\n\x1a\n"


def load_encoder(
    name_or_path: str | Path,
    *,
    device: str | torch.device = "auto",
    module: nn.Module | None = None,
) -> BaseEncoder:
    """Read an encoder: a bundled one by name, our own safetensors, or a published Keras HDF5 file.

    No code in a file is ever run, except for "torchscript:FILE", which is a program: load only files that you trust.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a bundled encoder, such as "sknic-he-1" (see `list_encoders`); or a file written by `save`, or e.g.
        `encoder_multitask-4.h5` of the authors' repository. "./NAME" is always a file.
        Also "torchscript:FILE" and "timm:NAME:WEIGHTS", local files that become a `TorchEncoder`; a JSON file with
        the weights' name contains "mpp", "input_size", "mean", "std", "output" (required for TorchScript).
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Where `transform` of the encoder runs.
    module : torch.nn.Module, default=None
        Only for the file of a `TorchEncoder`: the module whose weights the file contains.

    Returns
    -------
    BaseEncoder
        Fitted encoder, of the class that wrote the file; `KerasEncoder` for a Keras file.

    Raises
    ------
    EncoderFileError
        If the file is damaged, foreign, from another version, or contains layers that sknic does not know.
    EncoderNotFoundError
        If there is neither a file nor a bundled encoder of that name; it is a FileNotFoundError.

    Examples
    --------
    >>> from sknic import load_encoder
    >>> load_encoder("sknic-he-1").code_size
    128
    """
    path = encoder_path(name_or_path)
    if (foreign := Foreign.parse(name_or_path)) is not None:
        return foreign.load(device)
    with open(path, "rb") as file:
        start = file.read(8)
    if start == _HDF5:
        from sknic.encoders.keras_h5 import KerasEncoder

        return KerasEncoder(path, device=device).fit()
    header, tensors = read_encoder(path)
    try:
        encoder = ENCODERS.find(path, header)._from_file(header, tensors, device, module)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, IndexError) as error:
        raise EncoderFileError(f"{path} cannot be turned into an encoder: {error}") from error
    if "card" in header:
        encoder.card_ = header["card"]
    return encoder
