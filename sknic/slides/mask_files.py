"""Mask images that others made: where they lie, and which of their pixels are tissue."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from sknic.exceptions import TissueMaskError

# Side of the level taken from a pyramidal mask, px.
LEAST_SIZE = 1024
# An image with more values than this is a soft mask: probabilities, smooth edges, JPEG.
MAX_LABELS = 16


def mask_path(pattern: str | Path, slide_path: str | Path) -> str:
    """Path of a slide's mask.

    Parameters
    ----------
    pattern : str or Path
        File name in which `{stem}` stands for the slide's file name without extension. A relative pattern counts from
        the slide's folder; if there is no such file there, from the working folder.
    slide_path : str or Path
        File of the slide.

    Returns
    -------
    str
        Path of the mask, whether the file exists or not.

    Raises
    ------
    TissueMaskError
        If the pattern is not one of files.
    """
    pattern, slide_path = str(pattern), Path(slide_path)
    if not is_pattern(pattern):
        raise TissueMaskError(
            f"tissue={pattern!r}: expected 'density', 'otsu', or a pattern of mask files such as '{{stem}}.png'"
        )
    name = pattern.replace("{stem}", slide_path.stem)
    beside = slide_path.parent / name
    path = name if not beside.exists() and Path(name).exists() else str(beside)
    if re.search(r"\{\w*\}", pattern.replace("{stem}", "")) and not Path(path).exists():
        raise TissueMaskError(f"tissue={pattern!r}: expected no other name in braces than {{stem}}")
    return path


def is_pattern(value: object) -> bool:
    """Tell whether a value can be the pattern of mask files.

    Parameters
    ----------
    value : object
        What a user gave.

    Returns
    -------
    bool
        True for a string or path that has `{stem}` or a suffix.
    """
    return isinstance(value, (str, Path)) and ("{stem}" in str(value) or bool(Path(value).suffix))


# What Pillow and tifffile raise for files that are damaged or not images; SyntaxError is for the checksum of a PNG.
_UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    UnidentifiedImageError,
    Image.DecompressionBombError,
    tifffile.TiffFileError,
)


def read_mask_image(path, slide):
    """Tissue in a mask image over the whole slide.

    Parameters
    ----------
    path : str
    slide : Slide

    Returns
    -------
    bool array (h, w)
        The alpha channel decides where it varies, and the palette's index where the palette has colors; else the
        brightest color. Of these, see `is_marked`.

    Raises
    ------
    TissueMaskError
        If the file is missing or is not an image.
    """
    try:
        pixels = _read_tiff(path) if path.lower().endswith((".tif", ".tiff")) else _read_picture(path)
    except _UNREADABLE as error:
        raise TissueMaskError(f"cannot read the tissue mask {path} of {slide.path}: {error}") from error
    if pixels.ndim == 3:
        pixels = _one_channel(pixels)
    return is_marked(pixels)


def is_marked(values: np.ndarray) -> np.ndarray:
    """Which pixels of a mask are tissue.

    Parameters
    ----------
    values : array (h, w)
        Brightness, probabilities or labels, of any type; NaN and negative values are background.

    Returns
    -------
    bool array (h, w)
        Whole numbers that nowhere reach half of white are labels, such as 0 and 1: everything above 0. In any other
        image of at most 16 values: everything from a sixteenth of white. The rest are soft masks with smooth edges,
        probabilities or JPEG noise: everything from half of white.
    """
    if values.dtype == bool or not values.size:
        return values.astype(bool)
    whole = np.issubdtype(values.dtype, np.integer)
    values = np.maximum(np.nan_to_num(values, nan=0, posinf=0, neginf=0), 0)
    brightest = values.max()
    white = (255 if brightest <= 255 else np.iinfo(values.dtype).max) if whole else max(1.0, float(brightest))
    if whole and brightest < white / 2:
        return values > 0
    return values >= white / (16 if len(np.unique(values)) <= MAX_LABELS else 2)


def _one_channel(pixels):
    """The channel that says what is tissue: alpha where it varies, else the brightest color."""
    alpha = pixels[..., -1] if pixels.shape[-1] in (2, 4) else None
    if alpha is not None and alpha.size and np.ptp(alpha):
        return alpha
    return pixels[..., : pixels.shape[-1] - (alpha is not None)].max(axis=2)


def _read_picture(path):
    with Image.open(path) as image:
        image.verify()  # a PNG has checksums, which reading its pixels does not look at
    with Image.open(path) as image:
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            return np.asarray(image.convert("RGBA"))
        if image.mode == "P":
            return _palette_values(image)
        return np.asarray(image)


def _palette_values(image):
    """Grey levels where a palette has black and greys alone, else its indices: they number classes, 0 is background."""
    index = np.asarray(image)
    palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    used = palette[np.unique(index)]
    grey = (used == used[:, :1]).all() and (used == 0).all(axis=1).any()
    return palette[index, 0] if grey else np.minimum(index, 127)


def _read_tiff(path):
    """The smallest level of a pyramidal mask that is still fine enough, or the only image."""
    with tifffile.TiffFile(path) as file:
        levels = sorted(file.series[0].levels, key=lambda level: max(level.shape))
        fine = [level for level in levels if max(level.shape) >= LEAST_SIZE]
        return (fine or levels[-1:])[0].asarray()
