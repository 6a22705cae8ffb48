"""The whole slide as a small picture, from the smallest level that suffices."""

import numpy as np

from sknic.slides.tiff_tiles import open_tiles

# A level is read in squares of this side, px.
_BLOCK = 2048
# The largest level that is worth reading whole for a better thumbnail, in pixels.
_LARGEST_SOURCE = 64_000_000


def read_thumbnail(slide, max_size):
    """Return a picture of at most `max_size` px and its um/px; see `Slide.thumbnail`."""
    level, factor = _source(slide, max_size)
    shrink = slide.level_downsamples[level] * factor
    width, height = (max(1, int(length / shrink + 1e-6)) for length in slide.dimensions)
    corner = np.floor(np.array(slide.origin) / shrink + 0.5).astype(int)
    # The level is read whole, which raw tiles do several times faster; a small one is not worth checking them.
    tiles = open_tiles(slide, level, factor) if _n_pixels(slide, level) > _BLOCK**2 else None
    out = np.empty((height, width, 3), np.uint8)
    side = max(1, _BLOCK // factor)
    for top in range(0, height, side):
        for left in range(0, width, side):
            block = out[top : top + side, left : left + side]
            place = corner + (left, top)
            if tiles is None:
                block[...] = slide.read_level(level, place[0], place[1], block.shape[1], block.shape[0], factor)
            else:
                tiles.fill(block[None], place[None])
    return out, slide.mpp * shrink


def _n_pixels(slide, level):
    width, height = slide.level_dimensions[level]
    return width * height


def _source(slide, max_size):
    """(level, factor) of the largest picture within `max_size` that does not need a huge level."""
    longest = max(slide.dimensions)
    choices = []
    for level, downsample in enumerate(slide.level_downsamples):
        factor = max(1, int(np.ceil(longest / downsample / max_size - 1e-6)))
        if _n_pixels(slide, level) <= _LARGEST_SOURCE or level == len(slide.level_dimensions) - 1:
            choices.append((round(longest / (downsample * factor)), level, factor))
    return max(choices)[1:]
