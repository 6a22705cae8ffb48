"""Pictures of slides: what counts as tissue, and where a model looked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from sknic.grids.placement import cell_um
from sknic.plotting.overlay import check_map, color_map, colorize, extent_um, opened
from sknic.plotting.style import COLORS, axes_for, tidy_image
from sknic.slides import Annotations, tissue_mask

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sknic.grids import Grid
    from sknic.slides import Slide


class TissueDisplay:
    """The outline of the tissue mask on a slide's thumbnail.

    Parameters
    ----------
    thumbnail : uint8 ndarray, shape (height, width, 3)
    mpp : float
        um per px of the thumbnail.
    mask : bool ndarray, shape (height, width)
        Over the same area, at any resolution.

    Attributes
    ----------
    ax_, figure_, image_ : matplotlib artists
        Axes, figure and image, set by `plot`.
    """

    def __init__(self, thumbnail: np.ndarray, mpp: float, mask: np.ndarray) -> None:
        self.thumbnail = thumbnail
        self.mpp = mpp
        self.mask = mask

    @classmethod
    def from_slide(
        cls,
        slide: Slide | str | Path,
        *,
        tissue: str | Annotations | Callable = "density",
        max_size: int = 1024,
        ax: Axes | None = None,
        title: str | None = None,
    ) -> Self:
        """Find and draw the tissue of a slide.

        Parameters
        ----------
        slide : Slide or path
        tissue : str, Annotations or callable, default="density"
            Method of the mask, as the `tissue` of SlideCompressor.
        max_size : int
            Longer side of the thumbnail in px.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        TissueDisplay
            The display, drawn.
        """
        if tissue is None:
            raise ValueError("tissue=None has no mask to draw; give 'density', a function or a pattern of mask files")
        with opened(slide) as open_slide:
            thumbnail, mpp = open_slide.thumbnail(max_size)
            mask = tissue_mask(open_slide, tissue)
        return cls(thumbnail, mpp, mask.mask).plot(ax, title=title)

    def plot(self, ax: Axes | None = None, *, title: str | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        self : TissueDisplay
            The display, with what was drawn.
        """
        self.ax_ = axes_for(ax, (5, 4))
        self.figure_ = self.ax_.figure
        self.image_ = _draw_thumbnail(self.ax_, self.thumbnail, self.mpp)
        # A rim of background closes the outline of tissue that touches the edge.
        ends = np.array(self.thumbnail.shape[:2]) * self.mpp / 1000
        rows, columns = (np.linspace(0, end, n + 1) for end, n in zip(ends, self.mask.shape))
        centers = [np.r_[side[0], (side[1:] + side[:-1]) / 2, side[-1]] for side in (columns, rows)]
        self.ax_.contour(*centers, np.pad(self.mask, 1).astype(float), [0.5], colors=COLORS[2], linewidths=1.2)
        tidy_image(self.ax_, title=title or f"Tissue: {self.mask.mean():.0%} of the slide", unit="mm")
        return self


class SaliencyDisplay:
    """Saliency over a slide's thumbnail, or alone if there is no slide.

    Parameters
    ----------
    saliency : float ndarray, shape (rows, columns)
        From :mod:`sknic.saliency`; over a slide, 0 leaves the slide unchanged.
    extent : tuple of float, default=None
        Left, right, bottom and top of the map in mm.
    thumbnail : uint8 ndarray, shape (height, width, 3), default=None
    mpp : float, default=None
        um per px of the thumbnail.

    Attributes
    ----------
    ax_, figure_, image_, colorbar_ : matplotlib artists
        Axes, figure, image and color bar, set by `plot`.
    """

    def __init__(
        self,
        saliency: np.ndarray,
        *,
        extent: tuple[float, ...] | None = None,
        thumbnail: np.ndarray | None = None,
        mpp: float | None = None,
    ) -> None:
        self.saliency = saliency
        self.extent = extent
        self.thumbnail = thumbnail
        self.mpp = mpp

    @classmethod
    def from_grid(
        cls,
        grid: Grid,
        saliency: np.ndarray,
        *,
        slide: Slide | str | Path | None = None,
        max_size: int = 1024,
        ax: Axes | None = None,
        title: str | None = None,
    ) -> Self:
        """Draw a saliency map of a grid.

        Parameters
        ----------
        grid : Grid
            Defines where the cells are and how large they are.
        saliency : float ndarray, shape (rows, columns)
        slide : Slide or path, default=None
            Slide to draw underneath.
        max_size : int
            Longer side of the thumbnail in px.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        SaliencyDisplay
            The display, drawn.
        """
        check_map(saliency, grid)
        if slide is None:
            extent = None if cell_um(grid) is None else _in_mm(extent_um(grid))
            return cls(saliency, extent=extent).plot(ax, title=title)
        with opened(slide) as open_slide:
            thumbnail, mpp = open_slide.thumbnail(max_size)
            extent = _in_mm(extent_um(grid, open_slide))
        return cls(saliency, extent=extent, thumbnail=thumbnail, mpp=mpp).plot(ax, title=title)

    def plot(self, ax: Axes | None = None, *, title: str | None = None, alpha: float = 0.75) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.
        alpha : float, default=0.75
            Opacity of the strongest cell over a slide; weaker cells are more transparent.

        Returns
        -------
        self : SaliencyDisplay
            The display, with what was drawn.
        """
        self.ax_ = axes_for(ax, (5, 4))
        self.figure_ = self.ax_.figure
        opacity = None
        if self.thumbnail is not None:
            opacity = colorize(self.saliency, alpha)[1]
            _draw_thumbnail(self.ax_, self.thumbnail, self.mpp)
        limit, signed = np.abs(self.saliency).max() or 1.0, self.saliency.min() < 0
        colors: dict[str, Any] = {"cmap": color_map(self.saliency), "vmin": -limit if signed else 0}
        place = {"extent": self.extent, "interpolation": "nearest", "alpha": opacity}
        self.image_ = self.ax_.imshow(self.saliency, vmax=limit, **colors, **place)
        if self.thumbnail is not None:
            height, width = np.array(self.thumbnail.shape[:2]) * self.mpp / 1000
            self.ax_.set(xlim=(0, width), ylim=(height, 0))
        scale = ScalarMappable(Normalize(colors["vmin"], limit), colors["cmap"])
        self.colorbar_ = self.figure_.colorbar(scale, ax=self.ax_, shrink=0.6, label="saliency per cell")
        tidy_image(self.ax_, title=title or "Saliency", unit="mm" if self.extent else "cells")
        return self


def _draw_thumbnail(ax, thumbnail, mpp):
    height, width = np.array(thumbnail.shape[:2]) * mpp / 1000
    return ax.imshow(thumbnail, extent=(0, width, height, 0))


def _in_mm(extent):
    return tuple(float(side) / 1000 for side in extent)
