"""TorchEncoder: any torch module, a foundation model for instance, as an encoder."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Self

import torch
from sklearn.utils.validation import check_is_fitted
from torch import nn

from sknic.encoders.base import BaseEncoder, file_params
from sknic.encoders.inference import Embedder
from sknic.encoders.store import part


class Normalised(nn.Module):
    """A module behind its normalisation, from pixels of 0 to 255 to embeddings (n, C)."""

    def __init__(self, module, mean, std, output):
        super().__init__()
        self.module, self.output = module, output
        mean, std = torch.tensor(mean, dtype=torch.float32), torch.tensor(std, dtype=torch.float32)
        self.register_buffer("scale", (1 / (255 * std))[:, None, None])
        self.register_buffer("shift", (-mean / std)[:, None, None])

    def forward(self, pixels):
        result = self.module(pixels * self.scale + self.shift)
        if self.output is not None:
            result = result[self.output] if isinstance(result, dict | tuple) else getattr(result, self.output)
        return result


class TorchEncoder(BaseEncoder):
    """Use a torch module as an encoder; it is not trained.

    Parameters
    ----------
    module : torch.nn.Module
        From float (n, 3, input_size, input_size) to (n, C). It is copied for use and left as it is.
    input_size : int
        Width in px of the patches it takes; patches of twice that width are averaged 2x2.
    mpp : float
        um per px it was trained at, which `SlideCompressor` reads by default.
    mean, std : sequence of 3 float
        The module is given (pixels / 255 - mean) / std. By default pixels from -1 to 1.
    output : str, optional
        Name of the embedding where the module returns several things, e.g. "pooler_output" of Hugging Face models.
    batch_size : int, optional
        Patches at once; 32 on a CPU and 1024 elsewhere by default.
    device : str
        "auto", "cpu" or "cuda": where `transform` runs.

    Attributes
    ----------
    code_size : int
        C.

    Notes
    -----
    The fingerprint covers the module's weights, structure as printed, and these parameters; a changed `forward` method
    of the same name and structure it cannot see.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sknic import TorchEncoder
    >>> module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> encoder = TorchEncoder(module, input_size=32).fit()
    >>> encoder.transform(np.zeros((5, 32, 32, 3), np.uint8)).shape
    (5, 8)
    """

    def __init__(
        self,
        module: nn.Module,
        input_size: int = 224,
        mpp: float = 0.5,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        output: str | None = None,
        batch_size: int | None = None,
        device: str = "auto",
    ) -> None:
        self.module = module
        self.input_size = input_size
        self.mpp = mpp
        self.mean = mean
        self.std = std
        self.output = output
        self.batch_size = batch_size
        self.device = device

    # Here it is a parameter, not what was learnt.
    input_size: int = None  # type: ignore[assignment]

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Check the module with one black patch; X and y are ignored.

        Raises
        ------
        TypeError
            When `module` is not a torch module, or gives something else than embeddings (n, C).
        """
        if not isinstance(self.module, nn.Module):
            raise TypeError(f"module={self.module!r} must be a torch.nn.Module")
        network = self._network()
        with torch.inference_mode():
            result = network(torch.zeros(1, 3, self.input_size, self.input_size))
        if not isinstance(result, torch.Tensor) or result.ndim != 2:
            found = tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__
            raise TypeError(f"the module gives {found} for one patch; wanted a tensor (1, C), see output=")
        self.code_size_ = result.shape[1]
        return self

    def _network(self):
        module = copy.deepcopy(self.module).requires_grad_(False).float().cpu()
        return Normalised(module, self.mean, self.std, self.output).eval()

    @property
    def code_size(self) -> int:
        """Numbers of an embedding; int."""
        check_is_fitted(self)
        return self.code_size_

    @property
    def patch_size_(self) -> Any:
        return self.input_size

    @property
    def _n_features_out(self):
        return self.code_size_

    def embedder(self, device: str = "cpu", precision: str = "float32") -> Any:
        check_is_fitted(self)
        return Embedder(self._network(), self.code_size_, self.input_size, device, precision, self.batch_size)

    embedder.__doc__ = BaseEncoder.embedder.__doc__

    def _identity(self):
        settings = file_params(self) | {"module": repr(self.module), "type": type(self.module).__qualname__}
        del settings["mpp"], settings["batch_size"]
        return settings, self.module.state_dict()

    def _to_file(self):
        header = {"params": file_params(self), "type": type(self.module).__qualname__, "code_size": self.code_size_}
        return header, {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}

    @classmethod
    def _from_file(cls, header, tensors, device, module):
        if module is None:
            raise ValueError(f"it holds the weights of a {header['type']}; give such a module by load_encoder(module=)")
        module = copy.deepcopy(module)
        module.load_state_dict(part(tensors, "module."))
        return cls(module, **header["params"]).set_params(device=device).fit()

    def __sklearn_is_fitted__(self):
        return hasattr(self, "code_size_")
