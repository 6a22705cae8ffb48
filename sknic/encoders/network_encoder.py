"""Encoders whose network is a chain of plain layers, which a file can describe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from sknic.encoders.base import BaseEncoder, file_params
from sknic.encoders.inference import folded_embedder
from sknic.encoders.networks import Chain, restore
from sknic.files.weights import part

if TYPE_CHECKING:
    import torch

# Pixels / 255 * 2 - 1, what the published encoders were trained on.
SCALE, SHIFT = (2 / 255,) * 3, (-1.0,) * 3


class NetworkEncoder(BaseEncoder):
    """An encoder around a `Chain`; a subclass sets in `fit` what is listed here.

    Attributes
    ----------
    network_ : Chain
        Takes float (n, 3, size, size) in -1 to 1.
    input_size_ : int or None
        Width in px that the network sees; None for any size.
    patch_size_ : int
        Width in px, at `mpp`, of the patches that the encoder is made for.
    """

    network_: Chain
    input_size_: int | None
    patch_size_: int

    @property
    def patch_size(self) -> int:
        """Width in px, at `mpp`, of the patches that the encoder is made for; int."""
        check_is_fitted(self)
        return self.patch_size_

    @property
    def input_size(self) -> int | None:
        """Width in px that the network sees; int, or None for any."""
        check_is_fitted(self)
        return self.input_size_

    def embedder(self, device: str | torch.device = "cpu", precision: str = "float32") -> Callable:
        check_is_fitted(self)
        size = self.input_size
        return folded_embedder(self.network_, SCALE, SHIFT, self.network_.out_features, size, device, precision)

    embedder.__doc__ = BaseEncoder.embedder.__doc__

    def _identity(self):
        return {"network": self.network_.description, "input_size": self.input_size}, self.network_.state_dict()

    def _to_file(self):
        header = {
            "network": self.network_.description,
            "input_size": self.input_size,
            "patch_size": self.patch_size,
            "mpp": self.mpp,
            "params": file_params(self),
        }
        return header, {f"network.{name}": tensor for name, tensor in self.network_.state_dict().items()}

    @classmethod
    def _from_file(cls, header, tensors, device, module=None):
        encoder = cls(**header["params"]).set_params(device=device)
        encoder.network_ = restore(header["network"], part(tensors, "network."))
        encoder.input_size_, encoder.patch_size_ = int(header["input_size"]), int(header["patch_size"])
        return encoder

    @property
    def _n_features_out(self) -> Any:
        return self.network_.out_features

    def __sklearn_is_fitted__(self):
        return hasattr(self, "network_")
