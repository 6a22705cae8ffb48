"""Recipe: every setting that decides what a compressed slide looks like."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

import joblib

from sknic.exceptions import SknicError, TissueMaskError
from sknic.grids.cache import file_identity
from sknic.slides import Annotations, mask_path


@dataclass(frozen=True)
class Recipe:
    """Compression settings (see the table in the user guide); lengths in px at `mpp`, `mpp` in um per px."""

    mpp: float
    patch_size: int
    stride: int
    tissue: Any = "density"
    min_tissue: float = 0.6
    slide_mpp: float | Mapping | None = None
    orientations: int = 1
    precision: str = "float32"

    def mpp_of(self, path):
        """um/px stated by the caller for one slide, or None to trust its metadata.

        A mapping is looked up by the path as given, the file name, then the name without extension.
        """
        if not isinstance(self.slide_mpp, Mapping):
            return self.slide_mpp
        path = Path(path)
        for name in (str(path), path.name, path.stem):
            if name in self.slide_mpp:
                return self.slide_mpp[name]
        return None

    def settings(self, path):
        """What the cache key of one slide depends on, as JSON-able values."""
        settings = {
            "mpp": self.mpp,
            "patch_size": self.patch_size,
            "stride": self.stride,
            "tissue": _tissue_identity(self.tissue, path),
            "min_tissue": self.min_tissue if self.tissue is not None else None,
            "slide_mpp": self.mpp_of(path),
            "orientations": self.orientations,
        }
        # Left out when full, so that grids of earlier versions are still found.
        return settings if self.precision == "float32" else {**settings, "precision": self.precision}


def _tissue_identity(tissue, path):
    if tissue is None or tissue in ("density", "otsu"):
        return tissue
    if isinstance(tissue, (str, Path)):
        return file_identity(_existing_mask(tissue, path))
    if isinstance(tissue, Annotations):
        return [file_identity(_existing_mask(tissue.pattern, path)), tissue.classes, tissue.exclude]
    return _callable_identity(tissue)


def _existing_mask(pattern, path):
    mask = Path(mask_path(pattern, path))
    if not mask.is_file():
        raise TissueMaskError(f"no tissue mask for {path}: {mask} does not exist (tissue={str(pattern)!r})")
    return mask


def _callable_identity(function):
    """Digest of a function's code, defaults and closure, or of a callable object's state."""
    parts = [getattr(function, "__qualname__", type(function).__qualname__)]
    if hasattr(function, "__code__"):
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        parts += [_code_identity(function.__code__), _hash((function.__defaults__, function.__kwdefaults__, cells))]
    else:
        parts.append(_hash(function))
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def _code_identity(code):
    constants = [_code_identity(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), code.co_names, constants]


def _hash(value):
    try:
        return joblib.hash(value)
    except Exception as error:  # joblib pickles: any object may refuse in its own way
        raise SknicError(
            f"cannot tell whether tissue={value!r} changes between runs, which cache_dir needs; pass a plain function"
        ) from error
