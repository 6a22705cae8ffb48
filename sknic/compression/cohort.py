"""Many slides: one after the other or many at once, failures kept apart, a manifest of what happened."""

import os
import time
import uuid
import warnings
from contextlib import nullcontext
from dataclasses import dataclass, fields
from itertools import cycle

import joblib
import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from tqdm.auto import tqdm

from sknic.compression.engine import compress_slide, tissue_cells
from sknic.compression.orphans import leave_with
from sknic.compression.tries import Tries
from sknic.exceptions import CompressionError, SknicError, SlideFailureWarning
from sknic.files.whole import whole_file
from sknic.grids import Grid, GridCache
from sknic.slides import Lattice, Slide

MANIFEST = "manifest.csv"
OTHER_MANIFEST = "sknic-manifest.csv"
_RESTARTS = 2
# How joblib's own engine, Dask and Ray call the death of a worker; by name, for they need not be installed.
_WORKER_DEATHS = {"TerminatedWorkerError", "KilledWorker", "WorkerCrashedError"}


@dataclass(frozen=True)
class Outcome:
    """What became of one slide: status is "done", "cached" or "failed"; seconds of work; the reason of a failure."""

    slide: str
    status: str
    n_cells: int = 0
    tissue_fraction: float = 0.0
    seconds: float = 0.0
    error: str = ""
    grid: Grid | None = None

    def row(self):
        """The line of the manifest."""
        row = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "grid"}
        row["file"] = self.grid.path if self.grid is not None and self.grid.path else ""
        return row


@dataclass(frozen=True)
class Plan:
    """What would be done with one slide: "cached", "to do" or "cannot", and why; cells are the mask's estimate."""

    slide: str
    status: str
    mpp: float | None = None
    n_cells: int = 0
    reason: str = ""


def compress_cohort(
    paths, encoder, recipe, *, cache_dir=None, on_error="raise", n_jobs=None, device="cpu", batch_size=None, verbose=0
):
    """Compress slides; every one is tried, and the good ones are kept whatever happens to the others.

    Parameters
    ----------
    paths : list of str
    encoder, recipe, device, batch_size
        See `compress_slide`.
    cache_dir : str or Path, optional
        Folder that keeps grids and the manifest; nothing is kept on disk without it.
    on_error : "raise" or "skip"
        Raise one error at the end that names every failure, or warn once and leave empty grids in their rows.
    n_jobs : int, optional
        Slides at once, as joblib counts; `joblib.parallel_config` moves them to another engine.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    list of Grid, in the order of `paths`
    pandas.DataFrame
        The manifest: one row per slide with status, n_cells, tissue_fraction, seconds, error, file.

    Raises
    ------
    CompressionError
        With `on_error="raise"`, when slides failed; its `failures` says why, its `grids` holds the others.
    """
    task = joblib.delayed(_compress_one)
    cache = GridCache(cache_dir) if cache_dir is not None else None
    unique = list(dict.fromkeys(paths))
    outcomes = {}
    try:
        with _progress(unique, verbose) as bar:
            for attempt in _attempts(unique, outcomes, n_jobs):
                tries = Tries(cache.folder, uuid.uuid4().hex) if cache is not None else None
                calls = [
                    task(path, encoder, recipe, cache, of_slide, batch_size, tries, os.getpid())
                    for path, of_slide in zip(attempt.paths, _devices(device))
                ]
                attempt.run(calls, outcomes, lambda outcome: _advance(bar, outcome, outcomes))
    finally:
        manifest = pd.DataFrame([outcomes[path].row() for path in unique if path in outcomes])
        if cache is not None and len(manifest):
            _keep_manifest(cache.folder / MANIFEST, manifest)
    return _grids(paths, outcomes, encoder, on_error), manifest


def plan_cohort(paths, encoder, recipe, *, cache_dir=None, n_jobs=None, verbose=0):
    """Report what would be compressed and what cannot be, without reading any patches.

    Returns
    -------
    list of Plan, in the order of `paths`
    """
    cache = GridCache(cache_dir) if cache_dir is not None else None
    calls = (joblib.delayed(_plan_one)(path, encoder.fingerprint(), recipe, cache) for path in paths)
    plans = joblib.Parallel(n_jobs=n_jobs, return_as="generator")(calls)
    return list(tqdm(plans, total=len(paths), unit="slide", disable=not verbose))


def _devices(device):
    """Slides take turns on the GPUs of this machine, unless one GPU is named."""
    n_gpus = torch.cuda.device_count() if device == "cuda" else 0
    return cycle([f"cuda:{i}" for i in range(n_gpus)] if n_gpus > 1 else [device])


def _plan_one(path, fingerprint, recipe, cache):
    try:
        if cache is not None:
            kept = cache.get(path, cache.key(path, fingerprint, recipe.settings(path)))
            if kept is not None:
                return Plan(path, "cached", kept.slide_mpp, kept.n_cells)
        with Slide(path, mpp=recipe.mpp_of(path)) as slide:
            lattice = Lattice.of(slide, mpp=recipe.mpp, patch_size=recipe.patch_size, stride=recipe.stride)
            return Plan(path, "to do", slide.mpp, len(tissue_cells(slide, lattice, recipe)))
    except (SknicError, OSError) as error:
        return Plan(path, "cannot", reason=_reason(error, path))


def _compress_one(path, encoder, recipe, cache, device, batch_size, tries, parent):
    leave_with(parent)
    started = time.perf_counter()
    try:
        with nullcontext() if tries is None else tries.counted(path):
            status, grid = _cached_or_compressed(path, encoder, recipe, cache, device, batch_size)
    except Exception as error:  # the one place where a bad slide, whatever its fault, is kept from ending the run
        return Outcome(path, "failed", seconds=time.perf_counter() - started, error=_reason(error, path))
    seconds = time.perf_counter() - started
    return Outcome(path, status, grid.n_cells, grid.tissue_fraction, seconds, grid=grid)


def _cached_or_compressed(path, encoder, recipe, cache, device, batch_size):
    def compress():
        return compress_slide(path, encoder, recipe, device=device, batch_size=batch_size)

    if cache is None:
        return "done", compress()
    key = cache.key(path, encoder.fingerprint(), recipe.settings(path))
    grid = cache.get(path, key)
    if grid is not None:
        return "cached", grid
    with cache.lock(path, key):
        grid = cache.get(path, key)  # another process may have computed it while this one waited
        return ("cached", grid) if grid is not None else ("done", cache.put(path, key, compress()))


def _reason(error, path):
    """One line on what went wrong; the path stands beside it already."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = (" ".join(str(error).split()) or "no message").removeprefix(f"{path}: ")
    return text if isinstance(error, SknicError) else f"{type(error).__name__}: {text}"


@dataclass
class _Attempt:
    """One pass over the slides that have no outcome yet."""

    paths: list
    n_jobs: int | None

    def run(self, calls, outcomes, report):
        try:
            for outcome in _parallel(self.n_jobs)(calls):
                outcomes[outcome.slide] = outcome
                report(outcome)
        except Exception as error:
            if type(error).__name__ not in _WORKER_DEATHS:
                raise
            if len(self.paths) == 1:
                path = self.paths[0]
                outcomes[path] = Outcome(path, "failed", error=f"the worker process died: {_reason(error, path)}")
                report(outcomes[path])


def _attempts(paths, outcomes, n_jobs):
    """All slides at once; after a dead worker the rest again; at last one by one, to tell which slide kills."""
    for _ in range(1 + _RESTARTS):
        left = [path for path in paths if path not in outcomes]
        if not left:
            return
        yield _Attempt(left, n_jobs)
    # Each alone in a process of its own, so that the next killer is known by name and takes nothing with it.
    for path in paths:
        if path not in outcomes:
            yield _Attempt([path], 2)


def _parallel(n_jobs):
    """Results as they come where the engine can, so that the progress bar moves and a death loses little."""
    parallel = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    if parallel.n_jobs != 1 and not getattr(parallel._backend, "supports_return_generator", False):
        return joblib.Parallel(n_jobs=n_jobs, batch_size=1)
    return parallel


def _progress(paths, verbose):
    return tqdm(total=len(paths), unit="slide", disable=not verbose, smoothing=0.05)


def _advance(bar, outcome, outcomes):
    n_patches = sum(o.n_cells for o in outcomes.values() if o.status == "done")
    n_failed = sum(o.status == "failed" for o in outcomes.values())
    elapsed = bar.format_dict["elapsed"] or 1e-9
    bar.set_postfix_str(f"{n_patches / elapsed:,.0f} patches/s, {n_failed} failed", refresh=False)
    bar.update()


def _keep_manifest(path, manifest):
    """Merge this run's rows into the cache's manifest; the newest row of a slide wins."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path.parent / ('.' + path.name)}.lock"):
            kept = _kept_rows(path, manifest.columns)
            if kept is None:  # a file of the user's with our name
                path = path.with_name(OTHER_MANIFEST)
                kept = _kept_rows(path, manifest.columns)
            if kept is None:
                raise OSError("it and the file beside it are not manifests of sknic")
            manifest = pd.concat([kept, manifest]) if len(kept) else manifest
            with whole_file(path) as temporary:
                manifest.drop_duplicates("slide", keep="last").to_csv(temporary, index=False)
    except (OSError, pd.errors.ParserError) as error:
        warnings.warn(f"could not write {path}: {error}", SlideFailureWarning, stacklevel=3)


def _kept_rows(path, columns):
    """Rows of an earlier run, none where there is no file or an empty one; None where the file is not a manifest."""
    try:
        kept = pd.read_csv(path, keep_default_na=False)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return pd.DataFrame(columns=columns)
    except (UnicodeDecodeError, pd.errors.ParserError):
        return None
    return kept if list(kept.columns) == list(columns) else None


def _grids(paths, outcomes, encoder, on_error):
    failures = {path: outcome.error for path, outcome in outcomes.items() if outcome.status == "failed"}
    grids = [outcomes[path].grid or _empty_grid(path, outcomes, encoder) for path in paths]
    if failures:
        lines = "\n".join(f"  {path}: {reason}" for path, reason in failures.items())
        message = f"{len(failures)} of {len(outcomes)} slides could not be compressed:\n{lines}"
        if on_error == "raise":
            raise CompressionError(message, failures, [None if p in failures else g for p, g in zip(paths, grids)])
        warnings.warn(f"{message}\nTheir grids are empty.", SlideFailureWarning, stacklevel=3)
    return grids


def _empty_grid(path, outcomes, encoder):
    sizes = [o.grid.code_size for o in outcomes.values() if o.grid is not None]
    code_size = sizes[0] if sizes else getattr(encoder, "code_size", 1)
    return Grid(np.empty((0, code_size)), np.empty((0, 2)), (1, 1), slide=path, tissue_fraction=0.0)
