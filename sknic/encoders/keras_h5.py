"""Reads the published Keras HDF5 encoders without Keras: a chain of layers and its weights; no code is run."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from sknic.encoders import keras_reader
from sknic.encoders.keras_layers import translate
from sknic.encoders.network_encoder import NetworkEncoder
from sknic.encoders.networks import restore
from sknic.exceptions import EncoderFileError

# Seconds; a file of 2 MB takes 0.3.
TIMEOUT = 120
# What json and our own checks raise on a file that is not what it should be.
_DAMAGE = (RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, RecursionError)


class KerasEncoder(NetworkEncoder):
    """An encoder published as a Keras 2 HDF5 file; made by `load_encoder`.

    Parameters
    ----------
    path : str or Path, default=None
        File to read.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Where `transform` runs.

    Attributes
    ----------
    mpp : float
        0.5 um per px, as for all published encoders (Tellez et al., TPAMI 2021).
    code_size : int
        Length C of an embedding.

    Notes
    -----
    Published encoders of 64 px input were applied to patches of 128 px at 0.5 um per px, averaged 2x2.
    """

    def __init__(self, path: str | Path | None = None, *, device: str | torch.device = "auto") -> None:
        self.path = path
        self.device = device

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Read the file.

        Parameters
        ----------
        X, y : object, default=None
            Not used.

        Returns
        -------
        self : KerasEncoder
            The encoder.

        Raises
        ------
        EncoderFileError
            If the file is damaged, or is not a chain of layers that sknic knows.
        """
        self.network_, self.input_size_ = read_keras(self.path)
        self.patch_size_ = 128 if self.input_size_ == 64 else self.input_size_
        return self

    mpp = 0.5

    @property
    def code_size(self) -> int:
        """Length C of an embedding; int."""
        return self.network_.out_features

    def __sklearn_clone__(self):
        # It was never trained here: cross-validation keeps it as it is.
        return self if hasattr(self, "network_") else type(self)(self.path, device=self.device)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


def read_keras(path):
    """Read a Keras HDF5 model that is one chain of layers.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    network : Chain
        In evaluation mode.
    input_size : int
        Width in px of its patches.

    Raises
    ------
    EncoderFileError
        If the file is damaged, or is not such a model.
    """
    try:
        arrays = _extract(path)
        config = json.loads(arrays.pop("config").tobytes())
        layers, state, input_size = translate(config, _Weights(arrays))
        return restore(layers, state), input_size
    except _DAMAGE as error:
        raise EncoderFileError(f"{path} is not a Keras encoder that sknic can read: {error}") from error


def _extract(path):
    """Run `keras_reader` on a file; dict of str to array."""
    command = [sys.executable, "-P", keras_reader.__file__, os.path.abspath(path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        reader = subprocess.run(command, env=environment, capture_output=True, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"reading it took more than {TIMEOUT} s") from error
    if reader.returncode:
        raise ValueError(reader.stderr.decode(errors="replace")[-500:] or "it crashes the HDF5 library")
    with np.load(io.BytesIO(reader.stdout), allow_pickle=False) as file:
        return dict(file)


class _Weights:
    """The weights of a model file by layer and kind, such as ("conv2d_1", "kernel")."""

    def __init__(self, arrays):
        self._arrays = arrays

    def read(self, layer, kind, shape):
        """Float tensor of one weight, which must have the shape required by the layer's settings."""
        array = self._arrays[f"{layer}/{kind}"]
        if array.shape != shape:
            raise ValueError(f"{kind} of layer {layer!r} has shape {array.shape}: expected {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{kind} of layer {layer!r} is not finite")
        return torch.from_numpy(array)
