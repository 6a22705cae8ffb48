"""Cells as pixels: a gallery of patches from many slides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sknic.files.names import unique_names
from sknic.grids.placement import Placement
from sknic.plotting.overlay import opened
from sknic.plotting.style import INK, axes_for, tidy_image
from sknic.slides import Slide

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sknic.grids import Grid
    from sknic.saliency import RankedCell

# A patch of the gallery in inches, with its two lines of text.
_WIDTH, _HEIGHT = 1.5, 1.85


def cell_pixels(slide: Slide, grid: Grid, row: int, column: int, *, max_size: int = 256) -> np.ndarray:
    """Read the pixels of a cell.

    Parameters
    ----------
    slide : Slide
        Open slide of the grid.
    grid : Grid
        Defines where the cell is.
    row, column : int
        Position of the cell.
    max_size : int, default=256
        Longest side of the picture, px.

    Returns
    -------
    uint8 ndarray, shape (side, side, 3)
        RGB, at level 0's um/px or coarser.
    """
    place = Placement.on(grid.header, slide)
    x, y = np.subtract(place.corner, place.bounds)
    mpp = slide.mpp * max(1.0, place.patch / max_size)
    scale = slide.mpp / mpp
    side = max(1, round(place.patch * scale))
    return slide.read((x + column * place.cell) * scale, (y + row * place.cell) * scale, side, side, mpp)


class PatchGalleryDisplay:
    """Patches side by side, each with the name of its slide and a value.

    Parameters
    ----------
    rows : dict of str to list of (uint8 ndarray, str, float)
        For each heading, the pixels, name of the slide and value of its patches.

    Attributes
    ----------
    ax_, figure_, images_ : matplotlib artists
        Axes, figure and a list of images, set by `plot`.
    """

    def __init__(self, rows: dict[str, list]) -> None:
        self.rows = rows

    @classmethod
    def from_cells(
        cls,
        cells: dict[str, Sequence[RankedCell]],
        grids: Sequence[Grid],
        *,
        slides: Sequence[Slide | str | Path] | None = None,
        ax: Axes | None = None,
        title: str | None = None,
    ) -> Self:
        """Read and draw cells found by :func:`sknic.saliency.rank_cells`.

        Parameters
        ----------
        cells : dict of str to sequence of RankedCell
            Heading and cells of each block.
        grids : sequence of Grid
            The grids that were ranked.
        slides : sequence of Slide or path, default=None
            Their slides; by default at the paths in the grids.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; none by default.

        Returns
        -------
        PatchGalleryDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a cell is not one of its grid.
        """
        grids, slides = list(grids), None if slides is None else list(slides)
        paths = [grid.slide for grid in grids] if slides is None else [getattr(one, "path", one) for one in slides]
        by_path = unique_names(paths)
        names = [by_path[str(path)] for path in paths]
        found = {heading: [_patch(cell, grids, slides, names) for cell in block] for heading, block in cells.items()}
        return cls(found).plot(ax, title=title)

    def plot(self, ax: Axes | None = None, *, title: str | None = None, columns: int = 6) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; none by default.
        columns : int, default=6
            Number of patches per row.

        Returns
        -------
        self : PatchGalleryDisplay
            The display, with what was drawn.
        """
        lines = sum(-(-len(block) // columns) for block in self.rows.values())
        height = lines * _HEIGHT + 0.35 * len(self.rows)
        self.ax_ = axes_for(ax, (columns * _WIDTH + 0.3, height + 0.4))
        self.figure_ = self.ax_.figure
        self.images_: list = []
        shown = _shortened(name for block in self.rows.values() for _, name, _ in block)
        y = 0.0
        for heading, block in self.rows.items():
            self.ax_.text(0, y + 0.25, heading, color=INK, fontsize="medium", fontweight="bold")
            y += 0.35
            for number, (pixels, name, value) in enumerate(block):
                place = ((number % columns) * _WIDTH, y + (number // columns) * _HEIGHT)
                self._draw(pixels, f"{shown[name]}\n{value:.3g}", *place)
            y += -(-len(block) // columns) * _HEIGHT
        self.ax_.set(xlim=(0, columns * _WIDTH), ylim=(height, 0), xticks=[], yticks=[], aspect="equal")
        tidy_image(self.ax_, title=title)
        return self

    def _draw(self, pixels, text, x, y):
        side = _WIDTH - 0.1
        self.images_.append(self.ax_.imshow(pixels, extent=(x, x + side, y + side, y)))
        self.ax_.text(x, y + side + 0.04, text, color=INK, fontsize="x-small", va="top")


def _shortened(names):
    """Names that fit below a patch; those that would be the same are left whole."""
    short = {name: name if len(name) <= 20 else f"{name[:9]}…{name[-9:]}" for name in names}
    taken = Counter(short.values())
    return {name: text if taken[text] == 1 else name for name, text in short.items()}


def _patch(cell: RankedCell, grids: Sequence[Grid], slides: Any, names: Sequence[str]) -> tuple[np.ndarray, str, float]:
    grid, name = grids[cell.slide], names[cell.slide]
    if not (grid.cells == (cell.row, cell.column)).all(axis=1).any():
        raise ValueError(
            f"row {cell.row}, column {cell.column} of {name} is not a cell of its grid: expected cells that were "
            "ranked on these grids, in this order"
        )
    with Slide(grid.slide, mpp=grid.slide_mpp) if slides is None else opened(slides[cell.slide]) as open_slide:
        return cell_pixels(open_slide, grid, cell.row, cell.column), name, cell.saliency
