"""Tissue is what absorbs more light than the glass of its own slide, and is neither unscanned nor pen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening, gaussian_filter1d
from skimage.filters import threshold_li
from skimage.morphology import disk, opening, remove_small_holes, remove_small_objects

# Pixels whose brightest color is darker than this were not scanned, or are black ink.
DARK = 50
# Glass is light and hardly colored; it may be yellow or blue, but is never as pink or purple as a stain.
GLASS_DARKEST, GLASS_BRIGHTEST, GLASS_SATURATION, GLASS_PINK = 150, 185, 0.22, 0.075
# A slide whose light pixels are fewer than this share has no glass; it is full of tissue.
GLASS_SHARE = 0.005
# Less density than this is dirt and shading; more than this is tissue wherever Li's threshold lies, as in a pale
# section with few dark cells. Noise and shading of the glass raise the lower limit, by so many standard deviations.
DENSITY_RANGE = (0.012, 0.05)
NOISE = 5
# Darker than this is all the same for the threshold.
DENSEST = 0.6
# Thinner structures than this are edges of coverslips and of air bubbles, um.
THIN = 32.0
# Smaller specks are dust, smaller holes are vessels and glands, um2: little more than a patch of 64 x 64 um.
MIN_OBJECT = 5_000.0
MIN_HOLE = 5_000.0
# The threshold is as good on this many pixels as on all.
_ENOUGH = 1_000_000


@dataclass(frozen=True)
class Glass:
    """Glass of a slide.

    Parameters
    ----------
    color : float array (3,)
        RGB of the glass, 0 to 255.
    noise : float
        Standard deviation of its brightness, in the same unit.
    unscanned : bool array (h, w)
        Dark pixels and white padding.
    """

    color: np.ndarray
    noise: float
    unscanned: np.ndarray


def density_mask(image: np.ndarray, mpp: float) -> np.ndarray:
    """Find the tissue of a thumbnail by its optical density relative to the glass.

    Parameters
    ----------
    image : uint8 array (h, w, 3)
        Thumbnail of the whole slide, RGB.
    mpp : float
        um per px of the thumbnail, about 8.

    Returns
    -------
    bool array (h, w)
    """
    glass = find_glass(image)
    density, left_out = measure(image, mpp, glass)
    return tidy(density > density_threshold(density[~left_out], glass), left_out, mpp)


def measure(image: np.ndarray, mpp: float, glass: Glass) -> tuple[np.ndarray, np.ndarray]:
    """Measure how much light each pixel absorbs, and find the pixels to leave out.

    Parameters
    ----------
    image : uint8 array (h, w, 3)
        Thumbnail, RGB.
    mpp : float
        um per px of the thumbnail.
    glass : Glass
        Glass of the slide.

    Returns
    -------
    density : float32 array (h, w)
        Optical density relative to the glass, in the color that is absorbed most.
    left_out : bool array (h, w)
        Unscanned pixels and ink.
    """
    densities = optical_density(image, glass.color)
    # A few dark pixels inside tissue are pigment or keratin.
    left_out = remove_small_objects(glass.unscanned | pen(densities), max_size=int(MIN_HOLE / mpp**2))
    return np.clip(densities.max(axis=0), 0, DENSEST), left_out


def tidy(mask: np.ndarray, left_out: np.ndarray, mpp: float) -> np.ndarray:
    """Remove specks, holes, thin lines and the left-out pixels from a mask.

    Parameters
    ----------
    mask : bool array (h, w)
        Tissue.
    left_out : bool array (h, w)
        Unscanned pixels and ink.
    mpp : float
        um per px of the mask.

    Returns
    -------
    bool array (h, w)
    """
    mask = remove_small_objects(mask & ~left_out, max_size=int(MIN_OBJECT / mpp**2))
    mask = remove_small_holes(mask, max_size=int(MIN_HOLE / mpp**2))
    return opening(mask, disk(int(THIN / 2 / mpp))) & ~left_out


def density_threshold(density: np.ndarray, glass: Glass) -> float:
    """Li's threshold on optical density, within limits given by noise and plausible stains.

    Parameters
    ----------
    density : float array (n,)
        Optical densities of the scanned pixels.
    glass : Glass

    Returns
    -------
    float
    """
    low = max(DENSITY_RANGE[0], NOISE * glass.noise / (glass.color.mean() * np.log(10)))
    high = max(DENSITY_RANGE[1], low)
    sample = density[:: max(1, len(density) // _ENOUGH)]
    return float(np.clip(threshold_li(sample), low, high)) if sample.size and np.ptp(sample) else high


def optical_density(image, color):
    """log10 of the glass over the pixel, float32 (3, h, w): the absorption of each pixel in red, green and blue."""
    level = np.arange(256, dtype=np.float32)
    tables = np.log10((np.asarray(color, np.float32) + 1) / (level[:, None] + 1)).T
    return np.stack([table[image[..., channel]] for channel, table in enumerate(tables)])


def find_glass(image: np.ndarray) -> Glass:
    """Color and noise of the glass: the brightest of the frequent light colors.

    Parameters
    ----------
    image : uint8 array (h, w, 3)

    Returns
    -------
    Glass
        White if the slide has no light pixels, and so is full of tissue.
    """
    dark = image.max(axis=2) < DARK
    light = _light(image)
    padding = _white_padding(image, light)
    candidates = image[light & ~padding]
    if len(candidates) <= GLASS_SHARE * np.count_nonzero(~dark):
        return Glass(np.full(3, 255.0), 1.0, dark | padding)
    brightness = candidates.mean(axis=1, dtype=np.float32)
    frequency = gaussian_filter1d(np.bincount(brightness.astype(int), minlength=257).astype(float), 1.5)
    inner = frequency[1:-1]
    peaks = np.flatnonzero((inner > frequency[:-2]) & (inner >= frequency[2:]) & (inner > 0.05 * inner.max())) + 1
    center = peaks[-1] + 0.5 if len(peaks) else brightness.max()
    color = np.median(candidates[np.abs(brightness - center) <= 2.5], axis=0)
    # Tissue can only darken, so what is brighter than the peak shows the noise of the glass.
    brighter = brightness[brightness >= center] - center
    noise = np.sqrt(np.mean(brighter[brighter < 12] ** 2)) if len(brighter) > 50 else 1.0
    return Glass(color, float(noise), dark | padding)


def _light(image):
    """Pixels that could be glass, bool (h, w); single pixels amid tissue are only its palest spots."""
    red, green, blue = (image[..., channel].astype(np.int16) for channel in range(3))
    brightest, darkest = image.max(axis=2).astype(np.int16), image.min(axis=2)
    return binary_opening(
        (darkest >= GLASS_DARKEST)
        & (brightest >= GLASS_BRIGHTEST)
        & (brightest - darkest <= GLASS_SATURATION * brightest)
        & ((red + blue) / 2 - green <= GLASS_PINK * brightest)
    )


def _white_padding(image, light):
    """Pure white pixels that are padding, bool (h, w); none if the white is glass that saturates the camera.

    Padding does not touch the tissue, because a scanner leaves a rim of glass around it.
    """
    white = (image == 255).all(axis=2)
    glass = light & ~white
    if not white.any() or np.count_nonzero(glass) <= 0.01 * np.count_nonzero(~white):
        return np.zeros_like(white)
    darkest, brightest = image.min(axis=2), image.max(axis=2).astype(np.int16)
    stained = binary_opening((darkest < 190) & (brightest - darkest > 0.15 * brightest) & (brightest >= DARK))
    rim = binary_dilation(stained, iterations=6) & ~binary_dilation(stained, iterations=2) & light
    return white & (not rim.any() or white[rim].mean() < 0.5)


def pen(densities: np.ndarray) -> np.ndarray:
    """Find strokes of a felt-tip pen, which are dense and have hues that stains do not have.

    Parameters
    ----------
    densities : float array (3, h, w)
        Optical densities in red, green and blue.

    Returns
    -------
    bool array (h, w)
        Green, turquoise, blue, red, orange, yellow and black ink. Purple and brown ink look like stains.
    """
    red, green, blue = np.clip(densities, 0, None)
    total, densest = red + green + blue + 1e-6, np.maximum(np.maximum(red, green), blue)
    ink = (densest > 0.25) & (green < 0.2 * total) & (red > 0.4 * total)
    ink |= (densest > 0.25) & (blue > 0.62 * total)
    ink |= (red > 1.12 * green) & (((densest > 0.4) & (blue < 0.2 * red)) | ((densest > 0.55) & (blue < 0.5 * red)))
    ink |= (green > 0.5) & (blue > 0.75 * green) & (red < 0.13 * green)
    ink |= (densest > 0.5) & (np.minimum(np.minimum(red, green), blue) > 0.8 * densest)
    # Single pixels are dust and pigment; the rim of a stroke is a mixture with glass.
    return binary_dilation(binary_opening(ink), iterations=3)
