"""Write pyramidal JPEG TIFFs that OpenSlide opens, band by band, so that gigapixel slides need little memory."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from simplejpeg import encode_jpeg

from sknic.files.whole import whole_file

_SOFTWARE = "sknic"
_SMALLEST_LEVEL = 1024
_SUBSAMPLINGS = {(2, 2): "420", (2, 1): "422"}
_CLASSIC_TIFF_PIXELS = 2**30  # at 3 bytes a pixel, JPEG stays far below the 4 GB of a classic TIFF


@dataclass(frozen=True)
class ScannerLayout:
    """How a scanner organizes its files: tile side (px), factor between levels, most levels, chroma subsampling."""

    tile: int
    factor: int
    max_levels: int
    subsampling: tuple[int, int]


LAYOUTS = {"generic": ScannerLayout(256, 2, 32, (2, 2)), "aperio": ScannerLayout(240, 4, 3, (2, 1))}


def write_pyramid(
    path: str | Path,
    pixels: Any,
    size: tuple[int, int] | None = None,
    *,
    mpp: float | None,
    layout: str = "generic",
    downsamples: Sequence[int] | None = None,
    quality: int = 85,
    description: str = "",
) -> str:
    """Write a tiled, JPEG-compressed, pyramidal TIFF.

    The file appears under its name only once it is complete. The same pixels and settings give the same bytes.

    Parameters
    ----------
    path : str or Path
        File to write; ``.tiff`` for the generic layout, ``.svs`` for the Aperio-like one.
    pixels : uint8 array (height, width, 3), or callable
        RGB of level 0; a callable ``pixels(y, n_rows) -> uint8 (n_rows, width, 3)`` is called for bands from top to
        bottom, so that the whole slide is never in memory.
    size : (width, height), optional
        Size of level 0 in px; needed when `pixels` is a callable.
    mpp : float or None
        um/px of level 0. None writes a slide without it.
    layout : {"generic", "aperio"}
        ``"generic"``: tiles of 256 px, levels at 1, 2, 4, ... until the longer side is at most 1024 px, um/px in the
        TIFF resolution tags. ``"aperio"``: tiles of 240 px, levels at 1, 4, 16, um/px and objective power in the
        ImageDescription.
    downsamples : sequence of int, optional
        Levels other than the layout's, each a multiple of the one before: ``(1,)`` writes no pyramid.
    quality : int
        JPEG quality, 1 to 100.
    description : str
        Text kept in the TIFF ImageDescription; see `read_description`.

    Returns
    -------
    path : str
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout={layout!r}: expected one of {sorted(LAYOUTS)}")
    style = LAYOUTS[layout]
    read, (width, height) = _reader(pixels, size)
    downsamples = _default_downsamples(style, width, height) if downsamples is None else tuple(downsamples)
    _check_downsamples(downsamples, style.tile)
    with whole_file(path) as temporary, ExitStack() as stack:
        levels = _build_levels((width, height), downsamples, style, quality, stack, temporary.parent)
        writer = stack.enter_context(
            tifffile.TiffWriter(temporary, bigtiff=width * height > _CLASSIC_TIFF_PIXELS, byteorder="<")
        )
        _write_levels(writer, levels, read, mpp, layout, style, description, quality)
    return str(path)


def read_description(path):
    """The text given as `description` to `write_pyramid`; None if the file is not one of our slides, or is damaged."""
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            if page.software != _SOFTWARE or not all(_is_whole(page, tiff) for page in tiff.pages):
                return None
            return page.description.rpartition(f"|{_SOFTWARE} = ")[2]
    except (OSError, tifffile.TiffFileError, struct.error, IndexError):
        return None


def _is_whole(page, tiff):
    """Whether all tiles of a level lie inside the file."""
    ends = np.add(page.dataoffsets, page.databytecounts) if len(page.dataoffsets) == len(page.databytecounts) else ()
    return len(ends) > 0 and max(ends) <= tiff.filehandle.size


def _reader(pixels, size):
    if callable(pixels):
        if size is None:
            raise ValueError("size=None: expected (width, height) in px when pixels is a callable")
        return pixels, (int(size[0]), int(size[1]))
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise ValueError(f"pixels: expected uint8 (height, width, 3), got {pixels.dtype} {pixels.shape}")
    return lambda y, n_rows: pixels[y : y + n_rows], (pixels.shape[1], pixels.shape[0])


def _default_downsamples(style, width, height):
    downsamples = [1]
    while max(width, height) // downsamples[-1] > _SMALLEST_LEVEL and len(downsamples) < style.max_levels:
        downsamples.append(downsamples[-1] * style.factor)
    return tuple(downsamples)


def _check_downsamples(downsamples, tile):
    steps = [fine and coarse / fine for fine, coarse in zip(downsamples, downsamples[1:])]
    if not downsamples or downsamples[0] != 1 or any(step not in (2, 4, 8, 16) or tile % step for step in steps):
        raise ValueError(f"downsamples={downsamples}: expected 1, then each 2, 4, 8 or 16 times the one before")


def _build_levels(size, downsamples, style, quality, stack, folder):
    """The cascade of levels, coarsest last; all but the first spool their tiles to an unnamed file."""
    below, levels = None, []
    for position in reversed(range(len(downsamples))):
        step = downsamples[position + 1] // downsamples[position] if below else None
        spool = stack.enter_context(tempfile.TemporaryFile(dir=folder)) if position else None  # noqa: SIM115
        width, height = (max(side // downsamples[position], 1) for side in size)
        below = _Level(width, height, style, quality, spool, below, step)
        levels.insert(0, below)
    return levels


def _write_levels(writer, levels, read, mpp, layout, style, description, quality):
    for position, level in enumerate(levels):
        tags = {"description": description}
        if layout == "aperio":
            tags = {"description": _aperio_description(levels[0], level, mpp, style.tile, quality, description)}
        elif mpp is not None:
            resolution = 1e4 / mpp * level.width / levels[0].width
            tags |= {"resolution": (resolution, resolution), "resolutionunit": "CENTIMETER"}
        writer.write(
            level.tiles_of(read) if position == 0 else level.spooled_tiles(),
            shape=(level.height, level.width, 3),
            dtype=np.uint8,
            tile=(style.tile, style.tile),
            photometric="ycbcr",
            compression="jpeg",
            subsampling=style.subsampling,
            subfiletype=1 if position and layout == "generic" else 0,
            metadata=None,
            software=_SOFTWARE,
            **tags,
        )


def _aperio_description(first, level, mpp, tile, quality, description):
    size = f"{first.width}x{first.height} ({tile}x{tile})"
    if level is not first:
        size += f" -> {level.width}x{level.height}"
    parts = [f"Aperio Image Library v11.2.1\n{size} JPEG/RGB Q={quality}"]
    if mpp is not None:
        parts += [f"AppMag = {round(10 / mpp)}", f"MPP = {mpp:.4f}"]
    if description:
        parts.append(f"{_SOFTWARE} = {description}")
    return "|".join(parts)


class _Level:
    """One level of the pyramid: takes rows from the top, gives JPEG tiles, passes shrunken rows on."""

    def __init__(self, width, height, style, quality, spool, below, step):
        self.width, self.height, self.tile = width, height, style.tile
        self._jpeg = {"quality": quality, "colorspace": "RGB", "colorsubsampling": _SUBSAMPLINGS[style.subsampling]}
        self._spool, self._sizes = spool, []
        self._below, self._step = below, step
        self._pending, self._n_pending, self._n_done = [], 0, 0

    def tiles_of(self, read):
        """Encoded tiles of the whole level, read band by band; fills the levels below on the way."""
        for y in range(0, self.height, self.tile):
            band = np.asarray(read(y, min(self.tile, self.height - y)))
            self._pass_on(band)  # first: the writer asks for no more after the last tile
            yield from self._encode(band)

    def spooled_tiles(self):
        """Encoded tiles that `add` has put aside."""
        self._spool.seek(0)
        for size in self._sizes:
            yield self._spool.read(size)

    def add(self, rows):
        """Take further rows; rows past the level's height are dropped."""
        rows = rows[: self.height - self._n_done - self._n_pending]
        self._pending.append(rows)
        self._n_pending += len(rows)
        while self._n_pending >= self.tile or (self._n_pending and self._n_done + self._n_pending == self.height):
            waiting = np.concatenate(self._pending)
            band, rest = waiting[: self.tile], waiting[self.tile :]
            self._pending, self._n_pending = [rest], len(rest)
            self._n_done += len(band)
            for tile in self._encode(band):
                self._sizes.append(len(tile))
                self._spool.write(tile)
            self._pass_on(band)

    def _encode(self, band):
        for x in range(0, self.width, self.tile):
            block = band[:, x : x + self.tile]
            missing = self.tile - block.shape[0], self.tile - block.shape[1]
            if any(missing):
                block = np.pad(block, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
            yield encode_jpeg(np.ascontiguousarray(block), **self._jpeg)

    def _pass_on(self, band):
        if self._below is None:
            return
        small = band
        for _ in range(self._step.bit_length() - 1):
            small = _halve(small)
        self._below.add(small[:, : self._below.width])


def _halve(block):
    """Mean of each 2x2 px, rounded to nearest; an odd last row or column is dropped (kept when it is the only one)."""
    block = np.repeat(block, 2, axis=0) if block.shape[0] == 1 else block
    block = np.repeat(block, 2, axis=1) if block.shape[1] == 1 else block
    height, width = block.shape[0] // 2 * 2, block.shape[1] // 2 * 2
    columns = block[:height, 0:width:2].astype(np.uint16) + block[:height, 1:width:2]
    return ((columns[0::2] + columns[1::2] + 2) >> 2).astype(np.uint8)
