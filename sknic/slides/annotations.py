"""Masks of tissue from polygons that pathologists drew, in GeoJSON as exported by QuPath."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from sknic.exceptions import TissueMaskError, TissueWarning, warn
from sknic.files.json_stream import stream_items
from sknic.files.nearest import did_you_mean, no_such_file
from sknic.slides.mask_files import mask_path

if TYPE_CHECKING:
    from sknic.slides import Slide

SUFFIXES = (".geojson", ".json", ".geojson.gz", ".json.gz")
# Side of the mask that polygons are drawn on, px.
DRAWN_SIZE = 2048
# Words in the name of a class that say that it is not tissue.
NOT_TISSUE = frozenset({"ignore", "artifact", "artifacts", "artefact", "artefacts", "background"})
_FAR = 1e6
_UNREADABLE = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Annotations:
    """Tissue defined by classes of polygons, for the `tissue` parameter of SlideCompressor and others.

    Parameters
    ----------
    pattern : str or Path
        GeoJSON file of each slide, such as "{stem}.geojson"; `{stem}` stands for the slide's name without extension.
    classes : sequence of str, default=None
        Classes that count as tissue, ignoring case ("tumor" matches "Tumor" and "Tumor: Positive"). All by default.
    exclude : sequence of str, default=()
        Classes to cut out of the others, in addition to those whose name contains the word ignore, artifact or
        background; a class in `classes` is never cut out.

    Notes
    -----
    Other classes whose name ends in "*" are left out, as QuPath leaves them out of its counts, and cut out nothing.

    Examples
    --------
    >>> from sknic.slides import Annotations
    >>> Annotations("{stem}.geojson", classes=["Tumor"], exclude=["Necrosis"])
    Annotations(pattern='{stem}.geojson', classes=('Tumor',), exclude=('Necrosis',))
    """

    pattern: str | Path
    classes: Sequence[str] | None = None
    exclude: Sequence[str] = ()

    def __post_init__(self):
        if not str(self.pattern).lower().endswith(SUFFIXES):
            raise TissueMaskError(f"pattern={str(self.pattern)!r}: expected a GeoJSON file such as '{{stem}}.geojson'")
        for name in ("classes", "exclude"):
            value = getattr(self, name)
            if isinstance(value, str) or (value is None and name == "exclude"):
                raise TissueMaskError(f"{name}={value!r}: expected a list of class names")
            object.__setattr__(self, name, value if value is None else tuple(map(str, value)))

    def path(self, slide_path: str | Path) -> str:
        """Return the path of the file of a slide, whether it exists or not.

        Parameters
        ----------
        slide_path : str or Path
            File of the slide.

        Returns
        -------
        str
            Path of its annotations.
        """
        return mask_path(self.pattern, slide_path)

    def read(self, slide: Slide) -> tuple[np.ndarray, float]:
        """Draw the polygons of a slide, in level-0 px from the corner of the slide's bounds, as in QuPath.

        Parameters
        ----------
        slide : Slide

        Returns
        -------
        mask : bool array (h, w)
        mpp : float
            um per px of the mask.

        Raises
        ------
        TissueMaskError
            If the file is missing, is not GeoJSON, or has coordinates that are not numbers.
        """
        path = self.path(slide.path)
        shrink = max(1.0, max(slide.dimensions) / DRAWN_SIZE)
        shape = [max(1, round(length / shrink)) for length in reversed(slide.dimensions)]
        try:
            mask, names = self._drawn(path, shape, shrink)
        except _UNREADABLE as error:
            reason = _why(error)
            raise TissueMaskError(f"cannot read the polygons {path} of {slide.path}: {reason}") from error
        self._warn_of_near_names(path, names)
        return mask, slide.mpp * shrink

    def _drawn(self, path, shape, shrink):
        """Mask of a shape, and the names of all classes; polygon by polygon, because a file may have millions."""
        tissue, cut, names = np.zeros(shape, bool), np.zeros(shape, bool), set()
        for name, rings in _regions_of(path):
            names.add(name)
            if self._cuts(name):
                _draw(cut, [ring / shrink for ring in rings])
            elif self._counts(name):
                _draw(tissue, [ring / shrink for ring in rings])
        return tissue & ~cut, names

    def class_names(self, slide: Slide) -> list[str]:
        """Return the names of the classes in the file of a slide.

        Parameters
        ----------
        slide : Slide
            Slide whose annotations are read.

        Returns
        -------
        list of str
            Names, sorted; "unclassified" stands for polygons without a class.
        """
        return sorted({name or "unclassified" for name, _ in _regions_of(self.path(slide.path))})

    def _warn_of_near_names(self, path, names):
        """Warn of requested classes that the file does not have but that closely resemble one of its classes."""
        for role in ("classes", "exclude"):
            for wanted in getattr(self, role) or ():
                if not any(_is_one_of(name, [wanted]) for name in names) and (meant := did_you_mean(wanted, names)):
                    warn(f"{role}={wanted!r} is not a class of {path}{meant}", TissueWarning)

    def _cuts(self, name):
        if self.classes is not None and _is_one_of(name, self.classes):
            return False
        return _is_one_of(name, self.exclude) or bool(NOT_TISSUE & set(re.findall("[a-z]+", name.lower())))

    def _counts(self, name):
        if self.classes is not None:
            return _is_one_of(name, self.classes)
        return not name.endswith("*")


def _is_one_of(name, wanted):
    """Whether the name of a class, or a part of a derived class such as "Tumor: Positive", is wanted."""
    parts = {name.strip().lower(), *(part.strip().lower() for part in name.split(":"))}
    return any(one.strip().lower() in parts for one in wanted)


def _why(error):
    """What is wrong with a file, in our words if they are clearer than the error itself."""
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not text in UTF-8, UTF-16 or UTF-32"
    if isinstance(error, FileNotFoundError):
        return no_such_file(error.filename)
    if isinstance(error, OSError | EOFError | zlib.error):
        return getattr(error, "strerror", None) or "it is cut off, or not a gzip file"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    return str(error) if type(error) is ValueError else "its structure is not that of GeoJSON"


def _regions_of(path: str) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Regions of a file, one by one, whether it is a collection of features or not."""
    for part in stream_items(path, "features"):
        yield from _regions(part)


def _regions(document: Any, name: str = "") -> Iterator[tuple[str, list[np.ndarray]]]:
    """Class and rings of each polygon: float arrays (n, 2) of x and y, the outline first, then the holes."""
    kind = document.get("type") if isinstance(document, dict) else None
    if isinstance(document, list) or kind == "FeatureCollection":
        for feature in document if kind is None else document["features"]:
            yield from _regions(feature, name)
    elif kind == "Feature":
        properties = document.get("properties") or {}
        # A null geometry is a feature without a place (RFC 7946), and a missing core of a microarray has no tissue.
        if document["geometry"] is not None and not properties.get("isMissing"):
            yield from _regions(document["geometry"], _class_name(properties))
    elif kind == "GeometryCollection":
        for geometry in document["geometries"]:
            yield from _regions(geometry, name)
    elif kind in ("Polygon", "MultiPolygon"):
        for rings in [document["coordinates"]] if kind == "Polygon" else document["coordinates"]:
            yield name, [_ring(ring) for ring in rings]
    elif kind not in ("Point", "MultiPoint", "LineString", "MultiLineString"):
        raise ValueError(f"found {kind or type(document).__name__!r} where GeoJSON polygons are expected")


def _class_name(properties):
    """Name of the class of a feature, or "" if it has none."""
    found = properties.get("classification") or properties.get("class") or ""
    if isinstance(found, dict):
        found = found.get("name") or found.get("names") or ""
    return ": ".join(map(str, found)) if isinstance(found, list) else str(found)


def _ring(points):
    try:
        ring = np.array([(float(point[0]), float(point[1])) for point in points]).reshape(-1, 2)
    except (TypeError, IndexError, KeyError):
        raise ValueError("coordinates are not rings of points (x, y)") from None
    if not np.isfinite(ring).all():
        raise ValueError("a coordinate is not a finite number")
    return ring


def _draw(mask, rings):
    """Add one polygon (rings in px of the mask); its holes are cut only out of itself."""
    if not rings or len(rings[0]) < 3:
        return
    rings = [np.clip(ring, -_FAR, _FAR) for ring in rings]
    low = np.clip(np.floor(rings[0].min(axis=0)), 0, None).astype(int)
    high = np.minimum(np.ceil(rings[0].max(axis=0)) + 1, mask.shape[::-1]).astype(int)
    if (high <= low).any():
        return
    canvas = Image.new("1", tuple((high - low).tolist()))
    brush = ImageDraw.Draw(canvas)
    for i, ring in enumerate(rings):
        if len(ring) >= 3:
            # Half a pixel: a pixel belongs to the polygon when its center does.
            brush.polygon([tuple(point) for point in (ring - low - 0.5).tolist()], fill=int(i == 0))
    mask[low[1] : high[1], low[0] : high[0]] |= np.asarray(canvas)
