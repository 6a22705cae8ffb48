"""Lattice: the patches of a slide, and the blocks in which to read them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from sknic.slides import Slide


@dataclass(frozen=True)
class Lattice:
    """Uniform lattice of patches over a slide (Tellez et al., TPAMI 2019, section 3.1).

    Parameters
    ----------
    slide_size : (width, height)
        Size of the slide, in px at `mpp`.
    mpp : float
        um per px of the patches.
    patch_size : int
        Width of a patch, px at `mpp`.
    stride : int
        Distance between patches, px at `mpp`.

    Notes
    -----
    The patch of cell (row, column) starts at (column * stride, row * stride) px. If `patch_size` exceeds `stride`, a
    patch may extend beyond the slide's edge, where it is white.
    """

    slide_size: tuple
    mpp: float
    patch_size: int
    stride: int

    def __post_init__(self):
        for name in ("patch_size", "stride"):
            value = getattr(self, name)
            if int(value) != value or value < 1:
                raise ValueError(f"{name}={value!r}: expected a whole number of pixels, 1 or more")
            object.__setattr__(self, name, int(value))

    @classmethod
    def of(cls, slide: Slide, *, mpp: float, patch_size: int, stride: int | None = None) -> Self:
        """Return the lattice over a slide.

        Parameters
        ----------
        slide : Slide
            Slide to cover.
        mpp : float
            um per px of the patches.
        patch_size : int
            Width of a patch in px at `mpp`.
        stride : int, default=None
            Distance between patches in px at `mpp`; `patch_size` if None.

        Returns
        -------
        Lattice
            All cells whose stride fits on the slide.
        """
        return cls(slide.size(mpp), float(mpp), patch_size, patch_size if stride is None else stride)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns): the slide's size over the stride, rounded down."""
        width, height = self.slide_size
        return height // self.stride, width // self.stride

    def bands(self, cells: np.ndarray, max_cells: int) -> Iterator[np.ndarray]:
        """Divide cells into blocks of neighbors, so that few tiles are decoded twice.

        Parameters
        ----------
        cells : int array (n, 2)
            Row and column.
        max_cells : int
            Maximum number of cells per block.

        Yields
        ------
        int32 array (m, 2)
            Squares of the lattice, or several neighboring squares if they contain little tissue; together they contain
            every cell once.
        """
        if max_cells < 1:
            raise ValueError(f"max_cells={max_cells!r}: expected 1 or more")
        cells = np.asarray(cells, np.int32).reshape(-1, 2)
        side = math.isqrt(max_cells)
        row, column = cells.T
        order = np.lexsort((column, row, column // side, row // side))
        cells = cells[order]
        squares = cells // side
        starts = np.flatnonzero((squares[1:] != squares[:-1]).any(axis=1)) + 1
        begin = end = 0
        for stop in [*starts.tolist(), len(cells)]:
            if stop - begin > max_cells:
                yield cells[begin:end]
                begin = end
            end = stop
        if end > begin:
            yield cells[begin:end]
