"""A saliency map over its slide at full resolution, as a pyramidal OME-TIFF, tile by tile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from sknic.files.whole import whole_file
from sknic.plotting.overlay import Tint, check_map, extent_um, opened

if TYPE_CHECKING:
    from sknic.grids import Grid
    from sknic.slides import Slide

_TILE = 512
# The longer side of the coarsest level is at most this, px.
_SMALLEST = 1024
_QUALITY = 85


def write_overlay(
    path: str | Path,
    slide: Slide | str | Path,
    saliency: np.ndarray,
    grid: Grid,
    *,
    mpp: float | None = None,
    alpha: float = 0.75,
) -> str:
    """Write a saliency map over its slide as a pyramidal OME-TIFF, which QuPath, Fiji and napari open.

    Only one tile at a time is in memory. The file appears under its name only once it is complete.

    Parameters
    ----------
    path : str or Path
        File to write, ``.ome.tiff``.
    slide : Slide or path
        Slide beneath the map.
    saliency : float ndarray, shape (rows, columns)
        0 leaves the slide unchanged; the strongest cell gets opacity `alpha`.
    grid : Grid
        Defines where its cells are on the slide and how large they are.
    mpp : float, default=None
        um per px of the finest level; the slide's own by default.
    alpha : float, default=0.75
        Opacity of the strongest cell, 0 to 1.

    Returns
    -------
    str
        The path.

    Raises
    ------
    MissingMppError
        If the size of the grid's cells is unknown.
    SlideMismatchError
        If the grid was made from another slide.
    ValueError
        If the map does not have the shape of the grid.
    """
    check_map(saliency, grid)
    with opened(slide) as open_slide, whole_file(path) as temporary:
        tint = Tint(saliency, extent_um(grid, open_slide), alpha)
        levels = _levels(open_slide, mpp or open_slide.mpp)
        with tifffile.TiffWriter(temporary, bigtiff=True, ome=True) as writer:
            for number, (level_mpp, width, height) in enumerate(levels):
                writer.write(
                    _tiles(open_slide, tint, level_mpp, width, height),
                    shape=(height, width, 3),
                    dtype=np.uint8,
                    tile=(_TILE, _TILE),
                    photometric="rgb",
                    compression="jpeg",
                    compressionargs={"level": _QUALITY},
                    resolution=(1e4 / level_mpp, 1e4 / level_mpp),
                    resolutionunit="CENTIMETER",
                    # The coarser levels hang below the finest one.
                    subifds=len(levels) - 1 if number == 0 else None,
                    subfiletype=0 if number == 0 else 1,
                    metadata=_ome(level_mpp, Path(open_slide.path).name) if number == 0 else None,
                )
    return str(path)


def _levels(slide, mpp):
    """um/px, width and height of each level, each half as fine as the one before."""
    levels = [(mpp, *slide.size(mpp))]
    while max(levels[-1][1:]) > _SMALLEST:
        mpp *= 2
        levels.append((mpp, *(max(1, side) for side in slide.size(mpp))))
    return levels


def _tiles(slide, tint, mpp, width, height):
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            yield tint.over(slide.read(x, y, _TILE, _TILE, mpp), (x, y), mpp)


def _ome(mpp, name):
    unit = {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    return {"axes": "YXS", "Name": name, "PhysicalSizeX": mpp, "PhysicalSizeY": mpp, **unit}
