"""The contract of every encoder: transform, embedder, fingerprint, sizes, save."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sknic.encoders.store import ENCODERS, write_encoder
from sknic.files.json_values import json_value
from sknic.files.weights import digest
from sknic.learning.device import resolve_device

if TYPE_CHECKING:
    import torch


class BaseEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """An encoder: uint8 patches (n, size, size, 3) to embeddings float32 (n, C).

    A subclass defines its sizes, makes an `embedder`, and returns everything that determines its output (`_identity`);
    `_to_file` and `_from_file` are its part of `save` and `load_encoder`. `NetworkEncoder` does this for every `Chain`.

    Attributes
    ----------
    mpp : float
        um per px of the patches that the encoder is made for.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device
        Where `transform` runs.
    card_ : dict, optional
        Information on the data and the quality of an encoder, from whoever trained it, as values that JSON can store.
        It is kept in the file, but does not affect anything.
    """

    mpp: float
    device: str | torch.device

    def __init_subclass__(cls):
        super().__init_subclass__()
        ENCODERS.enter(cls)

    @property
    @abstractmethod
    def patch_size(self) -> int:
        """Width in px, at `mpp`, of the patches that the encoder is made for; int."""

    @property
    @abstractmethod
    def input_size(self) -> int | None:
        """Width in px that the network sees; patches of twice that width are averaged 2x2. None for any size."""

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the encoder.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)
            Patches, RGB.
        y : array-like, default=None
            Labels of the patches, if the encoder learns from labels.

        Returns
        -------
        self
            Fitted encoder.
        """

    @abstractmethod
    def embedder(self, device: str | torch.device = "cpu", precision: str = "float32") -> Callable:
        """Return a fast function from patches to embeddings that can be shared between threads.

        Parameters
        ----------
        device : str or torch.device, default="cpu"
            Device of the computation.
        precision : {"float32", "bfloat16", "float16"}, default="float32"
            Number format of the computation.

        Returns
        -------
        callable (uint8 (n, size, size, 3)) -> float32 (n, C)
            Function that is not affected by later changes of the encoder.
        """

    @abstractmethod
    def _identity(self) -> tuple[dict, dict]:
        """Everything that determines the output of `transform`: settings that JSON can store, and tensors by name."""

    @abstractmethod
    def _to_file(self) -> tuple[dict, dict]:
        """Header, a dict that JSON can store, with "params", and tensors by name."""

    @classmethod
    @abstractmethod
    def _from_file(cls, header, tensors, device, module=None) -> Self:
        """The fitted encoder from what `_to_file` returned; `module` is what the user passed along with the file."""

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Embed patches.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3), RGB
            An array or memory map; `size` is `input_size`, or twice that, which is averaged 2x2.

        Returns
        -------
        ndarray of float32, shape (n, C)
            One embedding per patch.

        Raises
        ------
        PatchSizeError
            For patches of another shape, size or type.
        """
        check_is_fitted(self)
        device = str(resolve_device(self.device))
        key = (device, self.fingerprint())
        if getattr(self, "_embedder", (None,))[0] != key:
            self._embedder = (key, self.embedder(device))
        return self._embedder[1](X)

    def fingerprint(self) -> str:
        """Return a hex digest that changes if, and only if, the output of `transform` can change.

        Returns
        -------
        str
            SHA-256 in 64 hexadecimal digits.
        """
        check_is_fitted(self)
        settings, state = self._identity()
        # The digest is computed again only when a weight was touched. torch counts in-place changes, except of `.data`.
        key = (repr(settings), *((tensor.data_ptr(), tensor._version, _some(tensor)) for tensor in state.values()))
        if getattr(self, "_digest", (None,))[0] != key:
            # The tensors are held too: memory that is freed could come back under the same address.
            self._digest = (key, digest(settings, state), list(state.values()))
        return self._digest[1]

    def save(self, path: str | Path, *, dtype: str = "float32") -> None:
        """Write the fitted encoder to a safetensors file (not a pickle), which `load_encoder` reads.

        Parameters
        ----------
        path : str or Path
            File to write; an existing file is replaced once the new one is complete.
        dtype : {"float32", "float16"}, default="float32"
            Type of the stored weights. "float16" halves the size of the file and rounds the weights, so that the
            encoder read back has another fingerprint.

        Raises
        ------
        ValueError
            If a weight is too large for float16.
        """
        check_is_fitted(self)
        header, tensors = self._to_file()
        if hasattr(self, "card_"):
            header["card"] = self.card_
        write_encoder(path, self, header, stored(tensors, dtype))

    def __getstate__(self):
        state = dict(super().__getstate__())
        return {name: value for name, value in state.items() if name not in ("_embedder", "_digest")}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = False
        tags.no_validation = True
        return tags


def stored(tensors, dtype):
    """Tensors as stored in a file of this type."""
    if dtype == "float32":
        return tensors
    if dtype != "float16":
        raise ValueError(f"dtype={dtype!r}: expected 'float32' or 'float16'")
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
    too_large = [name for name, tensor in halves.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if too_large:
        raise ValueError(f"dtype='float16': expected 'float32', because {', '.join(too_large)} would overflow")
    return halves


def file_params(encoder):
    """Parameters to store in a file: JSON-serializable ones only, without functions, devices or paths."""
    params = json_value(encoder.get_params(deep=False))
    return {name: value for name, value in params.items() if _is_plain(value) and name not in _OF_THIS_MACHINE}


_OF_THIS_MACHINE = ("device", "path", "init", "checkpoint", "n_threads")


def _is_plain(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bool | int | float)


def _some(tensor):
    """Some values of a tensor, spread over it."""
    values = tensor.detach().reshape(-1)
    return tuple(values[:: max(1, len(values) // 16)][:17].tolist())
