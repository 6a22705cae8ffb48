"""PatchReader: reads the patches of a lattice in the fastest way that gives OpenSlide's pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sknic.slides.scale import choose_scale, resample, source_box
from sknic.slides.tiff_tiles import open_tiles

if TYPE_CHECKING:
    from sknic.slides import Lattice, Slide


# Patches whose source pixels are held at once where they must be resampled.
RESAMPLED_AT_ONCE = 32


class PatchReader:
    """Reads patches of a slide; thread-safe.

    Parameters
    ----------
    slide : Slide
    lattice : Lattice
    backend : "auto" or "openslide"
        "auto" decodes raw JPEG tiles itself if they prove identical to OpenSlide's pixels.

    Attributes
    ----------
    backend : "tiles" or "openslide"
        Backend in use.

    Notes
    -----
    The pixels are those of `Slide.read` at each patch's position, with one exception: if the downsample of a pyramid
    level is not an integer, OpenSlide interpolates by a fraction of a pixel, and "tiles" uses the stored pixels.
    """

    def __init__(self, slide: Slide, lattice: Lattice, backend: str = "auto") -> None:
        if backend not in ("auto", "openslide"):
            raise ValueError(f"backend={backend!r}: expected 'auto' or 'openslide'")
        self._slide, self._lattice = slide, lattice
        self._scale = choose_scale(slide.level_mpps, lattice.mpp)
        tiles = open_tiles(slide, self._scale.level, self._scale.factor) if backend == "auto" else None
        self._source = tiles or _OpenSlideSource(slide, self._scale)
        self.backend = "openslide" if tiles is None else "tiles"

    def read(self, cells: np.ndarray) -> np.ndarray:
        """Patches of cells; neighboring cells are best read together.

        Parameters
        ----------
        cells : int array (n, 2)
            Row and column.

        Returns
        -------
        uint8 array (n, patch_size, patch_size, 3)
            RGB, white outside the slide.

        Raises
        ------
        UnreadableSlideError
            If the file is damaged there.
        """
        cells = np.asarray(cells, np.int64).reshape(-1, 2)
        corners = self._slide.position(self._scale, cells[:, ::-1] * self._lattice.stride, self._lattice.mpp)
        patches = np.empty((len(cells), self._lattice.patch_size, self._lattice.patch_size, 3), np.uint8)
        if self._scale.zoom == 1:
            self._source.fill(patches, corners)
            return patches
        for start in range(0, len(cells), RESAMPLED_AT_ONCE):
            part = slice(start, start + RESAMPLED_AT_ONCE)
            self._resample(patches[part], corners[part])
        return patches

    def _resample(self, patches, corners):
        """Patches from the pixels of a level at another scale, in place."""
        size, zoom = (self._lattice.patch_size,) * 2, self._scale.zoom
        boxes = np.array([source_box(corner, size, zoom) for corner in corners])
        width, height = (boxes[:, 2:] - boxes[:, :2]).max(axis=0)
        pixels = np.empty((len(patches), height, width, 3), np.uint8)
        self._source.fill(pixels, boxes[:, :2])
        for patch, source, corner, box in zip(patches, pixels, corners, boxes):
            patch[...] = resample(source, size, corner - box[:2], zoom)


class _OpenSlideSource:
    """Rectangles of a level through OpenSlide."""

    def __init__(self, slide, scale):
        self._slide, self._scale = slide, scale

    def fill(self, out, corners):
        """As `TiffTiles.fill`."""
        height, width = out.shape[1:3]
        for rectangle, (x, y) in zip(out, corners.tolist()):
            rectangle[...] = self._slide.read_level(self._scale.level, x, y, width, height, self._scale.factor)
