"""A saliency map as colors, laid over the thumbnail of its slide."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from sknic.exceptions import MissingMppError
from sknic.grids.placement import Placement, cell_um
from sknic.slides import Slide

if TYPE_CHECKING:
    from sknic.grids import Grid

COLOR_MAPS = {"signed": "RdBu_r", "positive": "viridis"}


def overlay(
    slide: Slide | str | Path, saliency: np.ndarray, grid: Grid, *, max_size: int = 1024, alpha: float = 0.75
) -> np.ndarray:
    """Lay a saliency map over the thumbnail of its slide.

    Parameters
    ----------
    slide : Slide or path
    saliency : float ndarray, shape (rows, columns)
        0 leaves the slide as it is; the strongest cell gets opacity `alpha`.
    grid : Grid
        Says where its cells lie on the slide and how large they are.
    max_size : int
        Longer side of the picture in px.
    alpha : float
        Between 0 and 1.

    Returns
    -------
    uint8 ndarray, shape (height, width, 3)

    Raises
    ------
    MissingMppError
        When the grid does not say how large its cells are.
    SlideMismatchError
        When the grid was made from another slide.
    """
    with opened(slide) as open_slide:
        thumbnail, mpp = open_slide.thumbnail(max_size)
        left, right, bottom, top = extent_um(grid, open_slide)
    x = ((np.arange(thumbnail.shape[1]) + 0.5) * mpp - left) / (right - left) * saliency.shape[1]
    y = ((np.arange(thumbnail.shape[0]) + 0.5) * mpp - top) / (bottom - top) * saliency.shape[0]
    inside_x, inside_y = (x >= 0) & (x < saliency.shape[1]), (y >= 0) & (y < saliency.shape[0])
    cells = np.ix_(y[inside_y].astype(int), x[inside_x].astype(int))
    colors, opacity = colorize(saliency, alpha)
    out, area = thumbnail.copy(), np.ix_(inside_y, inside_x)
    blend = opacity[cells][..., None]
    out[area] = np.rint((1 - blend) * thumbnail[area] + blend * colors[cells] * 255).astype(np.uint8)
    return out


def opened(slide):
    """Context of an open slide: the one given, left open; or the one at that path, closed at the end."""
    return Slide(slide) if isinstance(slide, (str, os.PathLike)) else nullcontext(slide)


def extent_um(grid, slide=None):
    """Where a grid lies on its slide's thumbnail: left, right, bottom, top in um, as imshow's `extent` wants it."""
    if slide is not None:
        x, y, width, height = np.array(Placement.on(grid.header, slide).rectangle(grid.shape)) * slide.mpp
        return x, x + width, y + height, y
    size = cell_um(grid)
    if size is None:
        raise MissingMppError("the grid has no mpp or no stride; the size of its cells is not known")
    rows, columns = grid.shape
    return 0, columns * size, rows * size, 0


def colorize(saliency: Any, alpha: float = 0.75) -> Any:
    """Colors (rows, columns, 3) and opacity (rows, columns) of a saliency map, both 0 to 1."""
    limit = np.abs(saliency).max() or 1.0
    signed = saliency.min() < 0
    scaled = saliency / limit
    colors = mpl.colormaps[COLOR_MAPS["signed" if signed else "positive"]]
    return colors((scaled + 1) / 2 if signed else scaled)[..., :3], np.abs(scaled) ** 0.75 * alpha
