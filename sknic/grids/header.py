"""GridHeader: what is known about a grid's slide, encoder and scale."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass

# Nominal and true um/px of scanners differ by less than this share; the um/px that people choose, by more.
MPP_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class GridHeader:
    """Properties of a grid other than its numbers.

    Positions are defined in level-0 pixels: files of other tools contain them, while their um/px may be nominal.

    Parameters
    ----------
    shape : (rows, columns)
        Size of the grid in cells.
    mpp : float, default=None
        um per px of the patches.
    patch_size, stride : int, default=None
        Width of a patch and distance between patches, px at `mpp`; `stride` is `patch_size` by default.
    slide : str, default=None
        Path of the slide, absolute if sknic made the grid.
    slide_mpp : float, default=None
        um per px of the slide's level 0.
    origin : (x, y), default=(0, 0)
        Level-0 px, from the corner of the file, at which cell (0, 0) starts.
    fingerprint : str, default=None
        Fingerprint of the encoder.
    tissue_fraction : float, default=None
        Share of the lattice's cells that contain tissue.
    slide_size : (width, height), default=None
        Size of the slide's level 0 in px.
    slide_digest : str, default=None
        Digest of the slide (`Slide.digest`).
    patch_size_level0, stride_level0 : float, default=None
        `patch_size` and `stride` in level-0 px; by default from `mpp` and `slide_mpp` if both are known.
    bounds : (x, y), default=None
        Corner of the slide's bounds in level-0 px, the origin of QuPath's coordinates; `origin` by default.
    precision : str, default=None
        Number format of the encoder's computation: "float32", "bfloat16" or "float16".
    damage : str, default=None
        Pyramid levels of the slide that were damaged, and what was read instead (`Slide.damage`).
    coarse_mpp : tuple of float, default=()
        um per px of coarser grids of the slide whose channels follow those at `mpp`, repeated over the cells.
    """

    shape: tuple[int, int]
    mpp: float | None = None
    patch_size: int | None = None
    stride: int | None = None
    slide: str | None = None
    slide_mpp: float | None = None
    origin: tuple[int, int] = (0, 0)
    fingerprint: str | None = None
    tissue_fraction: float | None = None
    slide_size: tuple[int, int] | None = None
    slide_digest: str | None = None
    patch_size_level0: float | None = None
    stride_level0: float | None = None
    bounds: tuple[int, int] | None = None
    precision: str | None = None
    damage: str | None = None
    coarse_mpp: tuple[float, ...] = ()

    def __post_init__(self):
        self._set("shape", _whole_pair("shape", self.shape))
        self._set("origin", _whole_pair("origin", self.origin, low=None))
        self._set("slide", None if self.slide is None else str(self.slide))
        for name in ("fingerprint", "precision"):  # the same in a whole cohort: one text for all
            text = getattr(self, name)
            self._set(name, sys.intern(text) if type(text) is str else text)
        for name in ("mpp", "slide_mpp", "patch_size_level0", "stride_level0"):
            self._set(name, _positive(name, getattr(self, name)))
        self._set("coarse_mpp", tuple(_positive("coarse_mpp", mpp) for mpp in self.coarse_mpp))
        for name in ("patch_size", "stride"):
            size = _positive(name, getattr(self, name))
            self._set(name, None if size is None else int(size))
        if self.tissue_fraction is not None:
            self._set("tissue_fraction", float(self.tissue_fraction))
        if self.stride is None:
            self._set("stride", self.patch_size)
        for name in ("patch_size", "stride"):
            size = getattr(self, name)
            if getattr(self, f"{name}_level0") is None and size and self.mpp and self.slide_mpp:
                self._set(f"{name}_level0", size * self.mpp / self.slide_mpp)
        bounds = self.origin if self.bounds is None else _whole_pair("bounds", self.bounds, low=None)
        self._set("bounds", self.origin if bounds == self.origin else bounds)
        if self.slide_size is not None:
            self._set("slide_size", _whole_pair("slide_size", self.slide_size))

    def _set(self, name, value):
        object.__setattr__(self, name, value)  # frozen for everybody else


def _positive(name, value):
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name}={value!r}: expected a positive number or None")
    return number


def _whole_pair(name, pair, low=0):
    try:
        first, second = (int(number) for number in pair)
    except (TypeError, ValueError):
        raise ValueError(f"{name}={pair!r}: expected two whole numbers") from None
    if low is not None and min(first, second) < low:
        raise ValueError(f"{name}={pair!r}: expected two whole numbers of at least {low}")
    return first, second
