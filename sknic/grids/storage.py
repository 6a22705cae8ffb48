"""Storage of a grid's numbers: in memory, in its file, or as one orientation of another grid."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from sknic.exceptions import GridFileError
from sknic.grids import hdf5
from sknic.grids.embeddings import finite_embeddings
from sknic.grids.header import GridHeader
from sknic.grids.orientation import orient_cells


class InMemory:
    """Numbers in memory.

    Parameters
    ----------
    header : GridHeader
        Header of the grid.
    embeddings : array (n_cells, C)
        One row per tissue cell.
    cells : int array (n_cells, 2)
        Row and column of each embedding.
    oriented : array (7, n_cells, C), default=None
        Embeddings after orientations 1 to 7.
    """

    __slots__ = ("cells", "embeddings", "header", "oriented")
    path = None

    def __init__(self, header, embeddings, cells, oriented=None):
        self.header = header
        self.embeddings = _own(finite_embeddings("embeddings", embeddings), embeddings)
        self.cells = _own(_whole(cells).reshape(-1, 2), cells)
        self.oriented = None if oriented is None else _own(finite_embeddings("oriented_embeddings", oriented), oriented)
        if self.embeddings.ndim != 2 or len(self.embeddings) != len(self.cells):
            raise ValueError(
                f"embeddings {self.embeddings.shape} and cells {self.cells.shape}: expected (n, C) and (n, 2)"
            )
        if not ((self.cells >= 0) & (self.cells < np.array(header.shape, np.int64))).all():
            raise ValueError(f"cells must lie inside shape {header.shape}")
        _refuse_repeated(self.cells, header.shape)
        if oriented is not None and np.shape(oriented) != (7, *self.embeddings.shape):
            expected = f"expected {(7, *self.embeddings.shape)}, orientations 1 to 7"
            raise ValueError(f"oriented_embeddings {np.shape(oriented)}: {expected}")

    def oriented_embeddings(self, k):
        """Embeddings (n_cells, C) after orientation k, 1 to 7."""
        return self.oriented[k - 1]

    has_oriented = property(lambda self: self.oriented is not None)
    n_cells = property(lambda self: len(self.cells))
    code_size = property(lambda self: self.embeddings.shape[1])
    dtype = property(lambda self: self.embeddings.dtype)


def _own(array, given):
    """An array that does not share its numbers with what was given, and that nobody can write."""
    is_shared = isinstance(given, np.ndarray) and np.may_share_memory(array, given)
    return _locked(array.copy() if is_shared else array)


def _locked(array):
    """The array, which nobody can write: a change of what a grid hands out would be a change of the grid."""
    array.flags.writeable = False
    return array


def _is_same_grid(now, before):
    """Whether a cache wrote the same grid again, perhaps under another path of its slide."""
    same_key = before is None or (now.key is not None and now.key == before.key)
    return same_key and (before is None or replace(now.header, slide=None) == replace(before.header, slide=None))


def _whole(cells):
    """Cells as int32; ValueError for fractions, such as level-0 px divided by a stride."""
    given = np.asarray(cells)
    whole = given.astype(np.int32)
    if given.dtype.kind == "f" and (given != whole).any():
        raise ValueError(f"cells contain {given[given != whole].ravel()[0]}: expected whole rows and columns")
    return whole


def _refuse_repeated(cells, shape):
    places = cells[:, 0].astype(np.int64) * int(shape[1]) + cells[:, 1]
    values, counts = np.unique(places, return_counts=True)
    if len(values) < len(places):
        row, column = divmod(int(values[counts.argmax()]), int(shape[1]))
        raise ValueError(f"cell ({row}, {column}) has {counts.max()} embeddings: expected one for each cell")


class InFile:
    """Numbers that stay in a file of sknic until they are needed; pickled as the path.

    Parameters
    ----------
    path : str
        Absolute path of the file.
    stored : hdf5.Stored, default=None
        What the file says of the grid; read on first use by default.
    """

    __slots__ = ("_cells", "_stored", "path")

    def __init__(self, path, stored=None):
        self.path = path
        self._stored, self._cells = stored, None

    @property
    def _layout(self):
        return self._open().layout

    def _open(self):
        if self._stored is None:
            self._stored = hdf5.read_header(self.path)
        return self._stored

    def _now(self):
        """Layout of the file as it is now: if its slide is moved, another run writes it again, with other offsets."""
        stored = hdf5.read_header(self.path)  # which a process reads once, as long as the file stays the same
        if stored != self._stored:
            if not _is_same_grid(stored, self._stored):
                raise GridFileError(
                    f"{self.path} was written again and is the grid of {stored.header.slide} now; write each grid to a "
                    "file of its own"
                )
            self._stored, self._cells = stored, None
        return stored.layout

    def _read(self, name):
        return hdf5.read_dataset(self.path, self._now().place(name))

    @property
    def header(self) -> GridHeader:
        """The header."""
        return self._open().header

    @property
    def cells(self):
        """int32 array (n_cells, 2), kept once it has been read, as long as the file stays the same."""
        layout = self._now()
        if self._cells is None:
            self._cells = _locked(np.array(hdf5.read_dataset(self.path, layout.place("cells"))))
        return self._cells

    @property
    def oriented(self):
        """Array (7, n_cells, C), or None."""
        return self._read("oriented") if self.has_oriented else None

    def oriented_embeddings(self, k):
        """Embeddings (n_cells, C) after orientation k, 1 to 7; the others are not read."""
        return hdf5.read_dataset(self.path, self._now().oriented_place(k))

    @property
    def extent(self):
        """First byte of the embeddings in the file, and their number of bytes."""
        offset, (n_cells, code_size), dtype = self._layout.place("features")
        return offset or 0, n_cells * code_size * np.dtype(dtype).itemsize

    has_oriented = property(lambda self: self._layout.oriented_type is not None)
    embeddings = property(lambda self: self._read("features"))
    n_cells = property(lambda self: self._layout.n_cells)
    code_size = property(lambda self: self._layout.code_size)
    dtype = property(lambda self: np.dtype(self._layout.features_type))

    def __getstate__(self):
        return self.path

    def __setstate__(self, path):
        self.__init__(path)


class Oriented:
    """One orientation of the pixels in another storage: its own embeddings, at rotated cells.

    Parameters
    ----------
    storage : InMemory or InFile
        The storage that contains it.
    k : int, 1 to 7
        Number of the orientation.
    """

    path = oriented = None
    has_oriented = False

    def __init__(self, storage, k):
        self._storage, self._k = storage, k

    @cached_property
    def _turned(self):
        # Eight orientations are listed to use one of them: the others are not worked out.
        return orient_cells(self._storage.cells, self._storage.header.shape, self._k)

    @cached_property
    def header(self):
        """Header without properties that do not hold for a rotated slide, such as its corner."""
        known = self._storage.header
        return GridHeader(self._turned[1], known.mpp, known.patch_size, known.stride, known.slide)

    cells = property(lambda self: self._turned[0])
    embeddings = property(lambda self: self._storage.oriented_embeddings(self._k))
    n_cells = property(lambda self: self._storage.n_cells)
    code_size = property(lambda self: self._storage.code_size)
    dtype = property(lambda self: self._storage.dtype)
