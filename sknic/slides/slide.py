"""Slide: a whole-slide image that is read at any um/px."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sknic.exceptions import InvalidMppError
from sknic.files.notebook import card
from sknic.slides.levels import Levels
from sknic.slides.location import main_file
from sknic.slides.metadata import bounds_of, find_mpp
from sknic.slides.scale import choose_scale
from sknic.slides.thumbnail import read_thumbnail

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Slide:
    """A slide in any format that OpenSlide opens, read at any um/px.

    Reads are thread-safe, and a pickled slide opens its file again.

    Parameters
    ----------
    path : str or Path
        File, or the folder of one DICOM series; any file of a series stands for all of it.
    mpp : float, default=None
        um per px of level 0, if the metadata are missing or wrong.
    mpp_from_objective : bool, default=False
        Whether to guess the um/px from the objective power (10 / power) if nothing better is stated.

    Attributes
    ----------
    path : str
        Path as it was given.
    file : str
        File that is opened.
    mpp : float
        um per px of level 0.
    mpp_source : str
        "given", "metadata", "OME-XML", "tiff resolution" or "objective power".
    objective_power : float or None
        Magnification of the objective; None if the file does not state it.
    properties : dict of str to str
        OpenSlide's properties.
    level_dimensions : tuple of (int, int)
        Width and height of each level in its px, finest first.
    level_downsamples : tuple of float
        Width of a px of each level, in level-0 px.
    origin : (int, int)
        Corner (x, y) of the slide's bounds in level-0 px.
    dimensions : (int, int)
        Width and height of the bounds in level-0 px.

    Raises
    ------
    UnreadableSlideError
        If the file is missing or damaged, or is not a slide; the message says what it is instead, if that is known.
    MissingMppError
        If the um/px is stated nowhere.
    InvalidMppError
        If the um/px is outside the range 0.05 to 10, or differs between the axes by more than 3 %.

    Warns
    -----
    MppWarning
        If the um/px contradicts the objective power.
    ColorWarning
        If the pixels have one gray channel.

    Examples
    --------
    >>> with Slide("slide.svs") as slide:  # doctest: +SKIP
    ...     patch = slide.read(1000, 2000, 128, 128, mpp=0.5)
    """

    def __init__(self, path: str | Path, mpp: float | None = None, *, mpp_from_objective: bool = False) -> None:
        self.path = str(os.fspath(path))
        self.file = main_file(self.path)
        self._given = mpp
        self._mpp_from_objective = mpp_from_objective
        self._levels = Levels(self.path, self.file)
        self.properties = self._levels.properties
        self.level_dimensions = self._levels.dimensions
        self.level_downsamples = self._levels.downsamples
        self.origin, self.dimensions = bounds_of(self.properties, self.level_dimensions[0])
        self.mpp, self.mpp_source, self.objective_power = find_mpp(self.properties, mpp, mpp_from_objective, self.path)

    @property
    def level_mpps(self) -> tuple[float, ...]:
        """um per px of each pyramid level, finest first."""
        return tuple(self.mpp * downsample for downsample in self.level_downsamples)

    @property
    def damage(self) -> str | None:
        """Which levels were found damaged so far, the first place of each, and what was read instead; None if none."""
        return self._levels.damage

    @property
    def digest(self) -> str | None:
        """OpenSlide's quick hash of the content, which does not depend on the name; None if there is none."""
        return self.properties.get("openslide.quickhash-1")

    def size(self, mpp: float) -> tuple[int, int]:
        """Return the size of the slide at a scale.

        Parameters
        ----------
        mpp : float
            um per px.

        Returns
        -------
        (int, int)
            Width and height in whole px at `mpp`.
        """
        _check_wanted(mpp)
        # The small addend keeps 1000 px * 0.1 / 0.1 at 1000.
        width, height = (int(length * self.mpp / mpp + 1e-6) for length in self.dimensions)
        return width, height

    def read(self, x: float, y: float, width: int, height: int, mpp: float | None = None) -> np.ndarray:
        """Pixels of a rectangle.

        Parameters
        ----------
        x, y : float
            Upper left corner in px at `mpp`, counted from the corner of the slide's bounds; may be negative.
        width, height : int
            Size in px at `mpp`.
        mpp : float, optional
            um per px; level 0's by default.

        Returns
        -------
        uint8 array (height, width, 3)
            RGB, white outside the slide.

        Raises
        ------
        UnreadableSlideError
            If the file is damaged there, and no finer level has these pixels either.

        Notes
        -----
        A level, or a level averaged by a whole factor, within 2 % of `mpp` is used as it is: the corner is exact to the
        pixel, and the scale is the level's. Otherwise the next finer level is area-averaged; if there is none, level 0
        is interpolated bilinearly. Averages by whole factors are rounded half up.
        """
        mpp = self.mpp if mpp is None else mpp
        _check_wanted(mpp)
        scale = choose_scale(self.level_mpps, mpp)
        corner = self.position(scale, np.array([x, y], float), mpp)
        return self._levels.read_scaled(scale, corner, width, height)

    def position(self, scale: Any, xy: ArrayLike, mpp: float) -> np.ndarray:
        """Position of points in the averaged pixels of `scale`.

        Parameters
        ----------
        scale : Scale
        xy : array (..., 2)
            px at `mpp`, from the corner of the slide's bounds.
        mpp : float

        Returns
        -------
        array (..., 2)
            Integers (int64) if nothing is resampled, else floats.
        """
        level0 = np.asarray(xy) * (mpp / self.mpp) + np.array(self.origin)
        position = level0 / (self.level_downsamples[scale.level] * scale.factor)
        return np.floor(position + 0.5).astype(np.int64) if scale.zoom == 1 else position

    def read_level(
        self, level: int, x: int, y: int, width: int, height: int, factor: int = 1, *, substitute: bool = True
    ) -> np.ndarray:
        """Pixels of a pyramid level, averaged by a whole factor, counted in averaged pixels from the file's corner.

        A place that is damaged is read from the next finer level that is not, averaged to the same scale.

        Parameters
        ----------
        level : int
            Level of the pyramid, 0 being the largest.
        x, y : int
            Upper left corner in averaged pixels of the level; may be negative.
        width, height : int
            Size in averaged pixels.
        factor : int, default=1
            Number of pixels of the level, in each direction, that are averaged into one.
        substitute : bool, default=True
            Whether a finer level may stand in for a damaged place.

        Returns
        -------
        uint8 array (height, width, 3)
            RGB, white outside the level.

        Raises
        ------
        UnreadableSlideError
            If the file is damaged there, and in all finer levels.

        Warns
        -----
        DamagedLevelWarning
            At the first place of a level that is read from another one.
        """
        return self._levels.read(level, x, y, width, height, factor, substitute=substitute)

    def thumbnail(self, max_size: int = 2048) -> tuple[np.ndarray, float]:
        """The whole slide as a small picture, read from the smallest level that suffices.

        Parameters
        ----------
        max_size : int
            Largest side in px.

        Returns
        -------
        image : uint8 array (h, w, 3)
            A level averaged by a whole factor.
        mpp : float
            um per px of the picture.
        """
        if max_size < 1:
            raise ValueError(f"max_size={max_size!r}: expected 1 or more")
        return read_thumbnail(self, max_size)

    def close(self) -> None:
        """Close the file; reads fail from then on."""
        self._levels.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception):
        self.close()

    def __reduce__(self):
        return _reopen, (self.path, self._given, self._mpp_from_objective)

    def __repr__(self):
        width, height = self.dimensions
        return f"<Slide {os.path.basename(self.path)}: {width} x {height} px at {self.mpp:.4g} um/px>"

    def _repr_html_(self):
        width, height = self.dimensions
        rows = {
            "size": f"{width:,} x {height:,} px, {width * self.mpp / 1000:.1f} x {height * self.mpp / 1000:.1f} mm",
            "um/px": f"{self.mpp:.4g} ({self.mpp_source})",
            "levels, um/px": ", ".join(f"{mpp:.4g}" for mpp in self.level_mpps),
            "file": self.path,
        }
        return card("Slide", rows, None if self._levels.closed else self.thumbnail(256)[0])


def _reopen(path, mpp, mpp_from_objective):
    return Slide(path, mpp, mpp_from_objective=mpp_from_objective)


def _check_wanted(mpp):
    if not (np.isfinite(mpp) and mpp > 0):
        raise InvalidMppError(f"mpp={mpp!r}: expected a positive number of um per px")
