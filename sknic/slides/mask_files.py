"""Mask images from other programs: where they are, and which of their pixels are tissue."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from sknic.exceptions import TissueMaskError, TissueWarning, warn
from sknic.files.nearest import did_you_mean, no_such_file

# Side of the level taken from a pyramidal mask, px.
LEAST_SIZE = 1024
# An image with more values than this is a soft mask: probabilities, smooth edges, JPEG.
MAX_LABELS = 16


def mask_path(pattern: str | Path, slide_path: str | Path) -> str:
    """Path of a slide's mask.

    Parameters
    ----------
    pattern : str or Path
        File name in which `{stem}` stands for the slide's file name without extension. A relative pattern starts at
        the slide's folder or, if there is no such file, at the working folder.
    slide_path : str or Path
        File of the slide.

    Returns
    -------
    str
        Path of the mask, whether the file exists or not.

    Raises
    ------
    TissueMaskError
        If the pattern is not a file pattern.
    """
    pattern, slide_path = str(pattern), Path(slide_path)
    if not is_pattern(pattern):
        raise TissueMaskError(
            f"tissue={pattern!r}: expected 'density', 'otsu', or a pattern of mask files such as '{{stem}}.png'"
            + did_you_mean(pattern, ["density", "otsu"])
        )
    name = pattern.replace("{stem}", slide_path.stem)
    beside = slide_path.parent / name
    path = name if not beside.exists() and Path(name).exists() else str(beside)
    if re.search(r"\{\w*\}", pattern.replace("{stem}", "")) and not Path(path).exists():
        raise TissueMaskError(f"tissue={pattern!r}: the only name in braces may be {{stem}}")
    return path


def is_pattern(value: object) -> bool:
    """Return whether a value can be a pattern of mask files.

    Parameters
    ----------
    value : object
        Value that the user passed.

    Returns
    -------
    bool
        True for a string or path with `{stem}` or a suffix.
    """
    return isinstance(value, (str, Path)) and ("{stem}" in str(value) or bool(Path(value).suffix))


def read_mask_image(path, slide):
    """Tissue in a mask image over the whole slide.

    Parameters
    ----------
    path : str
    slide : Slide

    Returns
    -------
    bool array (h, w)
        From the alpha channel if it varies, the palette's index if the palette has colors, or else the brightest
        color; see `is_marked` for the values that count.

    Raises
    ------
    TissueMaskError
        If the file is missing or is not an image.

    Warns
    -----
    TissueWarning
        If the image has many values between black and white, which may be labels or probabilities.
    """
    try:
        pixels = _read_tiff(path) if path.lower().endswith((".tif", ".tiff")) else _read_picture(path)
    except Exception as error:  # Pillow and tifffile meet damage with many kinds of errors
        raise TissueMaskError(f"cannot read the tissue mask {path} of {slide.path}: {_why(path, error)}") from error
    if pixels.ndim == 3:
        pixels = _one_channel(pixels)
    mask = is_marked(pixels)
    if is_doubtful(pixels):
        warn(
            f"the tissue mask {path} has values up to {np.nanmax(pixels):g} that may be labels or probabilities: all "
            f"from {pixels[mask].min():g} counts as tissue; if this is wrong, save it with the values 0 and 255",
            TissueWarning,
        )
    return mask


def _why(path, error):
    """What is wrong with a file, in our words."""
    if isinstance(error, FileNotFoundError):
        return no_such_file(path)
    if isinstance(error, UnidentifiedImageError | tifffile.TiffFileError):
        return "it is not an image" + ("; polygons are read from GeoJSON" if path.lower().endswith(".xml") else "")
    if isinstance(error, Image.DecompressionBombError):
        return "it has more pixels than a mask needs; save it smaller"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if type(error) is ValueError else "the image is damaged or cut off"


def is_marked(values: np.ndarray) -> np.ndarray:
    """Which pixels of a mask are tissue.

    Parameters
    ----------
    values : array (h, w)
        Brightness, probabilities or labels, of any type; NaN and negative values are background.

    Returns
    -------
    bool array (h, w)
        With at most 16 different values: everything above 0 if they are integers below half of white, such as 0 and 1;
        otherwise everything from a sixteenth of white. More values, in numbers of 16 bits or more and all below half of
        white, are labels: everything above 0. All others are soft masks with smooth edges, probabilities or JPEG noise:
        everything from half of white, or from half of the brightest value if none reaches that.
    """
    if values.dtype == bool or not values.size:
        return values.astype(bool)
    whole = np.issubdtype(values.dtype, np.integer)
    values = np.maximum(np.nan_to_num(values, nan=0, posinf=0, neginf=0), 0)
    brightest, few = values.max(), len(np.unique(values)) <= MAX_LABELS
    is_deep = whole and values.dtype.itemsize > 1 and not few
    white = (255 if brightest <= 255 and not is_deep else np.iinfo(values.dtype).max) if whole else max(1.0, brightest)
    if whole and brightest < white / 2 and (few or is_deep):
        return values > 0
    return values >= (white / 16 if few else min(white, max(brightest, 1)) / 2)


def is_doubtful(values: np.ndarray) -> bool:
    """Whether the values of a mask may be labels as well as gray levels.

    They may be if more than a tenth of the pixels that are not black are not white either, in many gray levels; or if
    there are few values, all below half of white, and some are far below the others.

    Parameters
    ----------
    values : array (h, w)
        Values of the mask.

    Returns
    -------
    bool
    """
    if values.dtype == bool or not values.size:
        return False
    known = np.maximum(np.nan_to_num(values, nan=0, posinf=0, neginf=0), 0)
    brightest, used = float(known.max()), np.unique(known)
    if len(used) <= MAX_LABELS:
        return MAX_LABELS < brightest < 127 and bool(((used > 0) & (used < brightest / 16)).any())
    bright = known[known > brightest / 8]
    return float((bright < brightest * 7 / 8).mean()) > 0.1


def _one_channel(pixels):
    """The channel that defines the tissue: alpha if it varies, else the brightest color."""
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
    """Gray levels if a palette has only black and grays; else its indices, which number classes (0 is background)."""
    index = np.asarray(image)
    palette = np.array(image.getpalette(), np.uint8).reshape(-1, 3)
    used = palette[np.unique(index)]
    gray = (used == used[:, :1]).all() and (used == 0).all(axis=1).any()
    return palette[index, 0] if gray else np.minimum(index, 127)


def _read_tiff(path):
    """The smallest level of a pyramidal mask with enough detail, or the only image."""
    with tifffile.TiffFile(path) as file:
        levels = sorted(file.series[0].levels, key=lambda level: max(level.shape))
        fine = [level for level in levels if max(level.shape) >= LEAST_SIZE]
        level = (fine or levels[-1:])[0]
        axes, pixels = [axis for axis, n in zip(level.axes, level.shape) if n > 1], np.squeeze(level.asarray())
    if len(axes) > 2 and axes[0] == "S":  # red, green and blue in planes of their own
        return np.moveaxis(pixels, 0, -1)
    if len(axes) > 2 and axes[-1] != "S":
        raise ValueError(f"it contains {pixels.shape[0]} images; expected one")
    return pixels
