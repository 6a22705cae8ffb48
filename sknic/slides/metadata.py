"""Metadata of a slide: um/px, objective power, bounds; and whether they are plausible."""

import math
import os
import re

from sknic.exceptions import InvalidMppError, MissingMppError, MppWarning, UnreadableSlideError, warn
from sknic.slides.pixel_type import check_pixels
from sknic.slides.tiff_directory import check_tiles, is_tiff

MPP_RANGE = (0.05, 10.0)
# um/px * objective power of a usual scanner: 0.5 at 20x, 0.25 at 40x.
UM_TIMES_POWER = 10.0
POWER_TOLERANCE = 1.6
ANISOTROPY_TOLERANCE = 0.03
# No codec stores this many pixels in a byte, not even of blank glass; a header that says so is damaged.
MAX_PIXELS_PER_BYTE = 4096
MAX_PIXELS = 2**42
_UM_PER_UNIT = {"centimeter": 1e4, "inch": 2.54e4}
# Units of lengths in OME-XML, in um; a micrometer where none is stated.
_UM_PER_OME_UNIT = {"": 1, "um": 1, "\xb5m": 1, "\u03bcm": 1, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "pm": 1e-6}
_UM_PER_OME_UNIT |= {"\xc5": 1e-4, "in": 2.54e4}


def find_mpp(properties, given, from_objective, path):
    """um/px of level 0, where it comes from, and the objective power.

    Parameters
    ----------
    properties : dict of str to str
        OpenSlide's properties.
    given : float or None
        Value passed by the caller, which takes precedence.
    from_objective : bool
        Whether a guess from the objective power is acceptable.
    path : str
        Path for error messages.

    Returns
    -------
    mpp : float
    source : "given", "metadata", "OME-XML", "tiff resolution" or "objective power"
    objective_power : float or None
    """
    power = _number(properties, "openslide.objective-power")
    power = power if power and power > 0 else None
    mpp, source = _stated(properties, given, path)
    if mpp is None and from_objective and power:
        mpp, source = UM_TIMES_POWER / power, "objective power"
    if mpp is None:
        hint = "" if power is None else f", or Slide(path, mpp_from_objective=True) to guess it from its {power:g}x"
        raise MissingMppError(f"{path}: the file does not state its um/px; pass it as Slide(path, mpp=...){hint}")
    _check_range(mpp, source, path)
    if source != "objective power":
        _check_power(mpp, power, path)
    return mpp, source, power


def _stated(properties, given, path):
    """um/px that is stated explicitly, or None."""
    if given is not None:
        if isinstance(given, bool) or not isinstance(given, (int, float)) and not hasattr(given, "__float__"):
            raise InvalidMppError(f"mpp={given!r}: expected a number of um per px")
        return float(given), "given"
    axes = [_number(properties, f"openslide.mpp-{axis}") for axis in "xy"]
    ome = _ome_axes(properties)
    # OpenSlide trusts the 72 dpi that some programs write by default.
    if any(axis is not None for axis in ome) and not any(axis and axis <= MPP_RANGE[1] for axis in axes):
        return _mean(ome, path), "OME-XML"
    if any(axis is not None for axis in axes):
        return _mean(axes, path), "metadata"
    unit = _UM_PER_UNIT.get(properties.get("tiff.ResolutionUnit"))
    per_unit = [_number(properties, f"tiff.{axis}Resolution") for axis in "XY"]
    axes = [unit / value if unit and value and value > 0 else None for value in per_unit]
    # Programs write 72, 96 or 300 dpi when they do not know the resolution.
    if any(axis is not None and axis <= MPP_RANGE[1] for axis in axes):
        return _mean(axes, path), "tiff resolution"
    return None, None


def _ome_axes(properties):
    """um/px in x and y of the image in a TIFF's OME-XML that has the slide's width; None if not stated."""
    text = properties.get("tiff.ImageDescription") or properties.get("openslide.comment") or ""
    images = re.findall(r"<(?:\w+:)?Pixels\b[^>]*>", text) if "<OME" in text or ":OME" in text else []
    images = [dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", image)) for image in images]
    width = properties.get("openslide.level[0].width")
    image = next((image for image in images if image.get("SizeX") == width), images[0] if images else {})
    return [_ome_length(image, f"PhysicalSize{axis}") for axis in "XY"]


def _ome_length(image, name):
    um = _UM_PER_OME_UNIT.get(image.get(f"{name}Unit", "").replace("&#181;", "\xb5").replace("&#xB5;", "\xb5"))
    length = _number(image, name)
    return length * um if um and length and math.isfinite(length) and length > 0 else None


def _number(properties, name):
    try:
        return float(properties[name])
    except (KeyError, ValueError):
        return None


def _mean(axes, path):
    x, y = (axis if axis is not None else axes[1 - i] for i, axis in enumerate(axes))
    if abs(x - y) > ANISOTROPY_TOLERANCE * max(x, y):
        raise InvalidMppError(
            f"{path}: pixels are {x:.4g} um wide and {y:.4g} um high; expected square pixels, because a mean fits "
            "neither axis; resample the slide, or pass one um/px as Slide(path, mpp=...) if the metadata are wrong"
        )
    return (x + y) / 2


def _check_range(mpp, source, path):
    low, high = MPP_RANGE
    if not low <= mpp <= high:
        raise InvalidMppError(
            f"{path}: {mpp:.4g} um/px ({source}) is outside the range {low} to {high}; "
            "pass the true value as Slide(path, mpp=...)"
        )


def _check_power(mpp, power, path):
    if power is None:
        return
    usual = UM_TIMES_POWER / power
    if max(mpp / usual, usual / mpp) > POWER_TOLERANCE:
        warn(
            f"{path}: {mpp:.4g} um/px contradicts its {power:g}x objective, which usually gives {usual:.4g} um/px; "
            "if it is wrong, pass the true value as Slide(path, mpp=...)",
            MppWarning,
        )


def check_plausible(path, level_dimensions, level_downsamples, properties):
    """Refuse levels without pixels and sizes that the file cannot contain.

    Raises
    ------
    UnreadableSlideError
    """
    if not level_dimensions or any(width < 1 or height < 1 for width, height in level_dimensions):
        raise UnreadableSlideError(f"{path}: levels of {list(level_dimensions)} px; expected at least 1 x 1")
    if not all(math.isfinite(downsample) and downsample > 0 for downsample in level_downsamples):
        raise UnreadableSlideError(f"{path}: level downsamples {list(level_downsamples)}; expected positive numbers")
    width, height = level_dimensions[0]
    # Only a TIFF holds all its pixels in the file that is opened.
    n_bytes = os.path.getsize(path) if is_tiff(properties) else math.inf
    if width * height > min(MAX_PIXELS, n_bytes * MAX_PIXELS_PER_BYTE):
        raise UnreadableSlideError(f"{path}: its header states {width} x {height} px, more than the file can contain")
    if is_tiff(properties):
        check_tiles(path)
        check_pixels(path)


def bounds_of(properties, dimensions):
    """Corner (x, y) and size (width, height) of the scanned area in level-0 px: the whole level without bounds."""
    x, y, width, height = (_number(properties, f"openslide.bounds-{name}") for name in ("x", "y", "width", "height"))
    x, y = (int(value) if value and 0 < value < length else 0 for value, length in zip((x, y), dimensions))
    width = min(int(width), dimensions[0] - x) if width and width >= 1 else dimensions[0] - x
    height = min(int(height), dimensions[1] - y) if height and height >= 1 else dimensions[1] - y
    return (x, y), (width, height)
