"""Whether the pixels of a TIFF are those of a stained slide: three channels of eight bits that are all used."""

import numpy as np

from sknic.exceptions import ColorWarning, UnreadableSlideError, warn
from sknic.slides.tiff_directory import tiled_pages

# Tiles that are decoded to see how far 16-bit values reach.
N_LOOKED_AT = 12


def check_pixels(path):
    """Refuse pixels that OpenSlide would show as something else; warn of pixels without color.

    Parameters
    ----------
    path : str
        A TIFF that OpenSlide opened.

    Raises
    ------
    UnreadableSlideError
        If the channels are not red, green and blue, the numbers are not whole, or 16-bit values end below 32768.

    Warns
    -----
    ColorWarning
        If there is one gray channel.
    """
    page = max(tiled_pages(path), key=lambda page: page.imagewidth * page.imagelength, default=None)
    if page is None:
        return
    channels, sample_format = page.samplesperpixel, int(page.sampleformat or 1)
    if sample_format == 3:
        raise UnreadableSlideError(f"{path}: its pixels are {page.bitspersample}-bit fractions: expected 8 bits")
    if channels == 2 or channels > 4:
        raise UnreadableSlideError(
            f"{path}: its pixels have {channels} channels, as in fluorescence: expected red, green and blue"
        )
    if page.bitspersample == 16:
        _check_depth(path, page)
    if channels == 1 and page.colormap is None:
        warn(
            f"{path}: its pixels have one gray channel; encoders of stained slides expect red, green and blue",
            ColorWarning,
        )


def _check_depth(path, page):
    """16-bit values from a 12-bit camera end at 4095, and OpenSlide, which uses the upper 8 bits, shows black."""
    highest = max(_values(path, page), default=None)
    if highest is None or highest >= 2**15:
        return
    bits = max(8, int(highest).bit_length())
    scaled = f"`vips linear IN 'OUT.tiff[tile,pyramid,compression=jpeg]' {255 / (2**bits - 1):.5g} 0 --uchar`"
    raise UnreadableSlideError(
        f"{path}: its 16-bit values end at {highest}, so they have {bits} bits and would be read as nearly black; "
        f"scale them with {scaled}"
    )


def _values(path, page):
    """The highest value in some tiles, spread over the slide."""
    stored = [i for i, n_bytes in enumerate(page.databytecounts) if n_bytes]
    with open(path, "rb") as file:
        for i in sorted({stored[int(at)] for at in np.linspace(0, len(stored) - 1, N_LOOKED_AT)} if stored else ()):
            file.seek(page.dataoffsets[i])
            try:
                pixels = page.decode(file.read(page.databytecounts[i]), i)[0]
            except Exception:  # a codec meets damage with any error; OpenSlide judges the tile when it is read
                continue
            if pixels is not None and pixels.size:
                yield int(pixels.max())
