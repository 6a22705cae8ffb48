"""Tiles: the deep-zoom pyramid of a slide, thread-safe; only the most recently used slides are kept open."""

import io
import threading
from collections import OrderedDict

import openslide
from openslide.deepzoom import DeepZoomGenerator

from sknic.exceptions import UnreadableSlideError

TILE_SIZE, OVERLAP = 254, 1
# A slide without a pyramid would be read whole for its smallest tiles; the page does with the finer ones instead.
_MAX_SOURCE = 2**25
# OpenSlide keeps up to 32 files of each slide open, and a process may open 1,024.
_MAX_OPEN = 16
_open: OrderedDict = OrderedDict()
_opening = threading.Lock()


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
        with self._lock:
            self._deep_zoom = self._opened()
            self.width, self.height = self._deep_zoom.level_dimensions[-1]
            self.max_level = self._deep_zoom.level_count - 1
            self.min_level = next(level for level in range(self.max_level + 1) if self._source(level) <= _MAX_SOURCE)
        self._stay_open()

    def _opened(self):
        return DeepZoomGenerator(openslide.OpenSlide(self._path), TILE_SIZE, OVERLAP, limit_bounds=True)

    def _stay_open(self):
        """Mark the slide as most recently used, and close the least recently used ones."""
        with _opening:
            _open[id(self)] = self
            _open.move_to_end(id(self))
            oldest = [_open.popitem(last=False)[1] for _ in range(len(_open) - _MAX_OPEN)]
        for tiles in oldest:
            with tiles._lock:
                tiles._deep_zoom = None

    def _source(self, level):
        """Pixels that the largest tile of a level is made from."""
        width, height = self._deep_zoom.get_tile_coordinates(level, (0, 0))[2]
        return width * height

    def jpeg(self, level, column, row):
        """Bytes of a tile, or None if there is none.

        Raises
        ------
        UnreadableSlideError
            If the file is damaged there.
        """
        if not self.min_level <= level <= self.max_level:
            return None
        with self._lock:
            self._deep_zoom = self._deep_zoom or self._opened()
            columns, rows = self._deep_zoom.level_tiles[level]
            if not (0 <= column < columns and 0 <= row < rows):
                return None
            tile = self._read(level, column, row)
        self._stay_open()
        file = io.BytesIO()
        tile.save(file, "JPEG", quality=85)
        return file.getvalue()

    def _read(self, level, column, row):
        try:
            return self._deep_zoom.get_tile(level, (column, row))
        except openslide.OpenSlideError as error:
            self._deep_zoom = None  # a handle that failed once refuses every later read
            raise UnreadableSlideError(f"{self._path}: cannot read a tile: {error}") from error

    def describe(self):
        """What OpenSeadragon needs to know."""
        levels = {"minLevel": self.min_level, "maxLevel": self.max_level}
        return {"width": self.width, "height": self.height, "tileSize": TILE_SIZE, "tileOverlap": OVERLAP, **levels}
