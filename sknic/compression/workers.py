"""One process with a thread per core, or a worker per core: chosen by the work ahead.

Workers take seconds to start. One process has only one core at work while it opens a slide, finds its tissue and writes
its grid. The first slide, compressed in this process, tells how long that takes with this encoder on this machine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import joblib
from joblib.parallel import get_active_backend

from sknic.compression.engine import lattice_of
from sknic.compression.recipe import Recipe
from sknic.slides import Slide

AUTO = "auto"
# CPU s until a worker has imported torch and unpacked an encoder; measured on an AMD EPYC.
START = 3.7


@dataclass(frozen=True)
class Pace:
    """CPU time of one process per cell of the lattice, with or without tissue, in s.

    Attributes
    ----------
    serial : float
        In which one thread works and the others wait.
    parallel : float
        Of all threads that read and encode.
    """

    serial: float
    parallel: float

    def saved(self, workers: int, n_cores: int, n_threads: int) -> float:
        """Return the time per cell that workers save.

        Parameters
        ----------
        workers : int
            Number of workers, each with its share of the cores.
        n_cores : int
            Number of cores.
        n_threads : int
            Number of threads of a process without workers.

        Returns
        -------
        float
            In s; negative if they lose.
        """
        share = max(1, n_cores // workers)
        return self.serial + self.parallel / n_threads - (self.serial + self.parallel / share) / workers


def n_workers(saved: float, workers: int, cells: Iterable[int]) -> int:
    """Choose between one process and several workers: they have to save more than their start takes.

    Parameters
    ----------
    saved : float
        Time per cell that workers save, in s.
    workers : int
        Number of workers.
    cells : iterable of int
        Cells of the lattice of each slide that is left; read only as far as needed.

    Returns
    -------
    int
        1 or `workers`.
    """
    ahead = 0
    if workers > 1 and saved > 0:
        for n_cells in cells:
            ahead += n_cells
            if ahead * saved > START:
                return workers
    return 1


def n_cores_here() -> int | None:
    """Return the number of cores for workers on this machine, or None if the caller chose a joblib backend.

    Returns
    -------
    int or None
        At least 1.
    """
    backend, _ = get_active_backend()
    return joblib.effective_n_jobs(-1) if type(backend).__name__ == "LokyBackend" else None


def cells_of(path: str, recipe: Recipe) -> int:
    """Count the cells of a slide's lattice without reading a pixel.

    Parameters
    ----------
    path : str
        The slide.
    recipe : Recipe
        Settings of the compression.

    Returns
    -------
    int
        0 for a slide that cannot be opened, which will take no time.
    """
    try:
        with Slide(path, mpp=recipe.mpp_of(path)) as slide:
            rows, columns = lattice_of(slide, recipe).shape
    except Exception:  # compressing it says what is wrong
        return 0
    return rows * columns
