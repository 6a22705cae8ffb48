"""From the requested um/px to the stored pixels: which level to read, and how to resample it."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

# A stored scale this close to the one asked for is taken as it is: resampling by 1 % only blurs.
SNAP = 0.02


@dataclass(frozen=True)
class Scale:
    """How pixels of one um/px are made from a slide.

    Parameters
    ----------
    level : int
        Pyramid level that is read.
    factor : int
        Every `factor` x `factor` pixels of the level are averaged to one; 1 uses them unchanged.
    zoom : float
        Remaining resampling, in averaged pixels per requested pixel; exactly 1.0 if there is none.
    """

    level: int
    factor: int = 1
    zoom: float = 1.0


def choose_scale(level_mpps, mpp):
    """The cheapest way to pixels of `mpp`.

    A level, or a level averaged by a whole factor, within 2 % of `mpp` is used as it is. Otherwise the next finer
    level is area-averaged; if there is none, level 0 is interpolated.

    Parameters
    ----------
    level_mpps : sequence of float
        um/px of the levels, finest first.
    mpp : float

    Returns
    -------
    Scale
    """
    factors = [max(1, round(mpp / level_mpp)) for level_mpp in level_mpps]
    exact = [
        (factor, level)
        for level, (factor, level_mpp) in enumerate(zip(factors, level_mpps))
        if abs(level_mpp * factor / mpp - 1) <= SNAP
    ]
    if exact:
        factor, level = min(exact)
        return Scale(level, factor)
    finer = [level for level, level_mpp in enumerate(level_mpps) if level_mpp < mpp]
    level = finer[-1] if finer else 0
    return Scale(level, zoom=mpp / level_mpps[level])


def scale_of_finer(downsamples, level, corner, factor):
    """How pixels of a level, averaged by a whole factor, are made from the next finer level.

    Parameters
    ----------
    downsamples : sequence of float
        Width of a px of each level, in level-0 px, finest first.
    level : int
        Level that cannot be read; above 0.
    corner : (x, y) of int
        Corner in averaged pixels of that level.
    factor : int

    Returns
    -------
    scale : Scale
        Scale on the next finer level: averaged by a whole factor if that is within 2 % of what is wanted.
    corner : array (2,)
        The same corner in averaged pixels of that scale.
    """
    ratio = downsamples[level] * factor / downsamples[level - 1]
    whole = max(1, round(ratio))
    if abs(whole / ratio - 1) > SNAP:
        return Scale(level - 1, zoom=ratio), np.asarray(corner) * ratio
    return Scale(level - 1, whole), np.floor(np.asarray(corner) * (ratio / whole) + 0.5).astype(np.int64)


def average(pixels, factor):
    """Mean of every `factor` x `factor` pixels, rounded half up.

    Parameters
    ----------
    pixels : uint8 array (height * factor, width * factor, 3)
    factor : int

    Returns
    -------
    uint8 array (height, width, 3)
    """
    if factor == 1:
        return pixels
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    # 16 x 16 pixels of 255 are the most that uint16 holds. Whole rows are added first: they lie side by side in memory.
    dtype = np.uint16 if factor <= 16 else np.uint32
    rows = np.add(pixels[0::factor], pixels[1::factor], dtype=dtype)
    for k in range(2, factor):
        rows += pixels[k::factor]
    rows = rows.reshape(height, width, factor, 3)
    out = np.empty((height, width, 3), np.uint8)
    for channel in range(3):
        total = rows[:, :, 0, channel] + dtype(factor * factor // 2)
        for k in range(1, factor):
            total += rows[:, :, k, channel]
        np.floor_divide(total, dtype(factor * factor), out=out[:, :, channel], casting="unsafe")
    return out


def resample(pixels, size, corner, zoom):
    """Area-average (zoom > 1) or interpolate bilinearly (zoom < 1) the part of `pixels` that becomes `size`.

    Parameters
    ----------
    pixels : uint8 array (h, w, 3)
    size : (width, height) of the result
    corner : (x, y) float
        Where the result starts in `pixels`.
    zoom : float
        Pixels per pixel of the result.

    Returns
    -------
    uint8 array (height, width, 3)
    """
    (x, y), (width, height) = corner, size
    method = Image.Resampling.BOX if zoom > 1 else Image.Resampling.BILINEAR
    box = (x, y, min(x + width * zoom, pixels.shape[1]), min(y + height * zoom, pixels.shape[0]))
    return np.asarray(Image.fromarray(pixels).resize(size, method, box))


def source_box(corner, size, zoom):
    """Whole pixels (x, y, right, bottom) that resampling needs; interpolation needs one more."""
    margin = 0 if zoom > 1 else 1
    start = np.floor(corner).astype(int) - margin
    stop = np.ceil(np.asarray(corner) + np.array(size) * zoom).astype(int) + margin
    return (*start.tolist(), *stop.tolist())
