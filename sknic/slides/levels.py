"""Levels: the stored pyramid of a slide file, read by many threads, with finer levels standing in for damaged ones."""

import threading

import numpy as np
import openslide

from sknic.exceptions import DamagedLevelWarning, UnreadableSlideError, warn
from sknic.slides.diagnosis import diagnose
from sknic.slides.metadata import check_plausible
from sknic.slides.scale import average, resample, scale_of_finer, source_box

# Source pixels are read in squares of this side, so that no picture, however large its source, needs much memory.
BLOCK = 2048


class Levels:
    """Pyramid levels of a file that OpenSlide opens; thread-safe.

    Parameters
    ----------
    path : str
        Path as the user gave it, for messages.
    file : str
        File that is opened.

    Attributes
    ----------
    properties : dict of str to str
        OpenSlide's properties.
    dimensions : tuple of (int, int)
        Width and height of each level in its px, finest first.
    downsamples : tuple of float
        Width of a px of each level, in level-0 px.

    Raises
    ------
    UnreadableSlideError
        If the file is missing or damaged, or is not a slide.
    """

    def __init__(self, path, file):
        self._path, self._file = path, file
        self._lock = threading.Lock()
        self._closed = False
        self._damaged: dict[int, str] = {}
        self._handle = self._open()
        self._describe()

    def _open(self):
        try:
            return openslide.OpenSlide(self._file)
        except (openslide.OpenSlideError, OSError, ValueError) as error:
            raise UnreadableSlideError(f"{self._path}: {_why_not(self._file, error)}") from error

    def _describe(self):
        try:
            self.properties = dict(self._handle.properties)
            self.dimensions = self._handle.level_dimensions
            self.downsamples = self._handle.level_downsamples
        except (openslide.OpenSlideError, UnicodeDecodeError, KeyError) as error:
            raise UnreadableSlideError(f"{self._path}: its image description is damaged: {error}") from error
        check_plausible(self._file, self.dimensions, self.downsamples, self.properties)

    @property
    def damage(self):
        """As `Slide.damage`."""
        with self._lock:
            return "; ".join(text for _, text in sorted(self._damaged.items())) or None

    @property
    def closed(self):
        """Whether reads fail because the file was closed."""
        return self._closed

    def read_scaled(self, scale, corner, width, height):
        """Pixels of a scale, block by block.

        Parameters
        ----------
        scale : Scale
        corner : array (2,)
            x and y in averaged pixels of `scale`; integers if nothing is resampled.
        width, height : int
            Size of the result in px.

        Returns
        -------
        uint8 array (height, width, 3)
        """
        out = np.empty((height, width, 3), np.uint8)
        side = max(1, int(BLOCK / (scale.factor * scale.zoom)))
        for top in range(0, height, side):
            for left in range(0, width, side):
                block = out[top : top + side, left : left + side]
                block[...] = self._read_block(scale, corner + np.array([left, top]) * scale.zoom, block.shape)
        return out

    def _read_block(self, scale, corner, shape):
        height, width = shape[:2]
        if scale.zoom == 1:
            return self.read(scale.level, *corner, width, height, scale.factor)
        x, y, right, bottom = source_box(corner, (width, height), scale.zoom)
        pixels = self.read(scale.level, x, y, right - x, bottom - y)
        return resample(pixels, (width, height), corner - (x, y), scale.zoom)

    def read(self, level, x, y, width, height, factor=1, *, substitute=True):
        """As `Slide.read_level`."""
        try:
            return self._read_own(level, x, y, width, height, factor)
        except UnreadableSlideError as error:
            if level == 0 or not substitute:
                raise
            try:
                scale, corner = scale_of_finer(self.downsamples, level, (x, y), factor)
                pixels = self.read_scaled(scale, corner, width, height)
            except UnreadableSlideError:
                raise error from None
            self._note_damage(level, error)
            return pixels

    def _read_own(self, level, x, y, width, height, factor):
        """`read` without another level."""
        x, y, width, height = (int(value) * factor for value in (x, y, width, height))
        level_width, level_height = self.dimensions[level]
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + width, level_width), min(y + height, level_height)
        if right <= left or bottom <= top:
            return np.full((height // factor, width // factor, 3), 255, np.uint8)
        pixels = self._read_stored(level, left, top, right - left, bottom - top)
        if pixels.shape != (height, width, 3):
            padded = np.full((height, width, 3), 255, np.uint8)
            padded[top - y : bottom - y, left - x : right - x] = pixels
            pixels = padded
        return average(pixels, factor)

    def _read_stored(self, level, x, y, width, height):
        """RGB of pixels inside a level; white where the file has none."""
        downsample = self.downsamples[level]
        handle = self._live_handle()
        try:
            image = handle.read_region((round(x * downsample), round(y * downsample)), level, (width, height))
        except openslide.OpenSlideError as error:
            self._discard(handle)
            place = f"{width} x {height} px at ({x}, {y}) of level {level}"
            raise UnreadableSlideError(f"{self._path}: cannot read {place}: {error}") from error
        return _on_white(np.asarray(image))

    def _live_handle(self):
        with self._lock:
            if self._closed:
                raise UnreadableSlideError(f"{self._path}: the slide is closed")
            if self._handle is None:
                self._handle = self._open()
            return self._handle

    def _discard(self, handle):
        """Drop a handle that failed, because it refuses all later reads; other threads may still use it."""
        with self._lock:
            if self._handle is handle:
                self._handle = None

    def _note_damage(self, level, error):
        """Remember and tell the first damaged place of a level."""
        with self._lock:
            if level in self._damaged:
                return
            self._damaged[level] = f"{str(error).removeprefix(f'{self._path}: ')}; level {level - 1} is read instead"
        warn(f"{self._path}: {self._damaged[level]}, there and wherever level {level} is damaged", DamagedLevelWarning)

    def close(self):
        """Close the file; reads fail from then on."""
        with self._lock:
            self._closed = True
            self._handle = None


def _on_white(rgba):
    alpha = rgba[..., 3:]
    if alpha.min() == 255:
        return rgba[..., :3]
    alpha = alpha.astype(np.uint16)
    return ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _why_not(file, error):
    """Why OpenSlide refused a file: according to its bytes or, failing that, to OpenSlide."""
    reason = diagnose(file)
    if reason is not None:
        return reason
    maker = openslide.OpenSlide.detect_format(file)
    if maker is None:
        return "is not a slide in a format that OpenSlide reads"
    return f"is a {maker!r} slide that is damaged, incomplete or unusual (OpenSlide: {error})"
