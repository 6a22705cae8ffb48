"""Reads the image of a patch; what a conversion to 8-bit RGB would change without a word is refused."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sknic.exceptions import ColorWarning, DatasetError, warn

_BITS_PER_SAMPLE = 258  # a tag of TIFF
_GRAY = ("1", "L", "LA", "La")
# Pillow converts these without their profile, so their reds would not be those that a viewer shows.
_OTHER_COLORS = ("CMYK", "LAB", "HSV")


def read_image(path):
    """RGB pixels of one image, uint8 (height, width, 3); DatasetError if it is missing, damaged or not of 8 bits."""
    try:
        with Image.open(path) as image:
            _refuse_other_pixels(path, image)
            _warn_of_gray(path, image)
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DatasetError(f"{path}: missing or damaged image ({error})") from error


def _refuse_other_pixels(path, image):
    """Refuse images of which a conversion to 8-bit RGB would make something else."""
    if image.mode in _OTHER_COLORS:
        raise DatasetError(f"{path}: its colors are {image.mode}; expected red, green and blue")
    if image.mode.startswith(("I", "F")) or _n_bits(image) > 8:
        raise DatasetError(f"{path}: its pixels have more than 8 bits; expected an RGB image of 8 bits per color")
    if getattr(image, "n_frames", 1) > 1:
        raise DatasetError(f"{path}: has {image.n_frames} pages or frames; expected one patch per file")
    may_be_clear = "A" in image.getbands() or "transparency" in image.info
    if may_be_clear and image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        raise DatasetError(f"{path}: some pixels are transparent; save it without transparency, on a white ground")


def _warn_of_gray(path, image):
    """Warn of images without colors, with the same text for all patches of a folder, so that it is shown once."""
    if image.mode in _GRAY:
        warn(
            f"{Path(path).parent}: has patches with one gray channel; encoders of stained slides expect red, green and "
            "blue",
            ColorWarning,
        )


def _n_bits(image):
    """Bits per color in the file, of which Pillow keeps eight."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,)))
    if image.format == "PNG":
        with open(image.filename, "rb") as file:
            return file.read(25)[-1]  # of the header chunk
    return 8
