"""Seamless textures of tissue at 0.5 um/px: fibres, granules, sinusoids, fat; drawn once a process, then tiled."""

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

SIDE = 768
N_DIRECTIONS = 8


@cache
def fibres():
    """Wavy collagen in `N_DIRECTIONS` directions, float32 (N_DIRECTIONS, SIDE, SIDE), mean 0, spread 1."""
    return np.stack([_wavy_fibres(np.pi * k / N_DIRECTIONS, seed=k) for k in range(N_DIRECTIONS)])


@cache
def granules():
    """Fine cytoplasm, float32 (SIDE, SIDE), mean 0, spread 1."""
    fine = _filtered_noise(11, lambda y, x: _band(np.hypot(y, x), 5, 5))
    coarse = _filtered_noise(12, lambda y, x: _band(np.hypot(y, x), 22, 14))
    return _standardized(0.8 * fine + 0.6 * coarse)


@cache
def sinusoids():
    """Slits between plates of liver cells, float32 (SIDE, SIDE): 1 in the middle of a slit, 0 in the plates."""
    field = _filtered_noise(13, lambda y, x: _band(np.hypot(y, x), 62, 30))
    return np.exp(-((field / 0.16) ** 2)).astype(np.float32)


@cache
def fat():
    """Membranes of fat cells, float32 (SIDE, SIDE): 1 on a membrane, 0 inside the cells."""
    rng = np.random.RandomState(14)
    step = 92
    n = SIDE // step
    pitch = SIDE / n
    centers = (np.stack(np.mgrid[:n, :n], -1).reshape(-1, 2) + rng.uniform(0.1, 0.9, (n * n, 2))) * pitch
    points = np.stack(np.mgrid[0:SIDE:2, 0:SIDE:2], -1).reshape(-1, 2)
    nearest, _ = cKDTree(centers % SIDE, boxsize=SIDE).query(points, k=2)
    gap = (nearest[:, 1] - nearest[:, 0]).reshape(SIDE // 2, SIDE // 2)
    membrane = np.exp(-((gap / 5.0) ** 2))
    return np.clip(map_coordinates(membrane, np.mgrid[:SIDE, :SIDE] / 2, order=1, mode="grid-wrap"), 0, 1).astype(
        np.float32
    )


def smooth_noise(shape, sigma, random_state):
    """Smooth random field, float32 of the shape asked for, mean 0, spread 1; sigma in the field's own px."""
    field = gaussian_filter(random_state.normal(size=shape).astype(np.float32), sigma, mode="reflect")
    return _standardized(field)


def _wavy_fibres(angle, seed):
    along, across = np.cos(angle), np.sin(angle)

    def anisotropic(y, x):
        u, v = x * along + y * across, y * along - x * across
        return np.exp(-0.5 * ((u / 0.006) ** 2 + ((np.abs(v) - 0.07) / 0.045) ** 2))

    straight = _filtered_noise(seed + 20, anisotropic)
    bundles = _filtered_noise(seed + 60, lambda y, x: np.exp(-0.5 * ((x * along + y * across) / 0.008) ** 2))
    bundles = gaussian_filter(bundles, 5, mode="wrap")
    waves = 4 * _filtered_noise(seed + 40, lambda y, x: _band(np.hypot(y, x), 80, 40))
    y, x = np.mgrid[:SIDE, :SIDE]
    wavy = map_coordinates(straight, [y + waves * along, x - waves * across], order=1, mode="grid-wrap")
    return _standardized(wavy + 0.8 * _standardized(bundles))


def _filtered_noise(seed, response):
    """White noise through a filter given as a function of frequency (cycles per px); seamless, mean 0, spread 1."""
    noise = np.random.RandomState(seed).normal(size=(SIDE, SIDE))
    frequency = np.fft.fftfreq(SIDE)
    weights = response(frequency[:, None], frequency[None])
    return _standardized(np.fft.ifft2(np.fft.fft2(noise) * weights).real)


def _band(radius, wavelength, width):
    """Band-pass around a wavelength in px; width is the spread in px of wavelength."""
    return np.exp(-0.5 * ((radius - 1 / wavelength) * wavelength**2 / width) ** 2)


def _standardized(field):
    field = field - field.mean()
    return (field / field.std()).astype(np.float32)
