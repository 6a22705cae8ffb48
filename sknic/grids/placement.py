"""Placement: where the cells of a grid are on their slide, in level-0 px."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from sknic.exceptions import MissingMppError, SlideMismatchError
from sknic.grids.header import GridHeader

if TYPE_CHECKING:
    from sknic.grids.grid import Grid


@dataclass(frozen=True)
class Placement:
    """Positions of a grid's cells on their slide; lengths in level-0 px, x before y.

    Attributes
    ----------
    corner : (float, float)
        Position in the file at which cell (0, 0) starts.
    cell, patch : float
        Distance between two cells, and width of a patch.
    bounds : (float, float)
        Corner of the slide's bounds in the file: QuPath, thumbnails and the viewer count from there.
    """

    corner: tuple[float, float]
    cell: float
    patch: float
    bounds: tuple[float, float]

    @classmethod
    def of(cls, header: GridHeader) -> Placement:
        """Make the placement of a grid from its header.

        Parameters
        ----------
        header : GridHeader
            Header of the grid.

        Returns
        -------
        Placement
            Placement of its cells.

        Raises
        ------
        MissingMppError
            If the header does not have the size of a cell in level-0 px.
        """
        if header.stride_level0 is None:
            raise MissingMppError(
                f"the grid of {header.slide or 'an unnamed slide'} does not record the size of a cell in level-0 px; "
                "make it with mpp, patch_size and slide_mpp"
            )
        patch = header.patch_size_level0 or header.stride_level0
        return cls(header.origin, header.stride_level0, patch, header.bounds or header.origin)

    @classmethod
    def on(cls, header: GridHeader, slide: Any) -> Placement:
        """Place a grid on an open slide.

        Parameters
        ----------
        header : GridHeader
            Header of the grid.
        slide : Slide
            The slide; its um/px is used if the header has no level-0 px.

        Returns
        -------
        Placement
            Placement of the cells on this slide.

        Raises
        ------
        SlideMismatchError
            If the grid was made from another slide, judging by size or digest.
        MissingMppError
            If the size of a cell is unknown.
        """
        check_same_slide(header, slide)
        cell, patch = header.stride_level0, header.patch_size_level0
        if cell is None:
            if header.mpp is None or header.stride is None:
                raise MissingMppError(
                    f"the grid of {header.slide or 'an unnamed slide'} has no mpp or no stride; "
                    f"its position on {slide.path} is unknown"
                )
            cell = header.stride * header.mpp / slide.mpp
            patch = (header.patch_size or header.stride) * header.mpp / slide.mpp
        return cls(header.origin, cell, patch or cell, tuple(slide.origin))

    def corners(self, cells: ArrayLike) -> np.ndarray:
        """Return where patches start in the file.

        Parameters
        ----------
        cells : int array (n, 2)
            Row and column of each cell.

        Returns
        -------
        int64 ndarray (n, 2)
            x and y.
        """
        return np.rint(np.asarray(cells)[:, ::-1] * self.cell + np.asarray(self.corner)).astype(np.int64)

    def rectangle(self, shape: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return which part of the slide a grid covers: a square of one stride in the middle of each patch.

        Parameters
        ----------
        shape : (rows, columns)
            Size of the grid.

        Returns
        -------
        tuple of float
            x, y, width and height, from the corner of the slide's bounds.
        """
        margin = (self.patch - self.cell) / 2
        x, y = (float(a) - float(b) + margin for a, b in zip(self.corner, self.bounds))
        return x, y, shape[1] * self.cell, shape[0] * self.cell


def check_same_slide(header: GridHeader, slide: Any) -> None:
    """Refuse a slide that a grid was not made from.

    Parameters
    ----------
    header : GridHeader
        Header of the grid; properties that it does not have are not compared.
    slide : Slide
        An open slide.

    Raises
    ------
    SlideMismatchError
        If size or digest differ; the message names both slides.
    """
    size = tuple(slide.level_dimensions[0])
    if header.slide_size not in (None, size):
        made, here = ("{} x {} px".format(*each) for each in (header.slide_size, size))
        raise SlideMismatchError(f"the grid was made from {header.slide} ({made}), not from {slide.path} ({here})")
    if header.slide_digest and slide.digest and header.slide_digest != slide.digest:
        raise SlideMismatchError(
            f"the grid was made from {header.slide}, whose content differs from that of {slide.path}: the digests "
            "differ"
        )


def cell_um(grid: Grid | Any) -> float | None:
    """Return the distance between two cells.

    Parameters
    ----------
    grid : Grid or array
        A grid; an array has no scale.

    Returns
    -------
    float or None
        Distance in um; None if unknown.
    """
    mpp, stride = getattr(grid, "mpp", None), getattr(grid, "stride", None)
    return None if mpp is None or stride is None else mpp * stride
