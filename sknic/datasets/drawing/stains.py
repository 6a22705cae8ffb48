"""Haematoxylin and eosin: from amounts of dye to pixels by Beer and Lambert, and the scanners that differ in it."""

from dataclasses import dataclass

import numpy as np

OD_STEPS = 80  # dye planes are uint8: 80 steps are an optical density (natural logarithm) of 1 along the dye's vector

_HAEMATOXYLIN = (0.62, 0.70, 0.35)
_EOSIN = (0.17, 0.81, 0.52)
_FIRST_SCANNER = 7300
_NOISE_SIDE = 256


@dataclass(frozen=True)
class Scanner:
    """How one center's slides look: absorbance of the dyes in R, G, B, their strengths, glass and noise."""

    name: str
    haematoxylin: tuple[float, float, float] = _HAEMATOXYLIN
    eosin: tuple[float, float, float] = _EOSIN
    haematoxylin_strength: float = 1.0
    eosin_strength: float = 1.0
    glass: tuple[float, float, float] = (249.0, 248.0, 250.0)
    noise: float = 1.5

    def table(self):
        """RGB of every pair of dye amounts, uint8 (256 * 256, 3), row ``256 * haematoxylin + eosin``."""
        steps = np.arange(256)[:, None] / OD_STEPS
        blue = np.exp(-steps * self.haematoxylin_strength * _unit(self.haematoxylin))
        pink = np.exp(-steps * self.eosin_strength * _unit(self.eosin))
        colors = np.array(self.glass) * blue[:, None] * pink[None]
        return np.rint(colors).astype(np.uint8).reshape(-1, 3)


def scanner(index):
    """Scanner number `index`: the same one in every cohort and patch set; number 0 is the nominal one."""
    if index == 0:
        return Scanner("center 0")
    rng = np.random.RandomState(_FIRST_SCANNER + index)
    return Scanner(
        f"center {index}",
        haematoxylin=tuple(np.array(_HAEMATOXYLIN) + rng.uniform(-0.06, 0.06, 3)),
        eosin=tuple(np.array(_EOSIN) + rng.uniform(-0.06, 0.06, 3)),
        haematoxylin_strength=rng.uniform(0.75, 1.3),
        eosin_strength=rng.uniform(0.7, 1.35),
        glass=tuple(rng.uniform(246, 253, 3)),
        noise=rng.uniform(1, 3),
    )


class Film:
    """Turns dye planes into the pixels that one scanner would give.

    Parameters
    ----------
    scanner : Scanner
    random_state : RandomState
        Draws the sensor's noise: one tile that repeats, since drawing every pixel would cost more than the slide.
    """

    def __init__(self, scanner, random_state):
        self._colors = scanner.table().astype(np.int16)
        self._noise = np.rint(random_state.normal(0, scanner.noise, (_NOISE_SIDE, _NOISE_SIDE, 3))).astype(np.int16)

    def develop(self, haematoxylin, eosin):
        """Pixels, uint8 (height, width, 3), RGB, of amounts of dye, uint8 (height, width)."""
        index = haematoxylin.astype(np.uint16)
        index <<= 8
        index |= eosin
        pixels = self._colors.take(index, axis=0)
        for x in range(0, pixels.shape[1], _NOISE_SIDE):
            for y in range(0, pixels.shape[0], _NOISE_SIDE):
                part = pixels[y : y + _NOISE_SIDE, x : x + _NOISE_SIDE]
                part += self._noise[: part.shape[0], : part.shape[1]]
        return np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)


def _unit(vector):
    return np.array(vector) / np.linalg.norm(vector)
