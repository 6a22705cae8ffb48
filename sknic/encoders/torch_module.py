"""TorchEncoder: any torch module, a foundation model for instance, as an encoder."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import torch
from torch import nn

from sknic.encoders.base import BaseEncoder, file_params
from sknic.encoders.inference import Embedder
from sknic.encoders.module_identity import module_identity
from sknic.files.weights import part
from sknic.learning.device import DEVICE
from sknic.learning.params import Rule, check_params, instance, integer, nothing, real


def _of_channels(least, expected):
    def accepts(value):
        try:
            numbers = np.asarray(value, float)
        except (TypeError, ValueError):
            return False
        return numbers.shape == (3,) and bool(((numbers >= least) & (numbers <= 1)).all())

    return Rule(accepts, f"three numbers {expected}, for pixels divided by 255")


_RULES: dict[str, Rule] = {
    "input_size": integer(1),
    "mpp": real(above=0),
    "mean": _of_channels(0, "from 0 to 1"),
    "std": _of_channels(np.finfo(np.float32).tiny, "above 0 and up to 1"),
    "output": instance(str, name="a str") | nothing,
    "batch_size": integer(1) | nothing,
    "device": DEVICE,
}


class Normalized(nn.Module):
    """A module preceded by its normalization: from pixels of 0 to 255 to embeddings (n, C)."""

    def __init__(self, module, mean, std, output):
        super().__init__()
        self.module, self.output = module, output
        mean, std = (torch.tensor(np.asarray(numbers, np.float32)) for numbers in (mean, std))
        self.register_buffer("scale", (1 / (255 * std))[:, None, None])
        self.register_buffer("shift", (-mean / std)[:, None, None])

    def forward(self, pixels):
        result = self.module(pixels * self.scale + self.shift)
        if self.output is not None:
            result = result[self.output] if isinstance(result, dict | tuple) else getattr(result, self.output)
        return result


class TorchEncoder(BaseEncoder):
    """Use a torch module as an encoder; it is not trained, and `transform` works without `fit`.

    Parameters
    ----------
    module : torch.nn.Module
        Network from float (n, 3, input_size, input_size) to (n, C). It is copied and not changed.
    input_size : int, default=224
        Width in px of the patches that it takes; patches of twice that width are averaged 2x2.
    mpp : float, default=0.5
        um per px at which it was trained, and which `SlideCompressor` uses by default.
    mean, std : sequence of 3 float, default=(0.5, 0.5, 0.5)
        Normalization: the module is given (pixels / 255 - mean) / std. By default pixels from -1 to 1. All numbers are
        at most 1; some tools write them for pixels that are not divided by 255.
    output : str, default=None
        Name of the embedding if the module returns several outputs, e.g. "pooler_output" of Hugging Face models.
    batch_size : int, default=None
        Number of patches at once; 32 on a CPU and 1024 elsewhere by default.
    device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
        Where `transform` runs.

    Notes
    -----
    The fingerprint covers the module's weights, its structure as printed, these parameters, the code and constants of
    TorchScript, and the code, plain attributes and buffers of classes that are not part of an installed package.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from sknic import TorchEncoder
    >>> module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    >>> TorchEncoder(module, input_size=32).transform(np.zeros((5, 32, 32, 3), np.uint8)).shape
    (5, 8)
    """

    # A parameter here, and not what was learnt.
    input_size: int = 224

    def __init__(
        self,
        module: nn.Module,
        *,
        input_size: int = 224,
        mpp: float = 0.5,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        output: str | None = None,
        batch_size: int | None = None,
        device: str | torch.device = "auto",
    ) -> None:
        self.module = module
        self.input_size = input_size
        self.mpp = mpp
        self.mean = mean
        self.std = std
        self.output = output
        self.batch_size = batch_size
        self.device = device

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Check the parameters, and the module with two black patches; nothing is learnt.

        Parameters
        ----------
        X, y : object, default=None
            Not used.

        Returns
        -------
        self : TorchEncoder
            The encoder.

        Raises
        ------
        ValueError
            If a parameter is invalid.
        TypeError
            If `module` is not a torch module, or does not return embeddings (n, C).
        """
        self._check()
        return self

    def _check(self):
        """Length of an embedding, found with two black patches."""
        if not isinstance(self.module, nn.Module):
            raise TypeError(f"module={self.module!r}: expected a torch.nn.Module")
        check_params(self, _RULES)
        with torch.inference_mode():
            result = self._network()(torch.zeros(2, 3, self.input_size, self.input_size))
        if not isinstance(result, torch.Tensor) or result.ndim != 2 or len(result) != 2:
            found = tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__
            raise TypeError(f"module: expected a tensor (2, C) for two patches, see output=; found {found}")
        return result.shape[1]

    def _network(self):
        with torch.no_grad():  # the copy of a TorchScript module would know what it was copied from
            module = copy.deepcopy(self.module)
        for parameter in module.parameters():  # and has no requires_grad_ of the whole
            parameter.requires_grad_(False)
        module = module.float().cpu()
        return Normalized(module, self.mean, self.std, self.output).eval()

    @property
    def code_size(self) -> int:
        """Length C of an embedding; int."""
        settings = (self.module, self.input_size, self.output, self.mean, self.std)
        known = getattr(self, "_known", None)
        if known is None or any(mine is not other for mine, other in zip(known[0], settings)):
            self._known = known = (settings, self._check())
        return known[1]

    @property
    def patch_size(self) -> int:
        """Width in px, at `mpp`, of the patches the module takes; int."""
        return self.input_size

    @property
    def _n_features_out(self):
        return self.code_size

    def embedder(self, device: str | torch.device = "cpu", precision: str = "float32") -> Callable:
        return Embedder(self._network(), self.code_size, self.input_size, device, precision, self.batch_size)

    embedder.__doc__ = BaseEncoder.embedder.__doc__

    def _identity(self):
        self.code_size  # noqa: B018  checks the module, whether or not it was fitted
        settings = file_params(self) | {"module": repr(self.module), "type": type(self.module).__qualname__}
        del settings["mpp"], settings["batch_size"]
        code = self._code()
        return (settings if code is None else {**settings, "code": code}), self.module.state_dict()

    def _code(self):
        """Digest of what the module does beside its weights, which takes time, so once for each module."""
        is_script = isinstance(self.module, torch.jit.ScriptModule)
        if not is_script:
            return module_identity(self.module)
        known = getattr(self, "_of_code", None)
        if known is None or known[0] is not self.module:
            self._of_code = known = (self.module, module_identity(self.module))
        return known[1]

    def _to_file(self):
        header = {"params": file_params(self), "type": type(self.module).__qualname__, "code_size": self.code_size}
        return header, {f"module.{name}": tensor for name, tensor in self.module.state_dict().items()}

    @classmethod
    def _from_file(cls, header, tensors, device, module=None):
        if module is None:
            raise ValueError(
                f"it contains the weights of a {header['type']}; pass such a module as load_encoder(module=)"
            )
        module = copy.deepcopy(module)
        module.load_state_dict(part(tensors, "module."))
        return cls(module, **header["params"]).set_params(device=device).fit()

    def __getstate__(self):
        return {name: value for name, value in super().__getstate__().items() if name not in ("_known", "_of_code")}

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags
