"""What each tissue is made of, and how a map of tissues becomes planes of haematoxylin and eosin."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from sknic.datasets.drawing import glands, nuclei, textures
from sknic.datasets.drawing.stains import OD_STEPS

MAP_STEP = 8  # px of the slide per px of the tissue map


@dataclass(frozen=True)
class Tissue:
    """Recipe of one tissue; amounts of dye are optical densities.

    `nuclei` lists (kind, spacing in px, share of the places taken, "along" the fibres or "any" direction).
    """

    eosin: float = 0.0
    haematoxylin: float = 0.0
    fibres: float = 0.0
    granules: float = 0.0
    sinusoids: float = 0.0
    fat: float = 0.0
    glands: str | None = None
    nuclei: tuple = ()


TISSUES = {
    "glass": Tissue(),
    "stroma": Tissue(0.62, 0.06, fibres=0.20, nuclei=(("spindle", 40, 0.75, "along"), ("lymphocyte", 90, 0.35, "any"))),
    "tumour": Tissue(
        0.52, 0.34, granules=0.06, glands="tumour", nuclei=(("tumour", 22, 0.93, "any"), ("pyknotic", 120, 0.4, "any"))
    ),
    "proliferating": Tissue(
        0.46, 0.44, granules=0.06, nuclei=(("tumour", 18.5, 0.97, "any"), ("mitosis", 62, 0.75, "any"))
    ),
    "liver": Tissue(
        0.74, 0.12, granules=0.09, sinusoids=0.9, nuclei=(("hepatocyte", 37, 0.85, "any"), ("spindle", 95, 0.5, "any"))
    ),
    "lymphocytes": Tissue(0.26, 0.22, granules=0.05, nuclei=(("lymphocyte", 13.5, 0.95, "any"),)),
    "mucosa": Tissue(
        0.42, 0.12, fibres=0.10, glands="crypt", nuclei=(("spindle", 42, 0.6, "along"), ("lymphocyte", 40, 0.6, "any"))
    ),
    "epithelium": Tissue(0.50, 0.22, granules=0.05, glands="acinus", nuclei=(("epithelial", 24, 0.9, "any"),)),
    "muscle": Tissue(0.92, 0.08, fibres=0.11, nuclei=(("smooth muscle", 46, 0.8, "along"),)),
    "adipose": Tissue(0.02, 0.0, fat=0.55),
    "mucus": Tissue(0.05, 0.13, fibres=0.07, nuclei=(("pyknotic", 130, 0.4, "any"),)),
    "debris": Tissue(0.72, 0.14, granules=0.16, nuclei=(("dust", 11, 0.6, "any"), ("pyknotic", 38, 0.5, "any"))),
}
NAMES = tuple(TISSUES)
_AMOUNTS = ("haematoxylin", "eosin", "fibres", "granules", "sinusoids", "fat")
_BLOCK = 32  # map px
_PLATE = 0.12  # nuclei of the liver stay where the sinusoid texture is below this


def paint(tissue_map, random_state):
    """Draw the tissue of a map.

    Parameters
    ----------
    tissue_map : uint8 array (rows, columns)
        Index into `NAMES` for each square of `MAP_STEP` px (4 um).
    random_state : RandomState

    Returns
    -------
    haematoxylin, eosin : uint8 array (rows * MAP_STEP, columns * MAP_STEP)
        Amounts of dye, `OD_STEPS` to an optical density of 1.
    """
    painter = _Painter(tissue_map, random_state)
    painter.lay_ground()
    painter.open_glands()
    painter.sow_nuclei()
    return painter.haematoxylin, painter.eosin


class _Painter:
    """The planes while they are painted, and what the strokes need to know of each other."""

    def __init__(self, tissue_map, random_state):
        self.map, self.rng = tissue_map, random_state
        self.shape = tuple(MAP_STEP * side for side in tissue_map.shape)
        self.present = [NAMES[index] for index in np.unique(tissue_map)]
        self.direction = _fibre_direction(tissue_map, random_state)
        self.offset = random_state.randint(textures.SIDE, size=2)
        self.glands = []

    def lay_ground(self):
        """Cytoplasm, fibres, granules, sinusoids and fat, block by block so that the work stays in the cache."""
        self.haematoxylin, self.eosin = np.zeros((2, *self.shape), np.uint8)
        uneven = 1 + 0.08 * textures.smooth_noise(self.map.shape, 6, self.rng)
        amounts = {
            name: self._spread(name) for name in _AMOUNTS if any(getattr(TISSUES[t], name) for t in self.present)
        }
        for dye in {"haematoxylin", "eosin"} & set(amounts):
            amounts[dye] = amounts[dye] * uneven
        for top in range(0, self.map.shape[0], _BLOCK):
            for left in range(0, self.map.shape[1], _BLOCK):
                block = slice(top, top + _BLOCK), slice(left, left + _BLOCK)
                if self.map[max(top - 2, 0) : top + _BLOCK + 2, max(left - 2, 0) : left + _BLOCK + 2].any():
                    self._lay_block(block, amounts)

    def _lay_block(self, block, amounts):
        box = [(part.start, min(part.stop, side)) for part, side in zip(block, self.map.shape)]
        window = tuple(slice(start * MAP_STEP, stop * MAP_STEP) for start, stop in box)
        rows, columns = (
            (np.arange(part.start, part.stop) + shift) % textures.SIDE for part, shift in zip(window, self.offset)
        )
        here = {name: amount for name, amount in amounts.items() if amount[block].any()}

        def grown(plane):
            return _grown(plane, box)

        haematoxylin, eosin = (grown(amounts[dye]) if dye in here else 0.0 for dye in ("haematoxylin", "eosin"))
        relief = 0.0
        if "fibres" in here:
            relief = grown(amounts["fibres"]) * self._fibres(block, box, rows, columns)
        if "granules" in here:
            relief = relief + grown(amounts["granules"]) * textures.granules()[rows][:, columns]
        if "fat" in here:
            eosin = eosin + grown(amounts["fat"]) * textures.fat()[rows][:, columns]
        solid = 1.0
        if "sinusoids" in here:
            solid = 1 - grown(amounts["sinusoids"]) * textures.sinusoids()[rows][:, columns]
        self.eosin[window] = np.clip((eosin + relief) * solid * OD_STEPS, 0, 255)
        self.haematoxylin[window] = np.clip((haematoxylin + relief / 3) * solid * OD_STEPS, 0, 255)

    def _fibres(self, block, box, rows, columns):
        """Fibres in the local direction: the two nearest of the drawn directions, blended."""
        position = self.direction * (textures.N_DIRECTIONS / np.pi)
        woven, power = 0.0, 1e-6
        for turn in range(textures.N_DIRECTIONS):
            away = np.abs(position - turn)
            share = np.clip(1 - np.minimum(away, textures.N_DIRECTIONS - away), 0, 1).astype(np.float32)
            if share[block].any():
                share = _grown(share, box)
                woven = woven + share * textures.fibres()[turn][rows][:, columns]
                power = power + share * share
        return woven / np.sqrt(power)

    def _spread(self, name):
        """An amount that the tissues have, on the map, with soft seams."""
        values = np.array([getattr(TISSUES[tissue], name) for tissue in NAMES], np.float32)
        return gaussian_filter(values[self.map], 0.7)

    def open_glands(self):
        """Lumens, crypts and acini; remembers them, because nuclei stand around them."""
        for name in self.present:
            if TISSUES[name].glands:
                style = glands.STYLES[TISSUES[name].glands]
                found = glands.place(self.map == NAMES.index(name), MAP_STEP, style, self.rng)
                glands.carve(self.haematoxylin, self.eosin, found, style, self.rng)
                self.glands.append((found, style))

    def sow_nuclei(self):
        """All nuclei; those of a gland in its ring, the others clear of it."""
        for found, style in self.glands:
            places, angles = glands.ring(found, style, self.rng)
            nuclei.press(self.haematoxylin, style.nucleus, places, angles, self.rng)
        for name in self.present:
            for kind, spacing, share, direction in TISSUES[name].nuclei:
                places = self._places(name, spacing, share)
                angles = self._angles(places) if direction == "along" else None
                if kind == "mitosis":
                    glands.clear(self.haematoxylin, places, radius=13)
                nuclei.press(self.haematoxylin, kind, places, angles, self.rng)

    def _places(self, name, spacing, share):
        places = nuclei.scatter(self.shape, spacing, self.rng)
        places = places[self._at(self.map, places) == NAMES.index(name)]
        places = places[self.rng.uniform(size=len(places)) < share]
        if TISSUES[name].sinusoids:
            rows, columns = (places.astype(int) + self.offset).T % textures.SIDE
            places = places[textures.sinusoids()[rows, columns] < _PLATE]
        for found, style in self.glands:
            places = glands.outside(places, found, style)
        return places

    def _angles(self, places):
        wobble = self.rng.normal(0, 0.15, len(places))
        return self._at(self.direction, places) + wobble

    def _at(self, field, places):
        rows, columns = (places / MAP_STEP).astype(int).T
        return field[rows, columns]


def _grown(plane, box):
    """A part of a map's plane at the slide's px, float32; box is ((top, bottom), (left, right)) in map px."""
    (top, bottom), (left, right) = box
    size = (right - left) * MAP_STEP, (bottom - top) * MAP_STEP
    image = Image.fromarray(np.asarray(plane, np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom)))


def _fibre_direction(tissue_map, random_state):
    """Direction of the fibres in radians, float32 (rows, columns): around tumour where it is near, else at random."""
    tumour = np.isin(tissue_map, [NAMES.index(name) for name in ("tumour", "proliferating")])
    slope_y, slope_x = np.gradient(gaussian_filter(tumour.astype(np.float32), 14))
    across = 2 * np.arctan2(slope_y, slope_x) + np.pi
    pull = np.hypot(slope_y, slope_x) * 400
    twice_cos = pull * np.cos(across) + textures.smooth_noise(tissue_map.shape, 14, random_state)
    twice_sin = pull * np.sin(across) + textures.smooth_noise(tissue_map.shape, 14, random_state)
    return (np.arctan2(twice_sin, twice_cos) / 2) % np.pi
