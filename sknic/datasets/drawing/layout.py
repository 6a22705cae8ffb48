"""Where tissue is on a slide, cell by cell: nests of tumour, a rim of stroma or the same stroma elsewhere."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter

PATTERNS = ("replacement", "desmoplastic")
BACKGROUND, NORMAL, STROMA, TUMOUR, HOT = range(5)
RIM_CELLS = 3
HOTSPOT_SIGMA_CELLS = 2.0
_ATTEMPTS = 200


@dataclass(frozen=True)
class TissueLayout:
    """The cells of one slide: uint8 (rows, columns) of BACKGROUND, NORMAL, STROMA, TUMOUR, HOT."""

    cells: np.ndarray

    @property
    def tumour_fraction(self):
        """Share of the tissue's cells that are tumour, hot ones included."""
        return float((self.cells >= TUMOUR).sum() / (self.cells > BACKGROUND).sum())

    @property
    def hot_fraction(self):
        """Share of the tissue's cells that are hot, wherever they lie."""
        return float((self.cells == HOT).sum() / (self.cells > BACKGROUND).sum())

    @property
    def stroma_fraction(self):
        """Share of the tissue's cells that are stroma."""
        return float((self.cells == STROMA).sum() / (self.cells > BACKGROUND).sum())

    @property
    def hotspot(self):
        """Density of hot cells where they are densest, 0 to 1, in a Gaussian window of 2 cells (0.13 mm)."""
        hot = (self.cells == HOT).astype(np.float64)
        return float(gaussian_filter(hot, HOTSPOT_SIGMA_CELLS, mode="constant").max())


def draw_layout(shape, pattern, tumour_fraction, hot_share, clustering, random_state):
    """Draw one slide's layout.

    Everything except the position of the stroma is drawn before the pattern is used, and both patterns get the same
    number of stroma cells: as many as a rim of `RIM_CELLS` cells around this tumour has. Amounts of tissue therefore
    cannot tell the patterns apart; only the arrangement can.

    Parameters
    ----------
    shape : (rows, columns)
        Cells of the slide; at least 20 each.
    pattern : {"replacement", "desmoplastic"}
        ``"desmoplastic"``: stroma is the rim around the tumour. ``"replacement"``: the tumour touches normal tissue,
        the stroma lies in patches at least `RIM_CELLS` + 1 cells away.
    tumour_fraction : float
        Share of tissue that is tumour, about 0.08 to 0.3; made smaller where rim and patches do not both find room.
    hot_share : float
        Share of the tumour's cells that are hot.
    clustering : float
        Share of the hot cells that lie together; the others are strewn over the tumour.
    random_state : RandomState

    Returns
    -------
    TissueLayout
    """
    if pattern not in PATTERNS:
        raise ValueError(f"pattern={pattern!r}: expected one of {PATTERNS}")
    if min(shape) < 20:
        raise ValueError(f"shape={tuple(shape)}: expected at least 20 x 20 cells, so that a {RIM_CELLS}-cell rim fits")
    for attempt in range(_ATTEMPTS):
        tissue = _tissue(shape, random_state)
        tumour = _nests(tissue, tumour_fraction * 0.97**attempt, random_state)
        distance = distance_transform_edt(~tumour)
        rim = tissue & (distance > 0) & (distance <= RIM_CELLS)
        far = tissue & (distance > RIM_CELLS + 1)
        if far.sum() >= 1.1 * rim.sum():
            break
    else:
        raise ValueError(f"tumour_fraction={tumour_fraction}: no room for a rim on {tuple(shape)} cells; expected less")
    inland = np.minimum(distance_transform_edt(tissue), 2)  # rims seldom touch the glass, so patches should not either
    patches = top(_blobs(shape, random_state) + 3 * inland, far, rim.sum())
    hot = _hot(tumour, round(hot_share * tumour.sum()), clustering, random_state)
    cells = np.full(shape, BACKGROUND, np.uint8)
    cells[tissue] = NORMAL
    cells[rim if pattern == "desmoplastic" else patches] = STROMA
    cells[tumour] = TUMOUR
    cells[hot] = HOT
    return TissueLayout(cells)


def _tissue(shape, rng):
    """One piece of tissue inside a white margin."""
    y, x = (
        np.linspace(-1, 1, side)[:, None] if axis == 0 else np.linspace(-1, 1, side) for axis, side in enumerate(shape)
    )
    roundness = (np.abs(y) ** 2.6 + np.abs(x) ** 2.6) ** (1 / 2.6)
    inside = roundness + 0.07 * _blobs(shape, rng, scale=0.09) < 0.90 + rng.uniform(-0.03, 0.02)
    inside[[0, -1]] = inside[:, [0, -1]] = False
    return inside


def _nests(tissue, fraction, rng):
    """One to three rounded nests of tumour, clear of the tissue's edge."""
    shape = tissue.shape
    allowed = binary_erosion(tissue, iterations=RIM_CELLS + 1)
    n_nests = 1 + rng.randint(1 if min(shape) < 32 else 3)
    places = np.argwhere(binary_erosion(tissue, iterations=RIM_CELLS + 2))
    centers = places[rng.choice(len(places), n_nests, replace=False)]
    sizes = rng.uniform(0.7, 1.3, n_nests)
    y, x = np.indices(shape)
    reach = np.min([np.hypot(y - cy, x - cx) / size for (cy, cx), size in zip(centers, sizes)], axis=0)
    return top(-reach + 0.05 * min(shape) * _blobs(shape, rng, scale=0.05), allowed, round(fraction * tissue.sum()))


def _hot(tumour, n_hot, clustering, rng):
    places = np.argwhere(tumour)
    center = places[rng.randint(len(places))]
    together = round(clustering * n_hot)
    order = np.argsort(np.hypot(*(places - center).T), kind="stable")
    strewn = together + rng.permutation(len(places) - together)[: n_hot - together]
    hot = np.zeros_like(tumour)
    hot[tuple(places[order[np.r_[:together, strewn]]].T)] = True
    return hot


def _blobs(shape, rng, scale=0.07):
    """Smooth field of spread 1; structures are about 3 * scale of the slide wide."""
    field = gaussian_filter(rng.normal(size=shape), max(scale * min(shape), 1.6))
    return (field - field.mean()) / field.std()


def top(field, allowed, n):
    """The n allowed cells where the field is highest."""
    places = np.flatnonzero(allowed)
    chosen = np.zeros(field.shape, bool)
    chosen.flat[places[np.argsort(-field.flat[places], kind="stable")[:n]]] = True
    return chosen
