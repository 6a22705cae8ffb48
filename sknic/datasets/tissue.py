"""What each tissue is made of, and how a map of tissues becomes planes of haematoxylin and eosin."""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from sknic.datasets import glands, nuclei, textures
from sknic.datasets.stains import OD_STEPS

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
    sinusoids: bool = False
    fat: bool = False
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
        0.74, 0.12, granules=0.09, sinusoids=True, nuclei=(("hepatocyte", 37, 0.85, "any"), ("spindle", 95, 0.5, "any"))
    ),
    "lymphocytes": Tissue(0.26, 0.22, granules=0.05, nuclei=(("lymphocyte", 13.5, 0.95, "any"),)),
    "mucosa": Tissue(
        0.42, 0.12, fibres=0.10, glands="crypt", nuclei=(("spindle", 42, 0.6, "along"), ("lymphocyte", 40, 0.6, "any"))
    ),
    "epithelium": Tissue(0.50, 0.22, granules=0.05, glands="acinus", nuclei=(("epithelial", 24, 0.9, "any"),)),
    "muscle": Tissue(0.92, 0.08, fibres=0.11, nuclei=(("smooth muscle", 46, 0.8, "along"),)),
    "adipose": Tissue(0.02, 0.0, fat=True),
    "mucus": Tissue(0.05, 0.13, fibres=0.07, nuclei=(("pyknotic", 130, 0.4, "any"),)),
    "debris": Tissue(0.72, 0.14, granules=0.16, nuclei=(("dust", 11, 0.6, "any"), ("pyknotic", 38, 0.5, "any"))),
}
NAMES = tuple(TISSUES)
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
    painter.weave()
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
        """Cytoplasm and ground substance, soft at the seams, a little uneven over the slide."""
        self.haematoxylin = self._smooth_plane("haematoxylin")
        self.eosin = self._smooth_plane("eosin")

    def weave(self):
        """Fibres, granules, sinusoids and fat."""
        texture = {"granules": textures.granules, "sinusoids": textures.sinusoids, "fat": textures.fat}
        if any(TISSUES[name].fibres for name in self.present):
            self._add(self._fibre_texture(), "fibres", OD_STEPS)
        if any(TISSUES[name].granules for name in self.present):
            self._add(self._tiled(texture["granules"]()), "granules", OD_STEPS)
        if "liver" in self.present:
            open_share = 1 - 0.92 * self._tiled(texture["sinusoids"]()) * self._where("liver")
            self.eosin = (self.eosin * open_share).astype(np.uint8)
            self.haematoxylin = (self.haematoxylin * open_share).astype(np.uint8)
        if "adipose" in self.present:
            membranes = self._tiled(texture["fat"]()) * self._where("adipose") * (0.55 * OD_STEPS)
            self.eosin = np.maximum(self.eosin, membranes.astype(np.uint8))

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

    def _fibre_texture(self):
        """Fibres in the local direction, float32 over the slide."""
        turns = np.rint(self.direction / np.pi * textures.N_DIRECTIONS).astype(np.intp) % textures.N_DIRECTIONS
        woven = np.empty(self.shape, np.float32)
        turns = turns.repeat(MAP_STEP, 0).repeat(MAP_STEP, 1)
        rows = (np.arange(self.shape[0]) + self.offset[0]) % textures.SIDE
        columns = (np.arange(self.shape[1]) + self.offset[1]) % textures.SIDE
        for turn in np.unique(turns):
            here = turns == turn
            layer = textures.fibres()[turn][rows][:, columns]
            np.copyto(woven, layer, where=here)
        return woven

    def _add(self, texture, amount, scale):
        """Modulate the eosin by a texture of spread 1; a third of it shows in the haematoxylin."""
        weights = self._upsampled([getattr(TISSUES[name], amount) * scale for name in NAMES])
        change = texture * weights
        self.eosin = np.clip(self.eosin + change, 0, 255).astype(np.uint8)
        self.haematoxylin = np.clip(self.haematoxylin + change / 3, 0, 255).astype(np.uint8)

    def _smooth_plane(self, dye):
        uneven = 1 + 0.08 * textures.smooth_noise(self.map.shape, 6, self.rng)
        return self._upsampled([getattr(TISSUES[name], dye) * OD_STEPS for name in NAMES], uneven).astype(np.uint8)

    def _where(self, name):
        return self._upsampled([float(other == name) for other in NAMES])

    def _upsampled(self, values, factor=1.0):
        """A value for each tissue, spread over the slide with soft seams, float32."""
        small = gaussian_filter(np.asarray(values, np.float32)[self.map], 0.7) * factor
        return np.asarray(Image.fromarray(np.float32(small)).resize(self.shape[::-1], Image.Resampling.BILINEAR))

    def _tiled(self, texture):
        return textures.tiled(texture, self.shape, self.offset)

    def _at(self, field, places):
        rows, columns = (places / MAP_STEP).astype(int).T
        return field[rows, columns]


def _fibre_direction(tissue_map, random_state):
    """Direction of the fibres in radians, float32 (rows, columns): around tumour where it is near, else at random."""
    tumour = np.isin(tissue_map, [NAMES.index(name) for name in ("tumour", "proliferating")])
    slope_y, slope_x = np.gradient(gaussian_filter(tumour.astype(np.float32), 14))
    across = 2 * np.arctan2(slope_y, slope_x) + np.pi
    pull = np.hypot(slope_y, slope_x) * 400
    twice_cos = pull * np.cos(across) + textures.smooth_noise(tissue_map.shape, 14, random_state)
    twice_sin = pull * np.sin(across) + textures.smooth_noise(tissue_map.shape, 14, random_state)
    return (np.arctan2(twice_sin, twice_cos) / 2) % np.pi
