"""Tiles: the deep-zoom pyramid of a slide, for many threads."""

import io
import threading

import openslide
from openslide.deepzoom import DeepZoomGenerator

from sknic.exceptions import UnreadableSlideError

TILE_SIZE, OVERLAP = 254, 1
# A slide without a pyramid would be read whole for its smallest tiles; the page does with the finer ones instead.
_MAX_SOURCE = 2**25


class Tiles:
    """JPEG tiles of a slide.

    Parameters
    ----------
    path : str
        File of a slide that OpenSlide opens.
    """

    def __init__(self, path):
        self._path = path
        self._lock = threading.Lock()
        self._open()
        self.width, self.height = self._deep_zoom.level_dimensions[-1]
        self.max_level = self._deep_zoom.level_count - 1
        self.min_level = next(level for level in range(self.max_level + 1) if self._source(level) <= _MAX_SOURCE)

    def _open(self):
        self._deep_zoom = DeepZoomGenerator(openslide.OpenSlide(self._path), TILE_SIZE, OVERLAP, limit_bounds=True)

    def _source(self, level):
        """Pixels that the largest tile of a level is made from."""
        width, height = self._deep_zoom.get_tile_coordinates(level, (0, 0))[2]
        return width * height

    def jpeg(self, level, column, row):
        """Bytes of a tile, or None where there is none.

        Raises
        ------
        UnreadableSlideError
            If the file is damaged there.
        """
        if not self.min_level <= level <= self.max_level:
            return None
        columns, rows = self._deep_zoom.level_tiles[level]
        if not (0 <= column < columns and 0 <= row < rows):
            return None
        file = io.BytesIO()
        self._read(level, column, row).save(file, "JPEG", quality=85)
        return file.getvalue()

    def _read(self, level, column, row):
        with self._lock:
            try:
                return self._deep_zoom.get_tile(level, (column, row))
            except openslide.OpenSlideError as error:
                # A handle that failed once refuses every later read.
                self._open()
                raise UnreadableSlideError(f"{self._path}: cannot read a tile: {error}") from error

    def describe(self):
        """What OpenSeadragon needs to know."""
        levels = {"minLevel": self.min_level, "maxLevel": self.max_level}
        return {"width": self.width, "height": self.height, "tileSize": TILE_SIZE, "tileOverlap": OVERLAP, **levels}
