"""Fast path: raw JPEG tiles of TIFF and SVS, decoded in parallel threads, identical to OpenSlide to the pixel."""

import os
import threading
import weakref
from collections import OrderedDict

import numpy as np
import tifffile
from simplejpeg import decode_jpeg

from sknic.exceptions import UnreadableSlideError
from sknic.slides.scale import average
from sknic.slides.tiff_directory import is_tiff, tiled_pages

# Tiles are compared with OpenSlide's pixels before any is trusted: at most this many, in windows of this side.
N_CHECKED = 6
CHECK_SIZE = 64
# Decoded tiles kept because the next block may touch them too.
CACHE_BYTES = 32 * 2**20
# Aperio's RGB tiles lack the Adobe marker that says so (transform 0), and would be taken for YCbCr.
_COLOUR_MARKERS = {
    tifffile.PHOTOMETRIC.RGB: b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00",
    tifffile.PHOTOMETRIC.YCBCR: b"",
}


class TiffTiles:
    """The JPEG tiles of one pyramid level, seen as pixels averaged by a whole factor.

    Made by `open_tiles` where possible. Thread-safe; uses one file descriptor.

    Parameters
    ----------
    slide : Slide
    level : int
    factor : int
        Divides the side of the tiles.
    page : tifffile.TiffPage
        The level's directory.
    """

    def __init__(self, slide, level, factor, page):
        self._slide, self._level, self._factor = slide, level, factor
        self._offsets, self._bytecounts = page.dataoffsets, page.databytecounts
        tables = page.jpegtables[2:-2] if page.jpegtables else b""
        self._header = b"\xff\xd8" + _COLOUR_MARKERS[page.photometric] + tables
        self._tile_shape = page.tilelength, page.tilewidth
        self._height, self._width = page.imagelength, page.imagewidth
        self._grid = -(-self._height // page.tilelength), -(-self._width // page.tilewidth)
        self._kept = _TileCache(CACHE_BYTES)
        self._file = os.open(slide.file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        weakref.finalize(self, os.close, self._file)

    def fill(self, out, corners):
        """Read many rectangles, decoding each tile they touch once.

        Parameters
        ----------
        out : uint8 array (n, height, width, 3)
            Array to fill; white outside the level.
        corners : int array (n, 2)
            (x, y) of each rectangle in averaged pixels of the level.
        """
        height, width = out.shape[1:3]
        tile_height, tile_width = (side // self._factor for side in self._tile_shape)
        low = corners.min(axis=0) if len(corners) else None
        high = corners.max(axis=0) + (width, height) if len(corners) else None
        for (row, column), members in self._touched(out, corners).items():
            top, left = row * tile_height, column * tile_width
            inside = left >= low[0] and top >= low[1] and left + tile_width <= high[0] and top + tile_height <= high[1]
            tile = self._tile(row, column, keep=not inside)
            for i, x, y in members:
                x_start, x_stop = max(x, left), min(x + width, left + tile_width)
                y_start, y_stop = max(y, top), min(y + height, top + tile_height)
                out[i, y_start - y : y_stop - y, x_start - x : x_stop - x] = tile[
                    y_start - top : y_stop - top, x_start - left : x_stop - left
                ]

    def _touched(self, out, corners):
        """Rectangles (i, x, y) by the tile (row, column) that they touch; fills white where they leave the level."""
        height, width = out.shape[1:3]
        tile_height, tile_width = (side // self._factor for side in self._tile_shape)
        rows, columns = self._grid
        touched = {}
        for i, (x, y) in enumerate(corners.tolist()):
            top, bottom = y // tile_height, (y + height - 1) // tile_height
            left, right = x // tile_width, (x + width - 1) // tile_width
            if top < 0 or left < 0 or bottom >= rows or right >= columns:
                out[i] = 255
            for row in range(max(top, 0), min(bottom + 1, rows)):
                for column in range(max(left, 0), min(right + 1, columns)):
                    touched.setdefault((row, column), []).append((i, x, y))
        return touched

    def _tile(self, row, column, keep):
        """Averaged pixels of a tile; `keep` tiles that reach beyond the current block."""
        tile = self._kept.get((row, column))
        if tile is None:
            tile = average(self._stored_tile(row, column), self._factor)
            if keep:
                self._kept.put((row, column), tile)
        return tile

    def _stored_tile(self, row, column):
        """A tile as stored, white beyond the level's edge; missing and damaged tiles are read by OpenSlide."""
        height, width = self._tile_shape
        index = row * self._grid[1] + column
        pixels = np.empty((height, width, 3), np.uint8)
        if not (self._bytecounts[index] and self._decode(index, pixels)):
            return self._slide.read_level(self._level, column * width, row * height, width, height)
        pixels[max(self._height - row * height, 0) :] = 255
        pixels[:, max(self._width - column * width, 0) :] = 255
        return pixels

    def _decode(self, index, pixels):
        """Decode a tile into `pixels`; False if it looks damaged."""
        try:
            data = os.pread(self._file, self._bytecounts[index], self._offsets[index])
            return decode_jpeg(self._header + data[2:], "RGB", buffer=pixels).shape == pixels.shape
        except (ValueError, OSError):
            return False

    def agrees(self):
        """Whether a few tiles, the fullest and those at the corners, equal OpenSlide's pixels exactly."""
        n_tiles = self._grid[0] * self._grid[1]
        by_size = np.argsort(self._bytecounts)
        picks = [0, n_tiles - 1, *by_size[-N_CHECKED + 3 :], by_size[n_tiles // 2]]
        return all(self._tile_agrees(*divmod(int(index), self._grid[1])) for index in dict.fromkeys(picks))

    def _tile_agrees(self, row, column):
        height, width = self._tile_shape
        downsample = self._slide.level_downsamples[self._level]
        x = _whole_position(column * width, min(width, self._width - column * width), downsample)
        y = _whole_position(row * height, min(height, self._height - row * height), downsample)
        if x is None or y is None:
            return True
        w = min(CHECK_SIZE, (column + 1) * width - x)
        h = min(CHECK_SIZE, (row + 1) * height - y)
        try:
            theirs = self._slide.read_level(self._level, x, y, w, h, substitute=False)
            ours = self._stored_tile(row, column)[y - row * height :, x - column * width :][:h, :w]
        except UnreadableSlideError:
            return True  # a damaged tile says nothing about the others, and whoever needs it gets the error
        return np.array_equal(ours, theirs)


def _whole_position(start, length, downsample):
    """A pixel of [start, start + length) whose position is a whole level-0 pixel, or None.

    At other positions OpenSlide interpolates by a fraction of a pixel, because read_region counts in level-0 pixels.
    """
    pixels = np.arange(start, start + length)
    misses = np.abs(np.floor(pixels * downsample + 0.5) / downsample - pixels)
    return int(pixels[misses.argmin()]) if misses.min() < 1e-6 else None


def open_tiles(slide, level, factor):
    """`TiffTiles` of a slide's level, or None if the file has no such JPEG tiles or OpenSlide's pixels differ.

    Parameters
    ----------
    slide : Slide
    level : int
    factor : int
    """
    if not hasattr(os, "pread") or not is_tiff(slide.properties):
        return None
    page = _page(slide, level)
    if page is None or page.tilewidth % factor or page.tilelength % factor:
        return None
    tiles = TiffTiles(slide, level, factor, page)
    return tiles if tiles.agrees() else None


def _page(slide, level):
    """Directory of a level's JPEG tiles, or None."""
    dimensions = tuple(slide.level_dimensions[level])
    pages = [page for page in tiled_pages(slide.file) if (page.imagewidth, page.imagelength) == dimensions]
    return pages[0] if len(pages) == 1 and _holds_jpeg_tiles(pages[0]) else None


def _holds_jpeg_tiles(page):
    n_tiles = -(-page.imagelength // page.tilelength) * -(-page.imagewidth // page.tilewidth)
    return (
        page.compression == tifffile.COMPRESSION.JPEG
        and page.photometric in _COLOUR_MARKERS
        and page.planarconfig == tifffile.PLANARCONFIG.CONTIG
        and (page.samplesperpixel, page.bitspersample) == (3, 8)
        and len(page.dataoffsets) == len(page.databytecounts) == n_tiles
    )


class _TileCache:
    """The most recently used tiles, up to a number of bytes."""

    def __init__(self, max_bytes):
        self._max_bytes, self._bytes = max_bytes, 0
        self._tiles = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key):
        with self._lock:
            if key in self._tiles:
                self._tiles.move_to_end(key)
            return self._tiles.get(key)

    def put(self, key, tile):
        with self._lock:
            if key not in self._tiles:
                self._tiles[key] = tile
                self._bytes += tile.nbytes
            while self._bytes > self._max_bytes:
                self._bytes -= self._tiles.popitem(last=False)[1].nbytes
