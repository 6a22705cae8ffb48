"""Stamps of nuclei and other small bodies at 0.5 um/px, and how they are scattered and pressed into a dye plane."""

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter

N_ANGLES = 12
_VARIANTS = 10
_SUPERSAMPLING = 3

# kind: (half length, half width in px, their spread, irregularity, darkness, chromatin clumps, pale center)
_BODIES = {
    "hepatocyte": (7.2, 6.6, 0.08, 0.03, 72, 0.35, 0.45),
    "tumour": (9.6, 6.8, 0.17, 0.07, 108, 0.35, 0.18),
    "columnar": (10.5, 4.6, 0.10, 0.05, 96, 0.25, 0.12),
    "spindle": (11.0, 2.7, 0.18, 0.05, 92, 0.20, 0.05),
    "smooth muscle": (15.0, 2.6, 0.12, 0.04, 84, 0.15, 0.05),
    "lymphocyte": (5.3, 5.0, 0.08, 0.04, 138, 0.30, 0.0),
    "epithelial": (6.8, 6.0, 0.08, 0.04, 84, 0.25, 0.30),
    "pyknotic": (4.2, 3.8, 0.20, 0.10, 190, 0.05, 0.0),
    "dust": (2.0, 1.6, 0.40, 0.20, 120, 0.10, 0.0),
}
KINDS = (*_BODIES, "mitosis")


@cache
def stamps(kind):
    """Drawings of one kind, uint8 (N_ANGLES, variants, side, side): amount of dye; turned by pi / N_ANGLES each."""
    rng = np.random.RandomState(500 + KINDS.index(kind))
    draw = _mitosis if kind == "mitosis" else _body
    drawings = [[draw(kind, np.pi * k / N_ANGLES, rng) for _ in range(_VARIANTS)] for k in range(N_ANGLES)]
    return np.array(drawings)


def scatter(shape, spacing, random_state, jitter=0.32):
    """Positions (n, 2) float32, y and x, of a shaken honeycomb over (height, width); spacing in px."""
    height, width = shape
    row_step = spacing * 0.87
    n_rows, n_columns = int(height / row_step) + 1, int(width / spacing) + 1
    y, x = np.mgrid[:n_rows, :n_columns].astype(np.float32)
    x += 0.5 * (y % 2)
    places = np.stack([y.ravel() * row_step, x.ravel() * spacing], 1)
    places += random_state.uniform(-jitter, jitter, places.shape).astype(np.float32) * spacing
    return places[((places >= 0) & (places < shape)).all(1)]


def press(plane, kind, places, angles, random_state):
    """Press stamps of one kind into a plane, in place; where two bodies meet the darker shows.

    Parameters
    ----------
    plane : uint8 array (height, width)
    kind : str
        One of `KINDS`.
    places : array (n, 2)
        Centers y, x in px; a stamp that would pass the edge is moved inside.
    angles : array (n,) or None
        Direction of the long axis in radians; None draws it.
    random_state : RandomState
    """
    if len(places) == 0:
        return
    drawings = stamps(kind)
    side = drawings.shape[-1]
    if angles is None:
        angles = random_state.uniform(0, np.pi, len(places))
    turns = np.rint(np.asarray(angles) / np.pi * N_ANGLES).astype(int) % N_ANGLES
    variants = random_state.randint(_VARIANTS, size=len(places))
    corners = np.clip(np.rint(places).astype(int) - side // 2, 0, np.array(plane.shape) - side)
    for (y, x), turn, variant in zip(corners.tolist(), turns.tolist(), variants.tolist()):
        window = plane[y : y + side, x : x + side]
        np.maximum(window, drawings[turn, variant], out=window)


def _body(kind, angle, rng):
    length, width, spread, irregularity, darkness, clumps, pale = _BODIES[kind]
    side = 2 * int(length * (1 + 2.2 * spread) + 3) + 1
    length, width = length * np.exp(rng.normal(0, spread)), width * np.exp(rng.normal(0, spread))
    radius, theta, fine = _polar(side, angle, length, width)
    edge = 1 + irregularity * sum(rng.normal() * np.cos(k * theta + rng.uniform(0, 6.3)) for k in (2, 3, 4))
    inside = np.clip((edge - radius) * min(length, width) / 1.3 + 0.5, 0, 1)
    chromatin = gaussian_filter(rng.normal(size=fine), 1.1 * _SUPERSAMPLING)
    tone = 1 + clumps * np.clip(chromatin / chromatin.std(), -1.5, 2) / 2 - pale * np.clip(1 - radius**2, 0, 1)
    if pale > 0.3:
        tone += 0.7 * np.exp(-((radius / 0.24) ** 2))  # a nucleolus
    return _shrunk(inside * tone * darkness * np.exp(rng.normal(0, 0.12)))


def _mitosis(_, angle, rng):
    """Metaphase plate, anaphase pair or prometaphase ring, dark and hairy."""
    side = 33
    stage = rng.randint(4)
    length, width = rng.uniform(9, 11.5), rng.uniform(2.6, 3.6)
    y, x = _rotated(side, angle)
    hair = gaussian_filter(rng.normal(size=y.shape), 0.8 * _SUPERSAMPLING)
    hair *= 0.45 / hair.std()
    if stage == 3:  # prometaphase: a clumped ring
        field = 1 - np.abs(np.hypot(y, x) - 5.0) / 3.6
    else:
        gaps = (-5.5, 5.5) if stage == 2 else (0.0,)  # anaphase: two plates
        bends = [y - gap - 0.02 * np.sign(gap) * x**2 for gap in gaps]
        field = np.max([1 - np.hypot(bend / width, x / length) for bend in bends], axis=0)
    return _shrunk(np.clip((field + 0.35 * hair * (field > -0.4)) * 4 + 0.5, 0, 1) * 205)


def _polar(side, angle, length, width):
    y, x = _rotated(side, angle)
    return np.hypot(y / width, x / length), np.arctan2(y / width, x / length), y.shape


def _rotated(side, angle):
    """Coordinates of the supersampled stamp, px, the long axis along x."""
    axis = (np.arange(side * _SUPERSAMPLING) + 0.5) / _SUPERSAMPLING - side / 2
    y, x = axis[:, None], axis[None]
    return y * np.cos(angle) - x * np.sin(angle), x * np.cos(angle) + y * np.sin(angle)


def _shrunk(drawing):
    side = drawing.shape[0] // _SUPERSAMPLING
    small = drawing.reshape(side, _SUPERSAMPLING, side, _SUPERSAMPLING).mean((1, 3))
    return np.clip(gaussian_filter(small, 0.55), 0, 255).astype(np.uint8)
