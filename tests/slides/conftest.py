"""Slides of some kB: generic pyramids and Aperio look-alikes, in both colour spaces that JPEG tiles come in."""

import numpy as np
import pytest
import tifffile

from sknic.slides.scale import average


def picture(width, height, seed=0):
    """Smooth blobs of pink on white with fine texture, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 40.0
    stain = np.clip(np.sin(x + rng.uniform(0, 6)) + np.cos(0.7 * y + 0.3 * x) + 0.4, 0, 1)
    stain = stain[..., None] * np.array([40, 130, 70]) * rng.uniform(0.7, 1.0, (height, width, 1))
    return (245 - stain).astype(np.uint8)


def shrink(pixels, factor):
    """A pyramid level: whole blocks only, as scanners write them."""
    height, width = (length // factor * factor for length in pixels.shape[:2])
    return average(np.ascontiguousarray(pixels[:height, :width]), factor)


def write_generic(path, pixels, *, mpp=0.25, levels=(1, 2, 4), tile=128, unit="CENTIMETER", **options):
    """Pyramidal TIFF with um/px in its resolution tags."""
    options = {"compression": "jpeg", "photometric": "rgb", **options}
    per_unit = {"CENTIMETER": 1e4, "INCH": 2.54e4}[unit]
    with tifffile.TiffWriter(path, bigtiff=options.pop("bigtiff", False)) as file:
        for factor in levels:
            if mpp is not None:
                x, y = mpp if isinstance(mpp, tuple) else (mpp, mpp)
                resolution = (per_unit / x / factor, per_unit / y / factor)
                options.update(resolution=resolution, resolutionunit=unit)
            level = shrink(pixels, factor)
            file.write(level, tile=(tile, tile), subfiletype=int(factor > 1), metadata=None, **options)
    return str(path)


def write_aperio(path, pixels, *, mpp=0.25, power=40, levels=(1, 4), tile=240, colour="rgb", **options):
    """SVS as Aperio writes it: odd tiles, few levels, JPEG in RGB or YCbCr, everything else in the description."""
    height, width = pixels.shape[:2]
    arguments = {"level": 80, **({"outcolorspace": "rgb"} if colour == "rgb" else {})}
    with tifffile.TiffWriter(path) as file:
        for factor in levels:
            level = shrink(pixels, factor)
            text = f"Aperio Image Library v11.2.1 \n{width}x{height} -> {level.shape[1]}x{level.shape[0]} JPEG/RGB Q=80"
            text += f"|AppMag = {power}" if power else ""
            text += f"|MPP = {mpp}" if mpp else ""
            file.write(
                level,
                tile=(tile, tile),
                photometric="rgb",
                compression="jpeg",
                compressionargs=arguments,
                description=text,
                metadata=None,
                **options,
            )
    return str(path)


WRITERS = {
    "generic": write_generic,
    "BigTIFF": lambda path, pixels: write_generic(path, pixels, bigtiff=True),
    "Aperio RGB": lambda path, pixels: write_aperio(path.with_suffix(".svs"), pixels, colour="rgb"),
    "Aperio YCbCr": lambda path, pixels: write_aperio(path.with_suffix(".svs"), pixels, colour="ycbcr"),
}


@pytest.fixture(scope="session")
def pixels():
    """Level 0 of the slides below: 1003 x 861 px, so that edge tiles and odd levels occur."""
    return picture(1003, 861)


@pytest.fixture(scope="session", params=WRITERS)
def any_slide(request, tmp_path_factory, pixels):
    """Path of a slide of each kind, at 0.25 um/px."""
    return WRITERS[request.param](tmp_path_factory.mktemp("slides") / "slide.tiff", pixels)


@pytest.fixture(scope="session")
def generic(tmp_path_factory, pixels):
    """Path of a generic pyramid at 0.25 um/px with levels 1, 2, 4 whose downsamples are whole."""
    return write_generic(tmp_path_factory.mktemp("slides") / "generic.tiff", pixels[:860, :1000])


@pytest.fixture(scope="session")
def single_level(tmp_path_factory, pixels):
    """Path of an uncompressed slide of one level at 0.25 um/px: its pixels are known exactly."""
    path = tmp_path_factory.mktemp("slides") / "single.tiff"
    return write_generic(path, pixels, levels=(1,), compression=None)
