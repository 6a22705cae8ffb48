"""What a network sees of a grid: square crops on a canvas of fixed size, random for training, spread for prediction."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage
from torch.utils.data import Dataset

from sknic.grids import orient_cells
from sknic.grids.prefetch import prefetch

MAX_CANVAS = 400


@dataclass(frozen=True)
class ArrayGrid:
    """The part of a Grid that an estimator reads, for embeddings given as arrays: floats (n, C), cells, shape."""

    embeddings: np.ndarray
    cells: np.ndarray
    shape: tuple[int, int]

    @property
    def code_size(self):
        return self.embeddings.shape[1]

    @property
    def dtype(self):
        return self.embeddings.dtype

    @property
    def orientations(self):
        return (self,)

    @classmethod
    def of_array(cls, array):
        """Make one from a dense array (C, rows, columns); cells that are all zero are background."""
        cells = np.argwhere((array != 0).any(axis=0)).astype(np.int32)
        return cls(np.ascontiguousarray(array[:, cells[:, 0], cells[:, 1]].T), cells, array.shape[1:])


def tissue_box(cells):
    """First row and column, and rows and columns, of the box around cells (n, 2): two int arrays (2,)."""
    if len(cells) == 0:
        return np.zeros(2, int), np.ones(2, int)
    first = cells.min(axis=0).astype(int)
    return first, cells.max(axis=0) - first + 1


def auto_canvas(grids):
    """Side in cells of the smallest square that fits the tissue of every grid, at most 400."""
    return min(MAX_CANVAS, max(int(tissue_box(grid.cells)[1].max()) for grid in grids))


def crop_density(cells):
    """Probability (n,) that a training crop is centered on each of the cells (n, 2).

    The distance to the nearest background, over its maximum, squared, normalized to sum 1 (the authors' code).
    """
    first, size = tissue_box(cells)
    tissue = np.zeros(size + 2, bool)
    at = tuple((cells - first + 1).T)
    tissue[at] = True
    distance = ndimage.distance_transform_edt(tissue)[at]
    density = (distance / distance.max()) ** 2
    return density / density.sum()


def spread_windows(cells, canvas, max_crops):
    """First row and column of the windows to predict from, a list of (int, int).

    A single centered window if the tissue fits on the canvas. Otherwise each window in turn is the one that
    contains the most tissue not yet covered, until all is covered or there are `max_crops`.
    """
    first, size = tissue_box(cells)
    if (size <= canvas).all():
        return [tuple((first - (canvas - size) // 2).tolist())]
    first = first - np.maximum(canvas - size, 0) // 2
    unseen = np.zeros(np.maximum(size, canvas), bool)
    unseen[tuple((cells - first).T)] = True
    windows = []
    while unseen.any() and len(windows) < max_crops:
        row, column = _fullest_window(unseen, canvas)
        unseen[row : row + canvas, column : column + canvas] = False
        windows.append((int(first[0] + row), int(first[1] + column)))
    return windows


def _fullest_window(mask, size):
    """Start of the window of `size` that contains most of the mask; of equal windows, the middle one."""
    total = np.pad(mask.astype(np.int32).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    count = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    best = np.argwhere(count == count.max())
    return best[len(best) // 2]


class Canvas:
    """Arranges cells as dense batches in channels-last memory.

    Parameters
    ----------
    size : int
        Rows and columns of a crop.
    n_channels : int
    dtype : numpy dtype
        Type of the embeddings. A batch is cast to float32 in one pass, which is faster than cell by cell.
    device : torch.device
        On devices other than the CPU, only the cells are copied, and arranged there.
    scaling : ChannelScaling, optional
        Scaling of the embeddings of tissue before they are arranged.

    Notes
    -----
    On the CPU, allocating memory costs as much as filling it, so memory is reused: a batch is valid until the next one.
    """

    def __init__(self, size, n_channels, dtype, device="cpu", scaling=None):
        self.size, self.n_channels, self.dtype = size, n_channels, np.dtype(dtype)
        self.device, self.scaling = torch.device(device), scaling
        self._raw = self._batch = None

    def batch(self, crops):
        """Float32 tensor (n, C, size, size) of `crops`, a list of (embeddings, cells relative to the window)."""
        inside = [self._inside(*crop) for crop in crops]
        lay_out = self._on_cpu if self.device.type == "cpu" else self._on_device
        return lay_out(inside).view(len(crops), self.size, self.size, self.n_channels).permute(0, 3, 1, 2)

    def _inside(self, embeddings, cells):
        """Embeddings of the cells inside the window, and their positions in it."""
        inside = ((cells >= 0) & (cells < self.size)).all(axis=1)
        place = cells[:, 0] * self.size + cells[:, 1]
        if inside.all():
            return embeddings, place
        kept = np.flatnonzero(inside)
        return embeddings[kept], place[kept]

    def _on_cpu(self, crops):
        self._reserve(len(crops))
        raw, batch = self._raw[: len(crops)], self._batch[: len(crops)]
        raw.fill(0)
        for plane, (embeddings, place) in zip(raw, crops):
            plane[place] = embeddings if self.scaling is None else self.scaling(embeddings)
        if raw.dtype != np.float32:
            batch.copy_(torch.from_numpy(raw))
        return batch

    def _on_device(self, crops):
        rows = np.concatenate([np.asarray(embeddings, self.dtype) for embeddings, _ in crops])
        places = np.concatenate([place.astype(np.int64) + i * self.size**2 for i, (_, place) in enumerate(crops)])
        batch = torch.zeros(len(crops) * self.size**2, self.n_channels, device=self.device)
        places, rows = torch.from_numpy(places).to(self.device), torch.from_numpy(rows).to(self.device).float()
        return batch.index_copy_(0, places, rows if self.scaling is None else self.scaling(rows))

    def _reserve(self, n):
        if self._raw is None or len(self._raw) < n:
            dtype = self.dtype if self.scaling is None else np.dtype(np.float32)
            self._raw = np.zeros((n, self.size**2, self.n_channels), dtype)
            half = dtype != np.float32
            self._batch = torch.empty(self._raw.shape) if half else torch.from_numpy(self._raw)


class TrainingCrops(Dataset):
    """A crop of each grid, drawn again each time: placed by the crop density, then rotated and mirrored.

    If a grid stores the eight orientations of its pixels, one of them is drawn; otherwise the grid itself is rotated.
    A grid whose tissue fits the canvas is placed anywhere on it.
    """

    def __init__(self, grids, targets, canvas, random):
        self.grids, self.targets, self.canvas, self.random = grids, targets, canvas, random
        self._cumulated = {}

    def __len__(self):
        return len(self.grids)

    def __getitems__(self, indices):
        return self.canvas.batch([self._draw(index) for index in indices]), self.targets[indices]

    def prefetch(self, indices):
        """Start to read the grids of the next batch."""
        prefetch(self.grids[index] for index in indices)

    def _draw(self, index):
        embeddings, cells, _ = oriented(self.grids[index], self.random.randint(8))
        return embeddings, cells - self._place(index, cells)

    def _place(self, index, cells):
        """First row and column of a window that contains all tissue, or is centered deep inside the tissue."""
        first, size = tissue_box(cells)
        room = self.canvas.size - size
        anywhere = first - self.random.randint(np.maximum(room, 0) + 1)
        if (room >= 0).all():
            return anywhere
        center = cells[np.searchsorted(self._density(index, cells), self.random.uniform())]
        deep = np.clip(center - self.canvas.size // 2, first, first + np.maximum(-room, 0))
        return np.where(room >= 0, anywhere, deep)

    def _density(self, index, cells):
        # The density belongs to the cell, whichever way the grid is turned.
        if index not in self._cumulated:
            cumulated = np.cumsum(crop_density(cells))
            self._cumulated[index] = (cumulated / cumulated[-1]).astype(np.float32)
        return self._cumulated[index]


def oriented(grid, number):
    """Embeddings, cells and shape of an orientation: as stored in the grid, or of the grid itself, rotated."""
    versions = grid.orientations
    stored = versions[number] if number < len(versions) else versions[0]
    return stored.embeddings, *oriented_cells(grid, number)


def oriented_cells(grid, number):
    """Cells and shape of an orientation; embeddings, which a file may hold, are not read."""
    versions = grid.orientations
    if number < len(versions):
        return versions[number].cells, versions[number].shape
    return orient_cells(versions[0].cells, versions[0].shape, number)


def n_versions(grid, canvas_size, turned):
    """Number of orientations that a prediction averages over: those stored in the grid, or eight if it is rotated."""
    # A canvas of one cell looks the same whichever way it is turned.
    return max(len(grid.orientations), 8 if turned and canvas_size > 1 else 1)


class SpreadCrops(Dataset):
    """The same crops of each grid each time, spread over its tissue and over its orientations.

    Parameters
    ----------
    grids : list of grids
    targets : tensor (n, ...)
    canvas : Canvas
    max_crops : int
        Maximum number of crops per orientation.
    max_orientations : int
        1 uses only the slide as it is.
    turned : bool
        Whether a grid that stores one orientation of its pixels is itself rotated and mirrored, so that it has eight
        too.

    Attributes
    ----------
    owner : int array (n_crops,)
        The grid of each crop.
    """

    def __init__(self, grids, targets, canvas, max_crops, max_orientations=8, turned=False):
        self.grids, self.canvas = grids, canvas
        self._windows = [
            (index, version, window)
            for index, grid in enumerate(grids)
            for version in range(min(max_orientations, n_versions(grid, canvas.size, turned)))
            for window in spread_windows(oriented_cells(grid, version)[0], canvas.size, max_crops)
        ]
        self.owner = np.array([index for index, _, _ in self._windows])
        self.targets = targets[self.owner]

    def __len__(self):
        return len(self._windows)

    def __getitems__(self, indices):
        ahead = self.owner[indices[-1] + 1 : indices[-1] + 1 + len(indices)]  # crops are read in their order
        prefetch(self.grids[i] for i in dict.fromkeys(ahead.tolist()) if i != self.owner[indices[-1]])
        return self.canvas.batch([self._read(*self._windows[i]) for i in indices]), self.targets[indices]

    def _read(self, index, version, window):
        embeddings, cells, _ = oriented(self.grids[index], version)
        return embeddings, cells - window

    def batches(self, size=8):
        """Rows of crops that are read together, at most `size`, and never from two grids."""
        starts = np.flatnonzero(np.diff(self.owner, prepend=-1))
        ends = [*starts[1:].tolist(), len(self.owner)]
        return [list(range(i, min(i + size, end))) for start, end in zip(starts, ends) for i in range(start, end, size)]
