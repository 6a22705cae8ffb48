"""Grid: one compressed slide, a sparse image whose pixels are embeddings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from sknic.exceptions import GridFileError
from sknic.grids import hdf5
from sknic.grids.export import GridExports
from sknic.grids.foreign import read_foreign
from sknic.grids.header import GridHeader
from sknic.grids.orientation import orient
from sknic.grids.storage import InFile, InMemory, Oriented

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


class Grid(GridExports):
    """One compressed slide (paper, Fig. 1): embeddings at the cells with tissue, zero elsewhere.

    Parameters
    ----------
    embeddings : array (n_cells, C)
        One row per tissue cell; stored as float16, or as float32 if float16 overflows.
    cells : int array (n_cells, 2)
        Row and column of each embedding.
    shape : (rows, columns)
        Size of the grid in cells.
    mpp : float, default=None
        um per px of the patches.
    patch_size, stride : int, default=None
        Width of a patch and distance between patches, px at `mpp`; `stride` is `patch_size` by default.
    slide : str, default=None
        Path of the slide.
    slide_mpp : float, default=None
        um per px of the slide's level 0.
    origin : (x, y), default=(0, 0)
        Level-0 px, from the corner of the file, at which cell (0, 0) starts.
    bounds : (x, y), default=(0, 0)
        Corner of the slide's bounds, `Slide.origin`, in level-0 px: the origin of QuPath's coordinates.
    fingerprint : str, default=None
        Fingerprint of the encoder that made it.
    tissue_fraction : float, default=None
        Share of the lattice's cells that contain tissue.
    slide_size : (width, height), default=None
        Size of the slide's level 0 in px; a slide with another size is then refused.
    slide_digest : str, default=None
        `Slide.digest`; a slide with other content is then refused.
    precision : str, default=None
        Number format of the encoder's computation: "float32", "bfloat16" or "float16".
    damage : str, default=None
        Pyramid levels of the slide that were damaged, and what was read instead (`Slide.damage`).
    oriented_embeddings : array (7, n_cells, C), default=None
        The embeddings of the same patches after orientations 1 to 7 of their pixels (see `orient`).

    Notes
    -----
    A grid in a file is pickled as its path, keeps no file open, and reads the numbers on every access: keep
    `grid.embeddings` in a variable instead of accessing it in a loop.
    """

    __slots__ = ("_storage",)

    def __init__(
        self,
        embeddings: ArrayLike,
        cells: ArrayLike,
        shape: tuple[int, int],
        *,
        mpp: float | None = None,
        patch_size: int | None = None,
        stride: int | None = None,
        slide: str | Path | None = None,
        slide_mpp: float | None = None,
        origin: tuple[int, int] = (0, 0),
        bounds: tuple[int, int] = (0, 0),
        fingerprint: str | None = None,
        tissue_fraction: float | None = None,
        slide_size: tuple[int, int] | None = None,
        slide_digest: str | None = None,
        precision: str | None = None,
        damage: str | None = None,
        oriented_embeddings: np.ndarray | None = None,
    ) -> None:
        name = None if slide is None else str(slide)
        origins = (fingerprint, tissue_fraction, slide_size, slide_digest)
        place = (shape, mpp, patch_size, stride, name, slide_mpp, origin)
        header = GridHeader(*place, *origins, bounds=bounds, precision=precision, damage=damage)
        self._storage: InMemory | InFile | Oriented = InMemory(header, embeddings, cells, oriented_embeddings)

    @classmethod
    def _of(cls, storage):
        grid = cls.__new__(cls)
        grid._storage = storage
        return grid

    @classmethod
    def from_dense(
        cls,
        array: ArrayLike,
        *,
        mpp: float | None = None,
        patch_size: int | None = None,
        slide: str | Path | None = None,
    ) -> Self:
        """Make a grid from a dense array; cells whose embedding is all zero are background.

        Parameters
        ----------
        array : array (C, rows, columns)
            The embeddings.
        mpp : float, default=None
            um per px of the patches.
        patch_size : int, default=None
            Width of a patch, px at `mpp`.
        slide : str or Path, default=None
            Path of the slide.

        Returns
        -------
        Grid
            The grid, in memory.

        Raises
        ------
        ValueError
            If the array does not have three dimensions.
        """
        array = np.asarray(array)
        if array.ndim != 3:
            raise ValueError(f"array has shape {array.shape}; expected (C, rows, columns)")
        cells = np.argwhere((array != 0).any(axis=0))
        embeddings, shape = array[:, cells[:, 0], cells[:, 1]].T, (array.shape[1], array.shape[2])
        return cls(embeddings, cells, shape, mpp=mpp, patch_size=patch_size, slide=slide)

    @classmethod
    def read(cls, path: str | Path, *, mpp: float | None = None) -> Self:
        """Open a file that sknic, TRIDENT or CLAM wrote.

        Parameters
        ----------
        path : str or Path
            The file.
        mpp : float, default=None
            um per px of the patches, for files of other tools that do not state it.

        Returns
        -------
        Grid
            The grid, which stays in its file if sknic wrote it.

        Raises
        ------
        GridFileError
            If the file is missing, damaged or has no features.
        """
        path = os.path.abspath(path)
        stored = hdf5.read_own_header(path)  # a damaged file is refused here, not in the middle of a training
        if stored is not None:
            return cls._of(InFile(path, stored))
        with hdf5.open_grid_file(path) as file:
            header, features, cells = read_foreign(path, file, mpp)
        return cls._of(InMemory(header, features, cells))

    def write(self, path: str | Path, *, key: str | None = None) -> Grid:
        """Write the grid to an HDF5 file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            File to write.
        key : str, default=None
            Digest of what the grid was computed from, for a cache.

        Returns
        -------
        Grid
            The grid of that file.
        """
        stored = self._storage
        hdf5.write_grid_file(path, stored.header, stored.embeddings, stored.cells, stored.oriented, key)
        return Grid.read(path)

    @property
    def path(self) -> str | None:
        """File of the grid, or None if it is in memory."""
        return self._storage.path

    @property
    def header(self) -> GridHeader:
        """What is known about the slide, the encoder and the scale."""
        return self._storage.header

    @property
    def embeddings(self) -> np.ndarray:
        """Embeddings, float16 or float32 array (n_cells, C)."""
        return self._storage.embeddings

    @property
    def dtype(self) -> np.dtype:
        """Type of the embeddings."""
        return self._storage.dtype

    @property
    def cells(self) -> np.ndarray:
        """Row and column of each embedding, int32 array (n_cells, 2)."""
        return self._storage.cells

    @property
    def orientations(self) -> tuple[Grid, ...]:
        """The slide's grids, one per orientation of its pixels: one (self) or eight."""
        if not self._storage.has_oriented:
            return (self,)
        return (self, *(Grid._of(Oriented(self._storage, k)) for k in range(1, 8)))

    shape = property(lambda self: self.header.shape, doc="(rows, columns) in cells.")
    mpp = property(lambda self: self.header.mpp, doc="um per px of the patches.")
    patch_size = property(lambda self: self.header.patch_size, doc="Width of a patch, px at `mpp`.")
    stride = property(lambda self: self.header.stride, doc="Distance between patches, px at `mpp`.")
    slide = property(lambda self: self.header.slide, doc="Path of the slide, or None.")
    slide_mpp = property(lambda self: self.header.slide_mpp, doc="um per px of the slide's level 0.")
    origin = property(lambda self: self.header.origin, doc="Level-0 pixel (x, y) of cell (0, 0).")
    coarse_mpp = property(lambda self: self.header.coarse_mpp, doc="um per px of the coarser channels that follow.")
    fingerprint = property(lambda self: self.header.fingerprint, doc="Fingerprint of the encoder.")
    tissue_fraction = property(lambda self: self.header.tissue_fraction, doc="Tissue cells per lattice cell.")

    @property
    def n_cells(self) -> int:
        """Number of cells with tissue."""
        return self._storage.n_cells

    @property
    def code_size(self) -> int:
        """C, the length of an embedding."""
        return self._storage.code_size

    def to_dense(self, dtype: DTypeLike | None = None) -> np.ndarray:
        """Make an array of the whole grid.

        Parameters
        ----------
        dtype : dtype, default=None
            Type of the array; that of the embeddings by default.

        Returns
        -------
        ndarray (C, rows, columns)
            Embeddings, zero on background.
        """
        return np.ascontiguousarray(self.crop(0, 0, self.shape[0], self.shape[1], dtype=dtype or self.dtype))

    def crop(
        self, row: int, column: int, height: int, width: int, orientation: int = 0, dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """Cut a window out of the grid, then rotate it with `orient`; zero on background and outside the grid.

        Parameters
        ----------
        row, column : int
            First row and column of the window; may be negative.
        height, width : int
            Size of the window in cells, before it is rotated.
        orientation : int, default=0
            Number of the orientation, 0 to 7.
        dtype : dtype, default=np.float32
            Type of the array.

        Returns
        -------
        ndarray (C, height, width)
            A view of channels-last memory, so that a channels-last network can use it without a copy.
        """
        r, c = self.cells.T
        inside = (r >= row) & (r < row + height) & (c >= column) & (c < column + width)
        embeddings = self.embeddings
        out = np.zeros((height * width, self.code_size), dtype)
        if inside.all():
            out[(r - row) * width + (c - column)] = embeddings
        else:
            kept = np.flatnonzero(inside)
            out[(r[kept] - row) * width + (c[kept] - column)] = embeddings[kept]
        return orient(out.reshape(height, width, -1).transpose(2, 0, 1), orientation)

    def __repr__(self):
        try:
            rows, columns = self.shape
            text = f"{rows} x {columns} cells, {self.n_cells} with tissue, C={self.code_size}, mpp={self.mpp}"
        except GridFileError as error:
            return f"<Grid {error}>"
        return f"<Grid {Path(self.slide).name + ': ' if self.slide else ''}{text}>"
