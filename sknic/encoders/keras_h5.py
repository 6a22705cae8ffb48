"""Reads the published Keras HDF5 encoders without Keras: a chain of layers and its weights, and nothing that runs."""

import json

import h5py
import numpy as np
import torch

from sknic.encoders.base import BaseEncoder
from sknic.encoders.keras_layers import translate
from sknic.encoders.networks import restore
from sknic.exceptions import EncoderFileError

# No encoder of this kind is larger; a file that says so is damaged or hostile.
MAX_VALUES = 2**28
MAX_CONFIG = 2**22
# What h5py, json and our own checks raise on a file that is not what it should be.
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, RecursionError)


class KerasEncoder(BaseEncoder):
    """An encoder published as a Keras 2 HDF5 file; made by `load_encoder`.

    Parameters
    ----------
    path : str or Path
    device : str
        "auto", "cpu" or "cuda": where `transform` runs.

    Attributes
    ----------
    mpp : float
        0.5 um per px, as all published encoders (NIC, Tellez 2019).
    code_size : int

    Notes
    -----
    Published encoders of 64 px input were applied to patches of 128 px at 0.5 um per px, averaged 2x2.
    """

    def __init__(self, path=None, device="auto"):
        self.path = path
        self.device = device

    def fit(self, X=None, y=None):
        """Read the file; X and y are ignored.

        Raises
        ------
        EncoderFileError
            When the file is damaged or no chain of layers that sknic knows.
        """
        self.network_, self.input_size_ = read_keras(self.path)
        self.patch_size_ = 128 if self.input_size_ == 64 else self.input_size_
        return self

    mpp = 0.5

    @property
    def code_size(self):
        """Numbers of an embedding; int."""
        return self.network_.out_features

    def __sklearn_clone__(self):
        # It was never trained here: cross-validation keeps it as it is.
        return self if hasattr(self, "network_") else type(self)(self.path, self.device)

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
        When the file is damaged, or is no such model. No code of the file is run: it has none that is read.
    """
    try:
        with h5py.File(path, "r") as file:
            layers, state, input_size = translate(_config(file), _Weights(file))
        network = restore(layers, state)
    except FileNotFoundError:
        raise
    except (
        OSError,
        RuntimeError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
    ) as error:
        raise EncoderFileError(f"{path} is no Keras encoder that sknic can read: {error}") from error
    return network, input_size


def _config(file):
    text = file.attrs["model_config"]
    text = text.decode() if isinstance(text, bytes) else text
    if not isinstance(text, str) or len(text) > MAX_CONFIG:
        raise ValueError("model_config is no text of a sensible length")
    return json.loads(text)


class _Weights:
    """The weights of a model file by layer and kind, such as ("conv2d_1", "kernel")."""

    def __init__(self, file):
        root = _hard(file, "model_weights") if "model_weights" in file else file
        self._places = {}
        self._left = MAX_VALUES
        for layer in _names(root, "layer_names"):
            group = _hard(root, layer)
            for name in _names(group, "weight_names"):
                *_, owner, kind = name.partition(":")[0].split("/")
                self._places[owner, kind] = (group, name)

    def read(self, layer, kind, shape):
        """Float tensor of one weight, which must have the shape that the layer's settings ask for."""
        group, name = self._places[layer, kind]
        dataset = _hard(group, name)
        size = int(np.prod(shape, dtype=object))
        self._left -= size
        if self._left < 0:
            raise ValueError(f"the layers ask for more than {MAX_VALUES} weights")
        if (
            not isinstance(dataset, h5py.Dataset)
            or dataset.shape != shape
            or dataset.dtype not in ("<f4", "<f8", "<f2")
        ):
            raise ValueError(f"weight {name!r} is no float array of shape {shape}")
        if dataset.is_virtual or dataset.external:
            raise ValueError(f"weight {name!r} lies in another file")
        # Equal exactly when every value is stored as it is: what was never written or is compressed could be endless.
        if dataset.id.get_storage_size() != size * dataset.dtype.itemsize:
            raise ValueError(f"weight {name!r} is not stored whole")
        values = torch.from_numpy(dataset[...].astype(np.float32))
        if not values.isfinite().all():
            raise ValueError(f"weight {name!r} is not finite")
        return values

    def __contains__(self, place):
        return place in self._places


def _names(group, attribute):
    return [name.decode() if isinstance(name, bytes) else str(name) for name in group.attrs[attribute]]


def _hard(group, path):
    """Follow a path, but no link that leads elsewhere, to another file least of all."""
    for part in path.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{path!r} is missing or only a link")
        group = group[part]
    return group
