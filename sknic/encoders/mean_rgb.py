"""MeanRGBEncoder: the mean color of a patch, the baseline that every encoder must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sknic.encoders.network_encoder import NetworkEncoder
from sknic.encoders.networks import Chain
from sknic.learning.device import DEVICE
from sknic.learning.params import check_params, integer, real

if TYPE_CHECKING:
    import torch

_RULES = {"patch_size": integer(1), "mpp": real(above=0), "device": DEVICE}


class MeanRGBEncoder(NetworkEncoder):
    """Embed a patch as its mean color, three numbers from -1 to 1 (neural image compression, [1]_).

    Nothing is learnt: `transform` works without `fit`, on patches of any size.

    Parameters
    ----------
    patch_size : int, default=128
        Width in px, at `mpp`, of the patches that `SlideCompressor` reads.
    mpp : float, default=0.5
        um per px of those patches.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Where `transform` runs.

    References
    ----------
    .. [1] Tellez et al., "Neural Image Compression for Gigapixel Histopathology Image Analysis", TPAMI 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sknic import MeanRGBEncoder
    >>> MeanRGBEncoder().transform(np.full((1, 8, 8, 3), 255, np.uint8))
    array([[1., 1., 1.]], dtype=float32)
    """

    # A parameter here, and not what was learnt.
    patch_size: int = 128
    input_size: None = None
    code_size = 3
    network_ = Chain([("global_average", {})])

    def __init__(self, patch_size: int = 128, *, mpp: float = 0.5, device: str | torch.device = "auto") -> None:
        self.patch_size = patch_size
        self.mpp = mpp
        self.device = device

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Check the parameters; nothing is learnt.

        Parameters
        ----------
        X, y : object, default=None
            Not used.

        Returns
        -------
        self : MeanRGBEncoder
            The encoder.
        """
        check_params(self, _RULES)
        return self

    @classmethod
    def _from_file(cls, header, tensors, device, module=None):
        return cls(**header["params"]).set_params(device=device)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
