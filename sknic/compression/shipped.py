"""Send a job to workers: it is packed once, and unpacked once in each worker, for any number of slides."""

from __future__ import annotations

import hashlib
from functools import cached_property

import numpy as np

from sknic.compression.job import Job

try:  # Dask's users tell this one what has to travel by value
    import cloudpickle
except ImportError:
    from joblib.externals import cloudpickle

# Jobs that a worker keeps: one for each GPU, and those of the run before.
N_KEPT = 8

_kept: dict[str, Shipped] = {}


class Shipped:
    """A job as sent with a task: the object itself in this process, bytes on the way to another.

    Pickling an encoder for every slide would take longer than finding a slide in the cache. joblib stores an array
    once, in a file for all tasks.

    Parameters
    ----------
    job : Job
        What is done with each slide.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    @cached_property
    def _packed(self):
        content = cloudpickle.dumps(self.job)
        return hashlib.blake2b(content, digest_size=16).hexdigest(), np.frombuffer(content, np.uint8)

    def __reduce__(self):
        return _receive, self._packed


def _receive(digest, content):
    if digest not in _kept:
        while len(_kept) >= N_KEPT:
            _kept.pop(next(iter(_kept)), None)
        _kept[digest] = Shipped(cloudpickle.loads(content))
    return _kept[digest]
