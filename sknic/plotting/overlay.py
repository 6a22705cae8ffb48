"""A saliency map in colors over the thumbnail of its slide."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Colormap, ListedColormap

from sknic.exceptions import MissingMppError
from sknic.grids.placement import Placement, cell_um
from sknic.slides import Slide

if TYPE_CHECKING:
    from sknic.grids import Grid

# Chosen on two H&E slides by how far (CIEDE2000, 10th percentile of the tissue's pixels) a blended cell differs from
# the tissue below, at a quarter, half and three quarters of the highest saliency: 10, 26 and 44 for viridis from its
# teal on; 5, 21 and 41 for the whole of it, which starts at the violet of nuclei; 4, 7 and 24 for cividis, whose middle
# is gray; 4, 6 and 32 for inferno. What speaks against is blue (7, 16 and 22): the red of the usual RdBu is too near to
# eosin (5, 10 and 13). Either side has a lightness that only rises, and color-blind readers tell yellow from blue.
_FOR = mpl.colormaps["viridis"](np.linspace(0.35, 1, 128))
_AGAINST = mpl.colormaps["Blues"](np.linspace(0.85, 0.3, 128))
COLOR_MAPS = {
    "positive": ListedColormap(_FOR, name="sknic_positive"),
    "signed": ListedColormap(np.vstack([_AGAINST, np.ones((1, 4)), _FOR]), name="sknic_signed"),
}


def overlay(
    slide: Slide | str | Path, saliency: np.ndarray, grid: Grid, *, max_size: int = 1024, alpha: float = 0.75
) -> np.ndarray:
    """Lay a saliency map over the thumbnail of its slide.

    Parameters
    ----------
    slide : Slide or path
    saliency : float ndarray, shape (rows, columns)
        0 leaves the slide unchanged; the strongest cell gets opacity `alpha`.
    grid : Grid
        Defines where its cells are on the slide and how large they are.
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
        If the size of the grid's cells is unknown.
    SlideMismatchError
        If the grid was made from another slide.
    ValueError
        If the map does not have the shape of the grid.
    """
    check_map(saliency, grid)
    with opened(slide) as open_slide:
        thumbnail, mpp = open_slide.thumbnail(max_size)
        return Tint(saliency, extent_um(grid, open_slide), alpha).over(thumbnail, (0, 0), mpp)


class Tint:
    """A saliency map that can be laid over any part of its slide, at any magnification.

    Parameters
    ----------
    saliency : float ndarray, shape (rows, columns)
        0 leaves the slide unchanged.
    extent : tuple of float
        Left, right, bottom and top of the map in um.
    alpha : float
        Opacity of the strongest cell, 0 to 1.
    """

    def __init__(self, saliency: np.ndarray, extent: tuple, alpha: float) -> None:
        self._colors, self._opacity = colorize(saliency, alpha)
        self._left, self._right, self._bottom, self._top = extent

    def over(self, pixels: np.ndarray, corner: tuple[float, float], mpp: float) -> np.ndarray:
        """Lay the map over pixels of the slide.

        Parameters
        ----------
        pixels : uint8 ndarray, shape (height, width, 3)
            Part of the slide.
        corner : (float, float)
            x and y of its upper left corner, px at `mpp` from the corner of the slide's bounds.
        mpp : float
            um per px.

        Returns
        -------
        uint8 ndarray, shape (height, width, 3)
            The pixels, tinted.
        """
        rows, columns = self._opacity.shape
        x = ((np.arange(pixels.shape[1]) + corner[0] + 0.5) * mpp - self._left) / (self._right - self._left) * columns
        y = ((np.arange(pixels.shape[0]) + corner[1] + 0.5) * mpp - self._top) / (self._bottom - self._top) * rows
        inside_x, inside_y = (x >= 0) & (x < columns), (y >= 0) & (y < rows)
        cells, area = np.ix_(y[inside_y].astype(int), x[inside_x].astype(int)), np.ix_(inside_y, inside_x)
        out, blend = pixels.copy(), self._opacity[cells][..., None]
        out[area] = np.rint((1 - blend) * pixels[area] + blend * self._colors[cells] * 255).astype(np.uint8)
        return out


def opened(slide):
    """Context of an open slide: the one given, left open; or the one at that path, closed at the end."""
    return Slide(slide) if isinstance(slide, (str, os.PathLike)) else nullcontext(slide)


def check_map(saliency, grid):
    """Raise ValueError if a map is not one of a grid's cells: it would be stretched over the slide, or black it out."""
    if np.shape(saliency) != tuple(grid.shape):
        raise ValueError(f"saliency has shape {np.shape(saliency)}: expected {tuple(grid.shape)}, that of the grid")
    if not np.isfinite(saliency).all():
        raise ValueError("saliency contains NaN or infinity: expected a finite number for each cell")


def extent_um(grid, slide=None):
    """Extent of a grid on its slide's thumbnail for imshow: left, right, bottom, top in um."""
    if slide is not None:
        x, y, width, height = np.array(Placement.on(grid.header, slide).rectangle(grid.shape)) * slide.mpp
        return x, x + width, y + height, y
    size = cell_um(grid)
    if size is None:
        raise MissingMppError("the grid has no mpp or no stride, so the size of its cells is unknown")
    rows, columns = grid.shape
    return 0, columns * size, rows * size, 0


def colorize(saliency: Any, alpha: float = 0.75) -> Any:
    """Colors (rows, columns, 3) and opacity (rows, columns) of a saliency map, both 0 to 1."""
    scaled = saliency / (np.abs(saliency).max() or 1.0)
    colors = color_map(saliency)((scaled + 1) / 2 if saliency.min() < 0 else scaled)
    return colors[..., :3], np.abs(scaled) ** 0.75 * alpha


def color_map(saliency: np.ndarray) -> Colormap:
    """Color map of a saliency map, which also covers negative values if there are any."""
    return COLOR_MAPS["signed" if saliency.min() < 0 else "positive"]
