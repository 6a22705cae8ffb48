"""The contract of every encoder: transform, embedder, fingerprint, sizes, save."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sknic.encoders.inference import folded_embedder
from sknic.encoders.networks import restore
from sknic.encoders.store import digest, part, write_encoder
from sknic.learning.device import resolve_device

# Pixels / 255 * 2 - 1, what the published encoders were trained on.
SCALE, SHIFT = (2 / 255,) * 3, (-1.0,) * 3


class BaseEncoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, ABC):
    """An encoder: uint8 patches (n, size, size, 3) to embeddings float32 (n, C).

    A subclass has a parameter or attribute `device`, and its `fit` sets what is listed here.

    Attributes
    ----------
    network_ : Chain
        Takes float (n, 3, size, size) in -1 to 1.
    input_size_ : int or None
        Width in px that the network sees; patches of twice that width are averaged 2x2. None takes every size.
    patch_size_ : int
        Width in px, at `mpp` um per px, of the patches the encoder is made for.
    """

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the encoder."""

    @property
    def patch_size(self) -> int:
        """Width in px, at `mpp`, of the patches the encoder is made for; int."""
        check_is_fitted(self)
        return self.patch_size_

    @property
    def input_size(self) -> int | None:
        """Width in px that the network sees; int, or None for any."""
        check_is_fitted(self)
        return self.input_size_

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Embed patches.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3), RGB
            An array or memory map; `size` is `input_size`, or twice that, which is averaged 2x2.

        Returns
        -------
        ndarray of float32, shape (n, C)

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

    def embedder(self, device: str = "cpu", precision: str = "float32") -> Callable:
        """Return a fast function from patches to embeddings that threads may share.

        Parameters
        ----------
        device : str
        precision : "float32", "bfloat16" or "float16"

        Returns
        -------
        callable (uint8 (n, size, size, 3)) -> float32 (n, C)
            Later changes of the encoder do not reach it.
        """
        check_is_fitted(self)
        size = self.input_size_
        return folded_embedder(self.network_, SCALE, SHIFT, self.network_.out_features, size, device, precision)

    def fingerprint(self) -> str:
        """Return a hex digest that changes when, and only when, the output of `transform` can."""
        check_is_fitted(self)
        settings, state = self._identity()
        # torch counts in-place changes, so the digest is computed again only when a weight was touched.
        key = (repr(settings), *((tensor.data_ptr(), tensor._version) for tensor in state.values()))
        if getattr(self, "_digest", (None,))[0] != key:
            # The tensors are held too: memory that is freed could come back under the same address.
            self._digest = (key, digest(settings, state), list(state.values()))
        return self._digest[1]

    def _identity(self):
        """All that decides the output of `transform`: settings that JSON can hold, and tensors."""
        return {"network": self.network_.description, "input_size": self.input_size_}, self.network_.state_dict()

    def save(self, path: str | Path) -> None:
        """Write the fitted encoder to a safetensors file, which `load_encoder` reads.

        Parameters
        ----------
        path : str or Path
        """
        check_is_fitted(self)
        write_encoder(path, type(self).__name__, *self._to_file())

    def _to_file(self):
        """Header, a dict that JSON can hold, and tensors by name."""
        header = {
            "network": self.network_.description,
            "input_size": self.input_size_,
            "patch_size": self.patch_size_,
            "mpp": self.mpp,
            "params": file_params(self),
        }
        return header, {f"network.{name}": tensor for name, tensor in self.network_.state_dict().items()}

    @classmethod
    def _from_file(cls, header, tensors, device):
        """The fitted encoder of a file that `_to_file` described."""
        encoder = cls(**header["params"]).set_params(device=device)
        encoder.network_ = restore(header["network"], part(tensors, "network."))
        encoder.input_size_, encoder.patch_size_ = int(header["input_size"]), int(header["patch_size"])
        return encoder

    @property
    def _n_features_out(self):
        return self.network_.out_features

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")

    def __getstate__(self):
        state = dict(super().__getstate__())
        return {name: value for name, value in state.items() if name not in ("_embedder", "_digest")}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = False
        tags.no_validation = True
        return tags


def file_params(encoder):
    """Parameters to store in a file: JSON-serializable ones only, without functions, devices or paths."""
    params = encoder.get_params(deep=False)
    return {
        name: value for name, value in params.items() if _is_plain(value) and name not in ("device", "path", "init")
    }


def _is_plain(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bool | int | float)
