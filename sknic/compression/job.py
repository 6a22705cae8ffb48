"""Job: the compression of one slide, and its outcome."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import torch

from sknic.compression.emptiness import why_empty
from sknic.compression.engine import compress_slide, lattice_of, tissue_cells
from sknic.compression.recipe import Recipe
from sknic.exceptions import InvalidMppError, MissingMppError, SknicError
from sknic.files.identity import file_identity
from sknic.grids import Grid, GridCache
from sknic.slides import Slide, located

MPP_HINT = "; SlideCompressor(slide_mpp=...) or --slide-mpp states it"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one slide.

    Attributes
    ----------
    slide : str
        Path as it was given.
    status : str
        "done"; "cached" if the grid already existed; "no tissue" if the grid has no cells; or "failed".
    n_cells : int
        Number of cells of the grid.
    tissue_fraction : float
        Share of the slide's cells that the grid has.
    seconds : float
        Time of the work, in s.
    error : str
        Reason of "no tissue" and "failed"; empty otherwise.
    grid : Grid or None
        The grid, without cells if there is no tissue; None if the slide failed.
    """

    slide: str
    status: str
    n_cells: int = 0
    tissue_fraction: float = 0.0
    seconds: float = 0.0
    error: str = ""
    grid: Grid | None = None

    @property
    def is_usable(self) -> bool:
        """Whether there is a grid with at least one cell."""
        return self.n_cells > 0

    def row(self) -> dict[str, Any]:
        """Return the line of the manifest.

        Returns
        -------
        dict of str to object
            Every field but the grid, and "file", the file of the grid.
        """
        row = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "grid"}
        row["file"] = self.grid.path if self.grid is not None and self.grid.path else ""
        return row

    @classmethod
    def of_row(cls, row: dict[str, str]) -> Outcome:
        """Read a line of the manifest.

        Parameters
        ----------
        row : dict of str to str
            Its cells by column.

        Returns
        -------
        Outcome
            Outcome of the slide, without its grid.
        """
        n_cells, tissue, seconds = int(row["n_cells"]), float(row["tissue_fraction"]), float(row["seconds"])
        return cls(row["slide"], row["status"], n_cells, tissue, seconds, row["error"])


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done with one slide.

    Attributes
    ----------
    slide : str
        Path as it was given.
    status : str
        "cached", "to do", "no tissue" or "cannot".
    mpp : float or None
        um per px of level 0; None if unknown.
    n_cells : int
        Number of cells according to the mask.
    reason : str
        Reason of "no tissue" and "cannot"; empty otherwise.
    """

    slide: str
    status: str
    mpp: float | None = None
    n_cells: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Job:
    """The compression of any one slide: called with a path, it returns an `Outcome` and never raises an Exception.

    Attributes
    ----------
    encoder : object
        Fitted encoder.
    recipe : Recipe
        Settings of the compression.
    cache : GridCache or None
        Folder that keeps the grids.
    device : str
        Name of the torch device.
    batch_size : int or None
        Patches encoded at once on a GPU.
    """

    encoder: Any
    recipe: Recipe
    cache: GridCache | None = None
    device: str = "cpu"
    batch_size: int | None = None

    def __call__(self, path: str) -> Outcome:
        """Compress one slide, or find its grid in the cache."""
        started = time.perf_counter()
        try:
            status, grid = self._cached_or_compressed(path)
            reason = "" if grid.n_cells else self._why_empty(path)
        except Exception as error:  # the one place where a bad slide, whatever its fault, is kept from ending the run
            return Outcome(path, "failed", seconds=time.perf_counter() - started, error=reason_of(error, path))
        status = status if grid.n_cells else "no tissue"
        seconds = time.perf_counter() - started
        return Outcome(path, status, grid.n_cells, grid.tissue_fraction or 0.0, seconds, reason, grid)

    def kept(self, path: str) -> Outcome | None:
        """Return the outcome if the cache has a grid with tissue; None if there is anything left to do or report."""
        started = time.perf_counter()
        try:
            grid = self._cached(*self._key(path)) if self.cache is not None else None
        except Exception:  # a call tries again, and says what is wrong
            return None
        if grid is None or not grid.n_cells:
            return None
        return Outcome(
            path, "cached", grid.n_cells, grid.tissue_fraction or 0.0, time.perf_counter() - started, "", grid
        )

    def plan_of_kept(self, path: str) -> Plan | None:
        """Report that the cache has a grid with tissue; None if there is anything left to do or report."""
        try:
            grid = self.cache.get(*self._key(path)) if self.cache is not None else None
        except Exception:  # `plan` tries again, and says what is wrong
            return None
        return Plan(path, "cached", grid.slide_mpp, grid.n_cells) if grid is not None and grid.n_cells else None

    def plan(self, path: str) -> Plan:
        """Report what a call would do with a slide that is not in the cache, without reading any patches."""
        try:
            if self.cache is not None:
                self._key(path)  # raises what keeps a slide from having one
            with Slide(path, mpp=self.recipe.mpp_of(path)) as slide:
                lattice = lattice_of(slide, self.recipe)
                n_cells = len(tissue_cells(slide, lattice, self.recipe))
                reason = "" if n_cells else why_empty(slide, lattice, self.recipe)
                return Plan(path, "to do" if n_cells else "no tissue", slide.mpp, n_cells, reason)
        except Exception as error:  # as above: one slide, one line
            return Plan(path, "cannot", reason=reason_of(error, path))

    def on_each_device(self) -> list[Job]:
        """Return a copy of this job for each device that slides take turns on: every GPU, unless one is named."""
        n_gpus = torch.cuda.device_count() if self.device == "cuda" else 0
        return [replace(self, device=f"cuda:{i}") for i in range(n_gpus)] if n_gpus > 1 else [self]

    def _key(self, path):
        """Main file of the slide, and digest of everything that determines its grid."""
        (file, *others), status = located(path)
        settings = self.recipe.settings(path)
        if others:
            settings["files"] = [file_identity(other) for other in others]
        return file, self.cache.key(file, self._fingerprint, settings, status)

    @cached_property
    def _fingerprint(self):
        return self.encoder.fingerprint()

    def _cached_or_compressed(self, path):
        if self.cache is None:
            return "done", self._compress(path)
        file, key = self._key(path)
        grid = self._cached(file, key)
        if grid is not None:
            return "cached", grid
        with self.cache.lock(file, key):
            grid = self.cache.get(file, key)  # another process may have computed it while this one waited
            return ("cached", grid) if grid is not None else ("done", self.cache.put(file, key, self._compress(path)))

    def _cached(self, file, key):
        grid = self.cache.get(file, key)
        return None if grid is None else self._at_current_path(file, grid, key)

    def _compress(self, path):
        return compress_slide(path, self.encoder, self.recipe, device=self.device, batch_size=self.batch_size)

    def _at_current_path(self, path, grid, key):
        """The grid with the path of its slide refreshed, where the slide has moved since."""
        if grid.slide == os.path.abspath(path) or (grid.slide is not None and os.path.exists(grid.slide)):
            return grid
        try:
            return self.cache.refresh(path, key)
        except SknicError:  # a read-only cache still serves what it has
            return grid

    def _why_empty(self, path):
        with Slide(path, mpp=self.recipe.mpp_of(path)) as slide:
            return why_empty(slide, lattice_of(slide, self.recipe), self.recipe)


def reason_of(error: BaseException, path: str) -> str:
    """Return one line on what went wrong; the path of the slide is shown next to it.

    Parameters
    ----------
    error : BaseException
        What was raised.
    path : str
        Path of the slide.

    Returns
    -------
    str
        The message, preceded by the class if it is not one of sknic's.
    """
    if isinstance(error, OSError) and error.strerror:
        where = error.filename if error.filename and os.fspath(error.filename) != path else None
        return f"{error.strerror}: {where}" if where else error.strerror
    text = (" ".join(str(error).split()) or "no message").removeprefix(f"{path}: ")
    if isinstance(error, MissingMppError | InvalidMppError):
        text += MPP_HINT
    return text if isinstance(error, SknicError) else f"{type(error).__name__}: {text}"
