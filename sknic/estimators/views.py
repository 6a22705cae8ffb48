"""What a fitted network sees of one grid, view by view and crop by crop, for saliency."""

from dataclasses import dataclass

import numpy as np

from sknic.estimators.crops import oriented, spread_windows
from sknic.grids import orient_back


@dataclass(frozen=True)
class View:
    """One orientation of a grid that a prediction averages over.

    Attributes
    ----------
    orientation : int
        Number of the orientation, 0 to 7, as `sknic.grids.orient` counts them.
    embeddings : float array (n, C)
        Embeddings of the cells.
    cells : int32 array (n, 2)
        Row and column of each in the oriented grid.
    shape : (rows, columns)
        Size of the oriented grid.
    """

    orientation: int
    embeddings: np.ndarray
    cells: np.ndarray
    shape: tuple[int, int]

    def map(self, canvas, of_crop):
        """Map values of crops that cover all tissue, averaged where they overlap, in the orientation of the grid.

        Parameters
        ----------
        canvas : Canvas
            Arranges cells as the network sees them.
        of_crop : callable
            Function from a crop, tensor (1, C, size, size), to the values of its cells, array (size, size).
        """
        total, count = np.zeros(self.shape), np.zeros(self.shape)
        for corner in spread_windows(self.cells, canvas.size, len(self.cells)):
            places = self.cells - corner
            inside = ((places >= 0) & (places < canvas.size)).all(axis=1)
            values = of_crop(canvas.batch([(self.embeddings, places)]))
            there = tuple(self.cells[inside].T)
            total[there] += values[tuple(places[inside].T)]
            count[there] += 1
        return orient_back(total / np.maximum(count, 1), self.orientation)


def views_of(grid, n_views):
    """Yield the first orientations of a grid: the stored ones, or rotated ones if it stores only one."""
    for number in range(n_views):
        embeddings, cells, shape = oriented(grid, number)
        yield View(number, np.asarray(embeddings), np.asarray(cells), shape)
