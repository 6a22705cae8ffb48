"""Grids as pictures: principal components as colors, and maps of single features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from sknic.exceptions import DegenerateDataError
from sknic.grids.colors import pca_rgb
from sknic.grids.placement import cell_um
from sknic.plotting.style import INK, axes_for, cell_extent, tidy_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sknic.grids import Grid


class GridDisplay:
    """A grid in the colors of its principal components.

    Parameters
    ----------
    image : ndarray, shape (rows, columns, 3)
        Colors, 0 to 1.
    cell_um : float or None
        Distance between cells in um.

    Attributes
    ----------
    ax_, figure_, image_ : matplotlib artists
        Axes, figure and image, set by `plot`.
    """

    def __init__(self, image: np.ndarray, *, cell_um: float | None = None) -> None:
        self.image = image
        self.cell_um = cell_um

    @classmethod
    def from_grid(cls, grid: Grid, *, ax: Axes | None = None, title: str | None = None) -> Self:
        """Draw a grid.

        Parameters
        ----------
        grid : Grid
            Grid to draw.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        GridDisplay
            The display, drawn.
        """
        return cls(pca_rgb(grid), cell_um=cell_um(grid)).plot(ax, title=title)

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
        self : GridDisplay
            The display, with what was drawn.
        """
        self.ax_ = axes_for(ax, (5, 4))
        self.figure_ = self.ax_.figure
        extent, unit = cell_extent(self.image.shape[:2], self.cell_um)
        self.image_ = self.ax_.imshow(self.image, extent=extent, interpolation="nearest")
        rows, columns = self.image.shape[:2]
        tidy_image(self.ax_, title=title or f"Principal components 1 to 3, {rows} x {columns} cells", unit=unit)
        return self


class FeatureMapsDisplay:
    """Maps of single features side by side, each in standard deviations over the tissue.

    Parameters
    ----------
    maps : ndarray, shape (n_features, rows, columns)
        Standardized values; NaN on background.
    names : list of str
        Titles of the maps.

    Attributes
    ----------
    ax_, figure_, image_, colorbar_ : matplotlib artists
        Axes, figure, image and color bar, set by `plot`.
    """

    def __init__(self, maps: np.ndarray, names: list[str]) -> None:
        self.maps = maps
        self.names = names

    @classmethod
    def from_grid(
        cls, grid: Grid, features: int | Sequence[int] = 6, *, ax: Axes | None = None, title: str | None = None
    ) -> Self:
        """Draw features of a grid.

        Parameters
        ----------
        grid : Grid
            Grid to draw.
        features : int or sequence of int, default=6
            Which features, or how many of those that vary most.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        FeatureMapsDisplay
            The display, drawn.
        """
        embeddings = np.asarray(grid.embeddings, dtype=np.float32)
        if len(embeddings) == 0:
            raise DegenerateDataError("the grid has no tissue cells; there is nothing to map")
        spread = embeddings.std(axis=0)
        chosen = np.argsort(-spread, kind="stable")[:features] if np.isscalar(features) else np.asarray(features)
        maps = np.full((len(chosen), *grid.shape), np.nan)
        scaled = (embeddings - embeddings.mean(axis=0)) / np.where(spread > 0, spread, 1)
        rows, columns = np.asarray(grid.cells).T
        maps[:, rows, columns] = scaled[:, chosen].T
        return cls(maps, [f"feature {index}" for index in chosen]).plot(ax, title=title)

    def plot(self, ax: Axes | None = None, *, title: str | None = None, limit: float = 2.5) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.
        limit : float, default=2.5
            Standard deviations at which the colors saturate.

        Returns
        -------
        self : FeatureMapsDisplay
            The display, with what was drawn.
        """
        n, rows, columns = self.maps.shape
        across = int(np.ceil(np.sqrt(n * rows / columns)))
        down = -(-n // across)
        gap = max(2, round(0.2 * rows))
        canvas = np.full((down * (rows + gap), across * (columns + gap) - gap), np.nan)
        self.ax_ = axes_for(ax, (min(9, 2.2 * across + 0.8), min(9, 2.2 * down * rows / columns + 0.8)))
        self.figure_ = self.ax_.figure
        for index, (values, name) in enumerate(zip(self.maps, self.names)):
            top, left = (index // across) * (rows + gap) + gap, (index % across) * (columns + gap)
            canvas[top : top + rows, left : left + columns] = values
            self.ax_.text(left, top - 1, name, fontsize="x-small", color=INK, va="bottom")
        self.image_ = self.ax_.imshow(canvas, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
        self.ax_.set_xticks([])
        self.ax_.set_yticks([])
        tidy_image(self.ax_, title=title)
        self.colorbar_ = self.figure_.colorbar(self.image_, ax=self.ax_, shrink=0.6, label="deviation from mean (SD)")
        return self
