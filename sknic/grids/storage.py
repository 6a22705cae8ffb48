"""Where the numbers of a grid are: in memory, or in its file."""

from __future__ import annotations

import numpy as np

from sknic.grids import hdf5
from sknic.grids.embeddings import finite_embeddings
from sknic.grids.header import GridHeader


class InMemory:
    """Numbers that live in memory.

    Parameters
    ----------
    header : GridHeader
        What the grid knows.
    embeddings : array (n_cells, C)
        One row per tissue cell.
    cells : int array (n_cells, 2)
        Row and column of each embedding.
    oriented : array (7, n_cells, C), default=None
        Embeddings after orientations 1 to 7.
    """

    path = None

    def __init__(self, header, embeddings, cells, oriented=None):
        self.header = header
        self.embeddings = finite_embeddings("embeddings", embeddings)
        self.cells = np.asarray(cells, dtype=np.int32).reshape(-1, 2)
        self.oriented = oriented
        if self.embeddings.ndim != 2 or len(self.embeddings) != len(self.cells):
            raise ValueError(
                f"embeddings {self.embeddings.shape} and cells {self.cells.shape}: expected (n, C) and (n, 2)"
            )
        if not ((self.cells >= 0) & (self.cells < np.array(header.shape, np.int64))).all():
            raise ValueError(f"cells must lie inside shape {header.shape}")

    n_cells = property(lambda self: len(self.cells))
    code_size = property(lambda self: self.embeddings.shape[1])
    dtype = property(lambda self: self.embeddings.dtype)


class InFile:
    """Numbers that stay in a file of sknic until they are asked for; pickles as the path.

    Parameters
    ----------
    path : str
        Absolute path of the file.
    """

    def __init__(self, path):
        self.path = path
        self._cells = self._layout = self._header = None

    def _open(self):
        if self._header is None:
            self._header, _, self._layout = hdf5.read_header(self.path)
        return self._layout

    def _read(self, name):
        return hdf5.read_dataset(self.path, self._open()[name])

    @property
    def header(self) -> GridHeader:
        """The header, read from the file on first use."""
        self._open()
        return self._header

    @property
    def cells(self):
        """int32 array (n_cells, 2), kept once it has been read."""
        if self._cells is None:
            self._cells = np.array(self._read("cells"))
        return self._cells

    @property
    def oriented(self):
        """Array (7, n_cells, C), or None."""
        return self._read("oriented_features") if "oriented_features" in self._open() else None

    embeddings = property(lambda self: self._read("features"))
    n_cells = property(lambda self: self._open()["cells"][1][0])
    code_size = property(lambda self: self._open()["features"][1][1])
    dtype = property(lambda self: np.dtype(self._open()["features"][2]))

    def __getstate__(self):
        return self.path

    def __setstate__(self, path):
        self.__init__(path)
