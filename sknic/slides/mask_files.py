"""Tissue masks that others made: images, and polygons as QuPath exports them."""

import json
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageDraw, UnidentifiedImageError

from sknic.exceptions import TissueMaskError

# Sides of the masks that polygons are drawn on, and of the level taken from a pyramidal mask, in px.
DRAWN_SIZE = 2048
LEAST_SIZE = 1024


def mask_path(pattern, slide_path):
    """Path of a slide's mask.

    Parameters
    ----------
    pattern : str or Path
        `{stem}` stands for the slide's file name without extension. A relative pattern counts from the slide's folder,
        or from the working folder where the mask lies there and not beside the slide.
    slide_path : str or Path

    Returns
    -------
    str
        Whether the file exists or not.
    """
    pattern, slide_path = str(pattern), Path(slide_path)
    if "{stem}" not in pattern and not Path(pattern).suffix:
        raise TissueMaskError(f"tissue={pattern!r}: expected 'otsu', or a pattern of mask files such as '{{stem}}.png'")
    name = pattern.replace("{stem}", slide_path.stem)
    beside = slide_path.parent / name
    return name if not beside.exists() and Path(name).exists() else str(beside)


def read_mask_image(path, slide):
    """Mask image over the whole slide, bool (h, w): everything above 0 in any colour is tissue.

    Raises
    ------
    TissueMaskError
        If the file is missing or no image.
    """
    try:
        pixels = _read_tiff(path) if path.lower().endswith((".tif", ".tiff")) else _read_picture(path)
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError, tifffile.TiffFileError) as error:
        raise TissueMaskError(f"cannot read the tissue mask {path} of {slide.path}: {error}") from error
    if pixels.ndim == 3:
        pixels = pixels[..., :3].max(axis=2)
    return pixels > 0


def _read_picture(path):
    with Image.open(path) as image:
        palette = image.mode == "P"
        return np.asarray(image.convert("RGB") if palette else image.convert("L") if image.mode == "LA" else image)


def _read_tiff(path):
    """The smallest level of a pyramidal mask that is still fine enough, or the only image."""
    with tifffile.TiffFile(path) as file:
        levels = sorted(file.series[0].levels, key=lambda level: max(level.shape))
        fine = [level for level in levels if max(level.shape) >= LEAST_SIZE]
        return (fine or levels[-1:])[0].asarray()


def read_geojson_mask(path, slide):
    """Polygons in level-0 px, counted from the corner of the slide's bounds as QuPath does, drawn as (mask, um/px).

    Raises
    ------
    TissueMaskError
        If the file is missing, or holds anything but polygons.
    """
    try:
        polygons = list(_polygons(json.loads(Path(path).read_text(encoding="utf-8"))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise TissueMaskError(f"cannot read the polygons {path} of {slide.path}: {reason}") from error
    shrink = max(1.0, max(slide.dimensions) / DRAWN_SIZE)
    mask = np.zeros([max(1, round(length / shrink)) for length in reversed(slide.dimensions)], bool)
    for rings in polygons:
        _draw(mask, [np.array(ring) / shrink for ring in rings])
    return mask, slide.mpp * shrink


def _polygons(document):
    """Each polygon's rings as lists of (x, y), the outline first, then the holes."""
    kind = document["type"] if isinstance(document, dict) else None
    if isinstance(document, list) or kind == "FeatureCollection":
        for feature in document if kind is None else document["features"]:
            yield from _polygons(feature)
    elif kind == "Feature":
        yield from _polygons(document["geometry"])
    elif kind == "GeometryCollection":
        for geometry in document["geometries"]:
            yield from _polygons(geometry)
    elif kind in ("Polygon", "MultiPolygon"):
        for rings in [document["coordinates"]] if kind == "Polygon" else document["coordinates"]:
            yield [[(float(point[0]), float(point[1])) for point in ring] for ring in rings]
    elif kind not in ("Point", "MultiPoint", "LineString", "MultiLineString"):
        raise ValueError(f"found {kind or type(document).__name__!r} where GeoJSON polygons are expected")


def _draw(mask, rings):
    """Add one polygon, rings in px of the mask; its holes cut only itself."""
    if not rings or len(rings[0]) < 3:
        return
    low = np.clip(np.floor(rings[0].min(axis=0)), 0, None).astype(int)
    high = np.minimum(np.ceil(rings[0].max(axis=0)) + 1, mask.shape[::-1]).astype(int)
    if (high <= low).any():
        return
    canvas = Image.new("1", tuple((high - low).tolist()))
    pen = ImageDraw.Draw(canvas)
    for i, ring in enumerate(rings):
        if len(ring) >= 3:
            # Half a pixel: a pixel belongs to the polygon when its centre does.
            pen.polygon([tuple(point) for point in (ring - low - 0.5).tolist()], fill=int(i == 0))
    mask[low[1] : high[1], low[0] : high[0]] |= np.asarray(canvas)
