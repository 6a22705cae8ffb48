"""Grid: one compressed slide, a sparse image whose pixels are embeddings."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sknic.exceptions import GridFileError
from sknic.files.whole import whole_file
from sknic.grids import export, hdf5
from sknic.grids.foreign import read_foreign

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import ArrayLike, DTypeLike


def orient(array: np.ndarray, k: int) -> np.ndarray:
    """Turn and mirror the last two axes of an array.

    Parameters
    ----------
    array : array (..., rows, columns)
    k : int, 0 to 7
        `k % 4` counter-clockwise quarter turns, after a left-right mirror when `k >= 4`.
    """
    mirrored = array[..., ::-1] if k >= 4 else array
    return np.rot90(mirrored, k % 4, axes=(-2, -1))


def orient_cells(cells, shape, k):
    """Where `orient` takes each cell: cells int32 (n, 2) and shape of the oriented grid."""
    rows, columns = shape
    r, c = np.asarray(cells, np.int32).T
    if k >= 4:
        c = columns - 1 - c
    for _ in range(k % 4):
        r, c = columns - 1 - c, r
        rows, columns = columns, rows
    return np.stack([r, c], axis=1).astype(np.int32), (rows, columns)


class Grid:
    """One compressed slide (paper, Fig. 1): embeddings at the cells that hold tissue, zero elsewhere.

    Parameters
    ----------
    embeddings : array (n_cells, C)
        One row per tissue cell; stored as float16, or as float32 where float16 overflows.
    cells : int32 array (n_cells, 2)
        Row and column of each embedding.
    shape : (rows, columns)
        Size of the grid in cells.
    mpp : float, optional
        um per px of the patches.
    patch_size, stride : int, optional
        Width of a patch and distance between patches, px at `mpp`; `stride` is `patch_size` by default.
    slide : str, optional
        Path of the slide.
    slide_mpp : float, optional
        um per px of the slide's level 0.
    origin : (x, y)
        Level-0 pixel at which cell (0, 0) starts.
    fingerprint : str, optional
        Fingerprint of the encoder that made it.
    tissue_fraction : float, optional
        Share of the lattice's cells that hold tissue.
    oriented_embeddings : float16 array (7, n_cells, C), optional
        The embeddings of the same patches after orientations 1 to 7 of their pixels (see `orient`).

    Notes
    -----
    A grid read from a file keeps the path, pickles as the path and maps the numbers when they are touched.
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        cells: np.ndarray,
        shape: tuple[int, int],
        mpp: float | None = None,
        patch_size: int | None = None,
        stride: int | None = None,
        slide: str | None = None,
        slide_mpp: float | None = None,
        origin: tuple[int, int] = (0, 0),
        fingerprint: str | None = None,
        tissue_fraction: float | None = None,
        oriented_embeddings: np.ndarray | None = None,
    ) -> None:
        self._embeddings = hdf5.finite_embeddings("embeddings", embeddings)
        self._cells = np.asarray(cells, dtype=np.int32).reshape(-1, 2)
        self._oriented = oriented_embeddings
        self._path = self._layout = None
        self._header = hdf5.GridHeader(
            shape=(int(shape[0]), int(shape[1])),
            mpp=None if mpp is None else float(mpp),
            patch_size=None if patch_size is None else int(patch_size),
            stride=patch_size if stride is None else int(stride),
            slide=None if slide is None else str(slide),
            slide_mpp=None if slide_mpp is None else float(slide_mpp),
            origin=(int(origin[0]), int(origin[1])),
            fingerprint=fingerprint,
            tissue_fraction=None if tissue_fraction is None else float(tissue_fraction),
        )
        self._check()

    def _check(self):
        if self._embeddings.ndim != 2 or len(self._embeddings) != len(self._cells):
            raise ValueError(
                f"embeddings {self._embeddings.shape} and cells {self._cells.shape}: expected (n, C) and (n, 2)"
            )
        inside = (self._cells >= 0) & (self._cells < np.array(self.shape, np.int64))
        if not inside.all():
            raise ValueError(f"cells must lie inside shape {self.shape}")

    @classmethod
    def from_dense(
        cls, array: ArrayLike, mpp: float | None = None, patch_size: int | None = None, slide: str | None = None
    ) -> Self:
        """Grid of an array (C, rows, columns); cells whose embedding is zero throughout are background."""
        array = np.asarray(array)
        if array.ndim != 3:
            raise ValueError(f"array has shape {array.shape}; expected (C, rows, columns)")
        cells = np.argwhere((array != 0).any(axis=0))
        return cls(array[:, cells[:, 0], cells[:, 1]].T, cells, array.shape[1:], mpp, patch_size, slide=slide)

    @classmethod
    def read(cls, path: str | Path, mpp: float | None = None) -> Self:
        """Grid of a file that sknic, TRIDENT or CLAM wrote.

        Parameters
        ----------
        path : str or Path
        mpp : float, optional
            um per px of the patches, for foreign files that do not say it.

        Raises
        ------
        GridFileError
            If the file is missing, damaged or holds no features.
        """
        path = os.path.abspath(path)
        if not hdf5.is_own(path):
            with hdf5.open_grid_file(path) as file:
                header, features, cells = read_foreign(path, file, mpp)
            grid = cls(features, cells, header.shape)
            grid._header = header
            return grid
        grid = cls.__new__(cls)
        grid.__setstate__({"path": path})
        grid._open()
        return grid

    def write(self, path: str | Path, key: str | None = None) -> Grid:
        """Write the grid to an HDF5 file, atomically; returns the grid of that file."""
        oriented = self._oriented_embeddings()
        hdf5.write_grid_file(path, self._open(), self.embeddings, self.cells, oriented, key)
        return Grid.read(path)

    def _open(self):
        """The header, read from the file on first use."""
        if self._header is None:
            self._header, _, self._layout = hdf5.read_header(self._path)
        return self._header

    def _map(self, name):
        self._open()
        return hdf5.map_dataset(self._path, self._layout[name])

    @property
    def path(self) -> str | None:
        """File of the grid, or None while it lives in memory."""
        return self._path

    @property
    def embeddings(self) -> np.ndarray:
        """float16 array (n_cells, C)."""
        return self._map("features") if self._path else self._embeddings

    @property
    def cells(self) -> np.ndarray:
        """int32 array (n_cells, 2): row and column of each embedding."""
        if self._cells is None:
            self._cells = np.array(self._map("cells"))
        return self._cells

    def _oriented_embeddings(self):
        self._open()
        if self._path:
            return self._map("oriented_features") if "oriented_features" in self._layout else None
        return self._oriented

    @property
    def orientations(self) -> tuple[Grid, ...]:
        """The slide's grids, one per orientation of its pixels: (self,) or eight of them."""
        oriented = self._oriented_embeddings()
        return (self,) if oriented is None else (self, *(self._oriented_grid(oriented, k) for k in range(1, 8)))

    def _oriented_grid(self, oriented, k):
        cells, shape = orient_cells(self.cells, self.shape, k)
        return Grid(oriented[k - 1], cells, shape, self.mpp, self.patch_size, self.stride, self.slide)

    shape = property(lambda self: self._open().shape, doc="(rows, columns) in cells.")
    mpp = property(lambda self: self._open().mpp, doc="um per px of the patches.")
    patch_size = property(lambda self: self._open().patch_size, doc="Width of a patch, px at `mpp`.")
    stride = property(lambda self: self._open().stride, doc="Distance between patches, px at `mpp`.")
    slide = property(lambda self: self._open().slide, doc="Path of the slide, or None.")
    slide_mpp = property(lambda self: self._open().slide_mpp, doc="um per px of the slide's level 0.")
    origin = property(lambda self: self._open().origin, doc="Level-0 pixel (x, y) of cell (0, 0).")
    fingerprint = property(lambda self: self._open().fingerprint, doc="Fingerprint of the encoder.")
    tissue_fraction = property(lambda self: self._open().tissue_fraction, doc="Tissue cells per lattice cell.")

    @property
    def n_cells(self) -> int:
        """Number of cells that hold tissue."""
        return self._layout["cells"][1][0] if self._path and self._open() else len(self._cells)

    @property
    def code_size(self) -> int:
        """C, the length of an embedding."""
        return self._layout["features"][1][1] if self._path and self._open() else self._embeddings.shape[1]

    def to_dense(self, dtype: DTypeLike = np.float16) -> np.ndarray:
        """The whole grid as an array (C, rows, columns), zero on background."""
        return np.ascontiguousarray(self.crop(0, 0, self.shape[0], self.shape[1], dtype=dtype))

    def crop(
        self, row: int, column: int, height: int, width: int, orientation: int = 0, dtype: DTypeLike = np.float32
    ) -> np.ndarray:
        """A window of the grid, then turned by `orient`; zero on background and outside the grid.

        Parameters
        ----------
        row, column : int
            First row and column of the window; may be negative.
        height, width : int
            Size of the window in cells, before it is turned.
        orientation : int, 0 to 7

        Returns
        -------
        array (C, height, width) of `dtype`
            A view on channels-last memory, so that a channels-last network takes it without a copy.
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

    def to_geojson(self, values: dict[str, Any] | None = None, path: str | Path | None = None) -> dict:
        """Cells as a GeoJSON FeatureCollection that QuPath imports as tiles with measurements.

        Corners are level-0 px from the corner of the slide's bounds (`openslide.bounds-x`, `-y`), where QuPath starts
        counting; `coords` of a grid file, which TRIDENT and CLAM read, count from the corner of the file.

        Parameters
        ----------
        values : dict of str to array, optional
            Numbers to attach: `(n_cells,)` in the order of `cells`, or `(rows, columns)`. The embeddings by default.
        path : str or Path, optional
            Also write the JSON there.

        Returns
        -------
        dict
        """
        if values is None:
            values = {f"embedding {i}": column for i, column in enumerate(self.embeddings.T)}
        columns = {name: self._per_cell(name, value) for name, value in values.items()}
        collection = export.geojson(self._open(), self.cells, columns)
        if path is not None:
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps(collection))
        return collection

    def to_anndata(self) -> AnnData:
        """Cells as the observations of an AnnData, for scanpy, squidpy and what else reads one.

        Returns
        -------
        anndata.AnnData
            `X` float32 (n_cells, C), the embeddings; `obs["row"]`, `obs["column"]`; `obsm["spatial"]` float64
            (n_cells, 2), center of each patch in level-0 px from the corner of the file, x before y.

        Raises
        ------
        ImportError
            Without the package `anndata` (``pip install "sknic[anndata]"``).
        """
        return export.anndata(self._open(), self.cells, self.embeddings)

    def _per_cell(self, name, value):
        value = np.asarray(value)
        if value.shape == tuple(self.shape):
            return value[tuple(self.cells.T)]
        if value.shape != (self.n_cells,):
            raise ValueError(f"values[{name!r}] has shape {value.shape}; expected {(self.n_cells,)} or {self.shape}")
        return value

    def __getstate__(self):
        if self._path:
            return {"path": self._path}
        return self.__dict__

    def __setstate__(self, state):
        if "path" in state:
            self._path = state["path"]
            self._header = self._layout = self._cells = self._embeddings = self._oriented = None
        else:
            self.__dict__.update(state)

    def __repr__(self):
        try:
            rows, columns = self.shape
            text = f"{rows} x {columns} cells, {self.n_cells} with tissue, C={self.code_size}, mpp={self.mpp}"
        except GridFileError as error:
            text = str(error)
        return f"<Grid {Path(self.slide).name + ': ' if self._header and self.slide else ''}{text}>"
