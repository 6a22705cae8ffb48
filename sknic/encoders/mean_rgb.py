"""MeanRGBEncoder: the mean colour of a patch, the baseline that every encoder must beat."""

from __future__ import annotations

from typing import Any, Self

from sknic.encoders.base import BaseEncoder
from sknic.encoders.networks import Chain


class MeanRGBEncoder(BaseEncoder):
    """Embed a patch as its mean colour, three numbers from -1 to 1 (NIC, Tellez 2019).

    Nothing is learnt: `transform` works without `fit`, on patches of any size.

    Parameters
    ----------
    patch_size : int
        Width in px, at `mpp`, of the patches that `SlideCompressor` reads.
    mpp : float
        um per px.
    device : str
        "auto", "cpu" or "cuda".
    """

    patch_size: int = None  # type: ignore[assignment]  # Here it is a parameter, not what was learnt.
    code_size = 3
    network_ = Chain([("global_average", {})])
    input_size_ = None

    def __init__(self, patch_size: int = 128, mpp: float = 0.5, device: str = "auto") -> None:
        self.patch_size = patch_size
        self.mpp = mpp
        self.device = device

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Do nothing."""
        return self

    @property
    def patch_size_(self) -> int:
        return self.patch_size

    @classmethod
    def _from_file(cls, header, tensors, device):
        return cls(**header["params"]).set_params(device=device)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
