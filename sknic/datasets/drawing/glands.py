"""Glands: where they lie, the lumens they open, and the ring of nuclei around each."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sknic.datasets.drawing import nuclei


@dataclass(frozen=True)
class GlandStyle:
    """Sizes in px at 0.5 um/px: distance between glands, lumen radii, height of the epithelium, nuclei in it."""

    spacing: float
    lumen: tuple[float, float]
    epithelium: float
    share: float
    nucleus: str
    nucleus_step: float
    rows: int = 1
    goblets: bool = False


STYLES = {
    "tumour": GlandStyle(118, (7, 30), 26, 0.6, "columnar", 10.5, rows=2),
    "crypt": GlandStyle(104, (5, 9), 33, 0.97, "columnar", 12.5, goblets=True),
    "acinus": GlandStyle(128, (17, 36), 24, 0.97, "epithelial", 13.0),
}


def place(inside, step, style, random_state):
    """Glands (n, 3) as y, x and lumen radius in px, each wholly inside the tissue; `inside` is a map of `step` px."""
    shape = tuple(step * side for side in inside.shape)
    centers = nuclei.scatter(shape, style.spacing, random_state, jitter=0.12)
    centers = centers[random_state.uniform(size=len(centers)) < style.share]
    lumens = random_state.uniform(*style.lumen, len(centers)).astype(np.float32)
    angles = np.arange(8) * np.pi / 4
    compass = np.stack([np.sin(angles), np.cos(angles)], -1)
    around = centers[:, None] + compass * (lumens + style.epithelium)[:, None, None]
    rows, columns = np.moveaxis((around / step).astype(int), -1, 0)
    rows, columns = rows.clip(0, inside.shape[0] - 1), columns.clip(0, inside.shape[1] - 1)
    return np.column_stack([centers, lumens])[inside[rows, columns].all(1)]


def carve(haematoxylin, eosin, found, style, random_state):
    """Open the lumens in both planes, in place; goblet cells are lesser openings around the lumen."""
    for y, x, lumen in found.tolist():
        if style.goblets:
            _darken(haematoxylin, eosin, (y, x), lumen + style.epithelium)
            for angle in np.arange(0, 2 * np.pi, 0.62) + random_state.uniform(0, 0.6):
                reach = lumen + 0.45 * style.epithelium
                _open(
                    haematoxylin, eosin, y + reach * np.sin(angle), x + reach * np.cos(angle), 6.5, 0.75, random_state
                )
        _open(haematoxylin, eosin, y, x, lumen, 0.96, random_state)


def ring(found, style, random_state):
    """Places (n, 2) and directions (n,) of the nuclei around lumens: pointing inwards."""
    places, directions = [np.empty((0, 2))], [np.empty(0)]
    for y, x, lumen in found.tolist():
        for row in range(style.rows):
            radius = lumen + style.epithelium * (0.78 if style.goblets else 0.45 + 0.35 * row)
            angles = np.arange(0, 2 * np.pi, style.nucleus_step / radius) + random_state.uniform(0, 6.3)
            angles += random_state.normal(0, 0.06, len(angles))
            reach = radius + random_state.normal(0, 1.6, len(angles))
            places.append(np.column_stack([y + reach * np.sin(angles), x + reach * np.cos(angles)]))
            directions.append(angles)
    return np.concatenate(places), np.concatenate(directions)


def outside(places, found, style):
    """The places that no gland covers."""
    if not len(found) or not len(places):
        return places
    reach = found[:, 2] + style.epithelium * 1.12
    distance, nearest = cKDTree(found[:, :2]).query(places)
    return places[distance > reach[nearest]]


def clear(plane, places, radius):
    """Wash the dye out of small discs, in place: the bright zone around a mitotic figure."""
    for y, x in places.tolist():
        window, distance = _window(plane.shape, y, x, radius)
        plane[window] = plane[window] * np.clip((distance - radius) / 4 + 1, 0.25, 1)


def _open(haematoxylin, eosin, y, x, radius, depth, random_state):
    window, distance, angle = _window(eosin.shape, y, x, radius * 1.5 + 2, with_angle=True)
    bumps = sum(random_state.normal(0, 0.1) * np.cos(k * angle + random_state.uniform(0, 6.3)) for k in (2, 3, 4))
    left = 1 - depth * np.clip(radius * (1 + bumps) - distance + 0.5, 0, 1)
    for plane in (haematoxylin, eosin):
        plane[window] = plane[window] * left


def _darken(haematoxylin, eosin, center, radius):
    window, distance = _window(eosin.shape, *center, radius + 2)
    share = np.clip(radius - distance + 0.5, 0, 1)
    haematoxylin[window] = haematoxylin[window] + 16 * share
    eosin[window] = eosin[window] + 6 * share


def _window(shape, y, x, reach, with_angle=False):
    """Slices of the square around y, x inside the plane, and each px's distance (and angle) from there."""
    top, left = max(int(y - reach), 0), max(int(x - reach), 0)
    bottom, right = (max(min(int(at + reach) + 2, side), 0) for at, side in zip((y, x), shape))
    dy, dx = np.arange(top, bottom)[:, None] - y, np.arange(left, right)[None] - x
    window = slice(top, bottom), slice(left, right)
    return (window, np.hypot(dy, dx), np.arctan2(dy, dx)) if with_angle else (window, np.hypot(dy, dx))
