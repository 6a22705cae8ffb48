"""Many slides at once, repeated when a worker dies, so that a slide that kills its process affects no other."""

from __future__ import annotations

import itertools
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import nullcontext

import joblib
import torch
from joblib.parallel import get_active_backend

from sknic.compression.engine import in_order
from sknic.compression.job import Job, Outcome, Plan, reason_of
from sknic.compression.orphans import leave_with
from sknic.compression.shipped import Shipped
from sknic.compression.tries import Tries
from sknic.compression.workers import AUTO, Pace, cells_of, n_cores_here, n_workers
from sknic.exceptions import WorkerDiedError

RESTARTS = 2
# Slides looked for in the cache at once: on a network file system each waits for some twenty answers, most of them the
# samples of its identity.
LOOKUPS = 8
# How joblib's own engine, Dask and Ray call the death of a worker; by name, for they need not be installed.
WORKER_DEATHS = {"TerminatedWorkerError", "KilledWorker", "WorkerCrashedError"}


def run(job: Job, paths: Iterable[str], *, n_jobs: int | str | None = None) -> Iterator[Outcome]:
    """Do a job for each slide: all in parallel; after a worker died, the rest again; finally one by one.

    The cache is searched here, because sending a slide to a worker would cost more than that.

    Parameters
    ----------
    job : Job
        Job to do.
    paths : iterable of str
        Paths of slides; a repeated path is processed once.
    n_jobs : int or "auto", default=None
        Number of slides at once, as in joblib; `joblib.parallel_config` selects another backend. "auto" chooses by the
        work ahead, see `workers`.

    Yields
    ------
    Outcome
        One per slide, in the order in which they finish.
    """
    left = dict.fromkeys(paths)
    for outcome in _looked_up(job.kept, job, list(left)):
        del left[outcome.slide]
        yield outcome
    if n_jobs == AUTO:
        n_jobs = yield from _first_alone(job, left)
    for _ in range(1 + RESTARTS):
        if not left:
            return
        try:
            for outcome in _at_once(job, list(left), n_jobs):
                del left[outcome.slide]
                yield outcome
        except Exception as error:
            if type(error).__name__ not in WORKER_DEATHS:
                raise
    yield from (_alone(job, path) for path in left)


def _first_alone(job, left):
    """Yield outcomes of slides that are compressed here until one is done; return `n_jobs` for the others."""
    if job.device != "cpu":
        return len(job.on_each_device())
    while left and (n_cores := n_cores_here()) is not None:
        path, serial, started = next(iter(left)), time.thread_time(), time.process_time()
        (outcome,) = _at_once(job, [path], 1)
        serial = time.thread_time() - serial  # other threads read and encode; this one waits for them
        parallel = time.process_time() - started - serial
        del left[path]
        yield outcome
        if outcome.status == "done":
            n_cells, workers = max(cells_of(path, job.recipe), 1), max(min(n_cores, len(left)), 1)
            saved = Pace(serial / n_cells, parallel / n_cells).saved(workers, n_cores, torch.get_num_threads())
            return n_workers(saved, workers, (cells_of(other, job.recipe) for other in left))
    return None


def plans(job: Job, paths: Iterable[str], *, n_jobs: int | str | None = None) -> Iterator[Plan]:
    """Plan a job for each slide: the cache is searched as by `run`, and the other slides are opened in parallel.

    Parameters
    ----------
    job : Job
        Job to plan.
    paths : iterable of str
        Paths of slides; a repeated path is planned once.
    n_jobs : int or "auto", default=None
        Number of slides at once, as in joblib; with "auto" one, because a plan takes little time.

    Yields
    ------
    Plan
        One per slide; those in the cache come first.
    """
    left = dict.fromkeys(paths)
    for plan in _looked_up(job.plan_of_kept, job, list(left)):
        del left[plan.slide]
        yield plan
    n_jobs = None if n_jobs == AUTO else n_jobs
    task, shipped = joblib.delayed(_plan), Shipped(job)
    yield from joblib.Parallel(n_jobs=n_jobs, return_as="generator")(task(shipped, path) for path in left)


def _looked_up(look, job, paths):
    """What a look into the cache finds, several slides at a time: most of the time goes by waiting for the disk."""
    if job.cache is not None:
        yield from (found for found in in_order(look, paths, LOOKUPS) if found is not None)


def _alone(job, path):
    """One slide in a process of its own, so that a slide that kills its process is identified and affects no other."""
    try:
        (outcome,) = _at_once(job, [path], 2)
    except Exception as error:
        if type(error).__name__ not in WORKER_DEATHS:
            raise
        return Outcome(path, "failed", error=f"the worker process died: {reason_of(error, path)}")
    return outcome


def _at_once(job, paths, n_jobs):
    """Outcomes as they finish, if the backend can, so that the progress bar moves and a dead worker loses little."""
    tries = Tries(job.cache.folder, uuid.uuid4().hex) if job.cache is not None else None
    task, parent = joblib.delayed(_work), os.getpid()
    jobs = [Shipped(of_device) for of_device in job.on_each_device()]
    calls = [task(of_device, path, tries, parent) for path, of_device in zip(paths, itertools.cycle(jobs))]
    kind = "generator_unordered" if _gives_results_early() else "list"
    return joblib.Parallel(n_jobs=n_jobs, return_as=kind, batch_size=1)(calls)


def _gives_results_early():
    """Whether joblib's current backend can return results one by one; Ray's could not when this was written."""
    backend, _ = get_active_backend()
    return bool(getattr(backend, "supports_return_generator", False))


def _plan(shipped, path):
    return shipped.job.plan(path)


def _work(shipped, path, tries, parent):
    job = shipped.job
    leave_with(parent)
    try:
        with nullcontext() if tries is None else tries.counted(path):
            return job(path)
    except WorkerDiedError as error:
        return Outcome(path, "failed", error=reason_of(error, path))
