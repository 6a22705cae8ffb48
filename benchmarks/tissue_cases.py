"""Drawn thumbnails of what scanners and laboratories do to slides: casts, glass, stains, ink, shading."""

import io

import numpy as np
from PIL import Image

SIDE, MPP = 512, 8.0
_Y, _X = np.mgrid[:SIDE, :SIDE]
DISC = (_X - 180) ** 2 + (_Y - 205) ** 2 < 113**2
_STROKE = (abs(_Y - 435) < 7.5) & (_X > 50) & (_X < 460)
_GLASS, _HE, _FAINT = (243, 243, 244), (190, 120, 175), (228, 215, 226)


def draw(*, glass=_GLASS, tissue=_HE, dots=None, ink=None, padding=None, ring=None, shade=0, noise=2):
    """A thumbnail at 8 um/px, uint8 (512, 512, 3): a disc of tissue on glass and what disturbs it, through a JPEG."""
    rng = np.random.default_rng(0)
    image = np.ones((SIDE, SIDE, 3)) * glass
    if tissue is not None:
        image[DISC] = np.array(tissue) * np.array(glass) / np.array(_GLASS)
    if dots is not None:
        image[DISC & ((_X // 8 + _Y // 8) % 9 == 0)] = dots
    if ink is not None:
        image[_STROKE] = ink
    if ring is not None:
        image[abs(np.hypot(_X - 384, _Y - 128) - 61) < ring] = (120, 118, 110)
    if padding is not None:
        image[:, 384:] = padding
    image -= shade * (np.hypot(_X - 256, _Y - 256) / 362)[..., None] ** 2
    # Twice as fine through the JPEG, as a level of the pyramid is.
    fine = image.repeat(2, axis=0).repeat(2, axis=1)
    fine += rng.normal(0, noise, fine.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(np.round(fine), 0, 255).astype(np.uint8)).save(file, "jpeg", quality=85)
    pixels = np.asarray(Image.open(file), float).reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
    if padding == (255, 255, 255):
        pixels[:, 384:] = 255
    return pixels


def cases():
    """(kind, name, image, tissue) of every case; tissue is a bool array (512, 512)."""
    blank = np.zeros_like(DISC)
    yield "plain", "plain", draw(), DISC
    for padding in [(0, 0, 0), (2, 3, 6), (12, 12, 12), (30, 10, 10), (10, 25, 40), (5, 30, 12)]:
        yield "padding", f"padding {padding}", draw(padding=padding), DISC
    for glass in [(242, 237, 240), (235, 230, 205)]:
        yield "padding", f"white padding, glass {glass}", draw(glass=glass, padding=(255, 255, 255)), DISC
    for glass in [(235, 230, 205), (225, 215, 185), (240, 232, 190), (240, 225, 228), (205, 215, 235), (200, 200, 200)]:
        yield "glass", f"glass {glass}", draw(glass=glass), DISC
        yield "glass", f"glass {glass}, pale tissue", draw(glass=glass, tissue=(205, 215, 225)), DISC
        yield "glass", f"glass {glass}, no tissue", draw(glass=glass, tissue=None), blank
    for tissue in [(150, 150, 152), (180, 205, 190), (200, 170, 140), (100, 130, 190), (90, 160, 190), (190, 40, 70)]:
        yield "stain", f"tissue {tissue}", draw(tissue=tissue), DISC
    for tissue in [_FAINT, (232, 222, 230), (235, 225, 235), (238, 233, 238), (225, 228, 236)]:
        yield "faint", f"tissue {tissue}", draw(tissue=tissue), DISC
    for tissue, dots in [((205, 215, 225), (120, 80, 50)), ((222, 226, 234), (110, 70, 40))]:
        yield "immunostain", f"tissue {tissue}, cells {dots}", draw(tissue=tissue, dots=dots), DISC
    inks = [(30, 150, 80), (40, 60, 170), (25, 25, 28), (190, 30, 40), (60, 60, 65), (20, 160, 180), (240, 140, 40)]
    for ink in [*inks, (70, 90, 200), (90, 50, 150)]:
        yield "ink", f"ink {ink}", draw(ink=ink), DISC
        yield "ink", f"ink {ink}, faint tissue", draw(ink=ink, tissue=_FAINT), DISC
    yield "ink", "ink, no tissue", draw(ink=inks[0], tissue=None), blank
    for ring in (1.5, 4):
        yield "artifact", f"air bubble, rim of {2 * ring * MPP:g} um", draw(ring=ring), DISC
    for shade in (6, 12):
        yield "artifact", f"glass {shade} darker at the corners", draw(shade=shade), DISC
        yield "artifact", f"glass {shade} darker at the corners, no tissue", draw(shade=shade, tissue=None), blank
    yield "full", "slide full of tissue", draw(glass=_HE, tissue=None, noise=6), ~blank
    yield "full", "slide full of pale tissue", draw(glass=(225, 180, 205), tissue=None, noise=6), ~blank
