"""Encoders of other tools by name: `torchscript:FILE` and `timm:NAME:WEIGHTS`, from local files only."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file

from sknic.encoders.torch_module import TorchEncoder
from sknic.exceptions import EncoderFileError
from sknic.files.records import read_json

# What the JSON file beside the weights may say; parameters of TorchEncoder.
_SETTINGS = ("input_size", "mpp", "mean", "std", "output")
_FORMS = "torchscript:FILE or timm:NAME:WEIGHTS"


@dataclass(frozen=True)
class Foreign:
    """An encoder of another tool.

    Attributes
    ----------
    tool : str
        "torchscript" or "timm".
    name : str
        Name of the model; "" for TorchScript, whose file contains the whole model.
    weights : Path
        File of the weights.
    """

    tool: str
    name: str
    weights: Path

    @classmethod
    def parse(cls, text: Any) -> Self | None:
        """Read a name.

        Parameters
        ----------
        text : str, Path or object
            Value that was passed as an encoder.

        Returns
        -------
        Foreign or None
            None if the name is not of that kind.

        Raises
        ------
        EncoderFileError
            If a part is missing.
        """
        tool, colon, rest = text.partition(":") if isinstance(text, str) else ("", "", "")
        if not colon or tool not in _LOADERS:
            return None
        name, colon, weights = ("", ":", rest) if tool == "torchscript" else rest.partition(":")
        if not weights or (tool == "timm" and not name):
            raise EncoderFileError(f"encoder={text!r}: expected {_FORMS}; weights are not downloaded")
        return cls(tool, name, Path(weights))

    def __str__(self):
        return ":".join(filter(None, (self.tool, self.name, os.path.abspath(self.weights))))

    @property
    def settings_file(self) -> Path:
        """JSON file next to the weights; Path. It contains what the weights do not: um/px, size, normalization."""
        return self.weights.with_suffix(".json")

    def inside(self, folder: Path) -> Self:
        """Return the same with its weights in another folder.

        Parameters
        ----------
        folder : Path
            Folder.

        Returns
        -------
        Foreign
            Whose weights have the same name there.
        """
        return replace(self, weights=Path(folder) / self.weights.name)

    def load(self, device: str | torch.device = "auto") -> TorchEncoder:
        """Make the encoder.

        Parameters
        ----------
        device : "auto", "cpu", "cuda", "cuda:<n>" or torch.device, default="auto"
            Where `transform` runs.

        Returns
        -------
        TorchEncoder
            Fitted.

        Raises
        ------
        EncoderFileError
            If a file is missing, damaged or of another model, or the tool is not installed.
        """
        try:
            module, known = _LOADERS[self.tool](self)
            return TorchEncoder(module, **(known | self._settings(known)), device=device).fit()
        except EncoderFileError:
            raise
        except (ValueError, TypeError, RuntimeError, OSError, KeyError, AttributeError) as error:
            raise EncoderFileError(
                f"{self} cannot be turned into an encoder: {' '.join(str(error).split())}"
            ) from error

    def _settings(self, known):
        if not self.settings_file.exists():
            if known:
                return {}
            raise EncoderFileError(
                f"{self}: expected a file {self.settings_file} such as "
                '{"mpp": 0.5, "input_size": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}; '
                "a TorchScript file does not state how patches are scaled"
            )
        settings = read_json(self.settings_file)
        if not isinstance(settings, dict) or not set(settings) <= set(_SETTINGS):
            raise EncoderFileError(f"{self.settings_file}: expected a JSON object with some of {', '.join(_SETTINGS)}")
        lacking = [] if known else [name for name in _SETTINGS[:4] if name not in settings]
        if lacking:
            raise EncoderFileError(
                f"{self.settings_file} does not state {', '.join(lacking)}, and a TorchScript file does not either"
            )
        return settings


def _torchscript(foreign):
    with warnings.catch_warnings():
        # torch discourages making such files; whoever has one can do nothing about it here.
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(os.fspath(foreign.weights), map_location="cpu").eval(), {}


def _timm(foreign):
    """The model without its classifier, and its scaling of patches according to timm."""
    try:
        import timm
    except ImportError as error:
        raise EncoderFileError(f"{foreign}: timm is not installed; pip install 'sknic[timm]'") from error
    module = timm.create_model(foreign.name, pretrained=False, num_classes=0)
    config = module.pretrained_cfg
    weights = _weights(foreign.weights)
    heads = config.get("classifier") or ()
    heads = (heads,) if isinstance(heads, str) else heads
    kept = {key: value for key, value in weights.items() if not key.startswith(tuple(f"{head}." for head in heads))}
    _refuse_others(foreign, module.state_dict(), kept)
    module.load_state_dict(kept)
    return module, {"input_size": config["input_size"][-1], "mean": config["mean"], "std": config["std"]}


def _refuse_others(foreign, wanted, found):
    """Report weights of another model in one sentence, rather than with the name of every tensor."""
    shared = wanted.keys() & found.keys()
    sizes = [name for name in sorted(shared) if wanted[name].shape != found[name].shape]
    differing = sizes + sorted(wanted.keys() ^ found.keys())
    if differing:
        n_all = len(wanted.keys() | found.keys())
        raise EncoderFileError(
            f"{foreign}: the file contains the weights of a model other than {foreign.name}: {len(differing)} of "
            f"{n_all} tensors are missing, unknown or of another size, such as {differing[0]!r}"
        )


def _weights(path):
    """Tensors of a file by name; no code in it is run."""
    if path.suffix == ".safetensors":
        return load_file(path)
    found = torch.load(path, map_location="cpu", weights_only=True)
    return found.get("state_dict", found)


_LOADERS = {"torchscript": _torchscript, "timm": _timm}
