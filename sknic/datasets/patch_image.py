"""Reads the image of a patch; what a conversion to 8-bit RGB would change without a word is refused."""

import numpy as np
from PIL import Image, UnidentifiedImageError

from sknic.exceptions import DatasetError

_BITS_PER_SAMPLE = 258  # a tag of TIFF


def read_image(path):
    """RGB pixels of one image, uint8 (height, width, 3); DatasetError if it is missing, damaged or not of 8 bits."""
    try:
        with Image.open(path) as image:
            _refuse_other_pixels(path, image)
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DatasetError(f"{path}: missing or damaged image ({error})") from error


def _refuse_other_pixels(path, image):
    """Refuse images of which a conversion to 8-bit RGB would make something else."""
    if image.mode.startswith(("I", "F")) or _n_bits(image) > 8:
        raise DatasetError(f"{path}: its pixels have more than 8 bits; expected an RGB image of 8 bits per color")
    if getattr(image, "n_frames", 1) > 1:
        raise DatasetError(f"{path}: has {image.n_frames} pages or frames; expected one patch per file")
    may_be_clear = "A" in image.getbands() or "transparency" in image.info
    if may_be_clear and image.convert("RGBA").getchannel("A").getextrema()[0] < 255:
        raise DatasetError(f"{path}: some pixels are transparent; save it without transparency, on a white ground")


def _n_bits(image):
    """Bits per color in the file, of which Pillow keeps eight."""
    if image.format == "TIFF":
        return max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,)))
    if image.format == "PNG":
        with open(image.filename, "rb") as file:
            return file.read(25)[-1]  # of the header chunk
    return 8
