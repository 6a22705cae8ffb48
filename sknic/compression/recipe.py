"""Recipe: every setting that determines a compressed slide."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sknic.compression.slide_mpp import check_stated, stated_mpp
from sknic.exceptions import TissueMaskError
from sknic.files.callables import callable_identity
from sknic.files.identity import file_identity
from sknic.files.json_values import json_value
from sknic.files.shared import first_shared
from sknic.slides import Annotations, mask_path
from sknic.slides.tissue import BY_THUMBNAIL


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
        """um/px given by the caller for one slide, or None to use its metadata."""
        return stated_mpp(self.slide_mpp, path)

    def check_slides(self, paths):
        """Refuse one mask, or um/px of one name, for several slides; it is found by the name of a slide alone."""
        check_stated(self.slide_mpp, paths)
        pattern = self.tissue.pattern if isinstance(self.tissue, Annotations) else self.tissue
        if not isinstance(pattern, str | Path) or pattern in BY_THUMBNAIL:
            return
        masks = {path: os.fspath(mask_path(pattern, path)) for path in paths}
        shared = first_shared(masks)
        if shared is not None:
            raise TissueMaskError(
                f"tissue={str(pattern)!r}: {masks[shared[0]]} would be the mask of both {' and '.join(shared)}; put "
                "the masks of slides of one name into folders beside the slides, or rename the slides"
            )

    def settings(self, path):
        """What the cache key of one slide depends on, as values that JSON can store."""
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
        settings = {name: json_value(value) for name, value in settings.items()}
        return settings if self.precision == "float32" else {**settings, "precision": self.precision}


def _tissue_identity(tissue, path):
    if tissue is None or tissue in BY_THUMBNAIL:
        return tissue
    if isinstance(tissue, (str, Path)):
        return _mask_identity(tissue, path)
    if isinstance(tissue, Annotations):
        chosen = [None if names is None else _in_one_form(names) for names in (tissue.classes, tissue.exclude)]
        mask = _mask_identity(tissue.pattern, path)
        return [mask, *chosen] if chosen != [None, []] else mask
    return callable_identity(tissue, "tissue", "cache_dir")


def _in_one_form(names):
    """Classes in a form to compare: neither order nor case matters."""
    return sorted({name.strip().lower() for name in names})


def _mask_identity(pattern, path):
    mask = os.fspath(mask_path(pattern, path))
    try:
        status = os.stat(mask)
    except (OSError, ValueError):
        status = None
    if status is None or not stat.S_ISREG(status.st_mode):
        raise TissueMaskError(f"no tissue mask for {path}: {mask} does not exist (tissue={str(pattern)!r})")
    return file_identity(mask, status)
