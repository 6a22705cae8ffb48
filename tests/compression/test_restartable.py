"""Many slides at once: dead workers, engines that give results late, several GPUs."""

import os
import signal

import joblib
import numpy as np
import pytest
import torch
from joblib.parallel import get_active_backend

from sknic import SlideCompressor
from sknic.compression.job import Job, Outcome
from sknic.compression.restartable import run
from sknic.exceptions import CompressionError

from .conftest import MeanEncoder, write_slide


class KillerEncoder(MeanEncoder):
    """Kills its process when it meets the slide whose patches are marked; for the test of dying workers."""

    def transform(self, patches):
        if (patches.mean(axis=(1, 2, 3)) < 20).any():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().transform(patches)


def test_a_worker_that_dies_costs_its_slide_only(slides, tmp_path):
    killer = write_slide(tmp_path / "killer.tiff", np.zeros((640, 640, 3), np.uint8))
    paths = [slides[0], killer, slides[1], slides[2]]
    compressor = SlideCompressor(KillerEncoder(), n_jobs=2, cache_dir=tmp_path / "cache", tissue=None)
    with pytest.raises(CompressionError, match=r"killer\.tiff.*died") as caught:
        compressor.transform(paths)
    assert list(caught.value.failures) == [killer]
    assert [grid is None for grid in caught.value.grids] == [False, True, False, False]


class Echo(Job):
    """A job that needs no slide."""

    def __call__(self, path):
        return Outcome(path, "done")


def test_each_slide_has_one_outcome_though_it_is_named_twice():
    outcomes = list(run(Echo(None, None), ["a", "b", "a"]))
    assert [outcome.slide for outcome in outcomes] == ["a", "b"]


def test_an_engine_that_gives_results_at_the_end_serves_as_well(monkeypatch):
    backend = type(get_active_backend()[0])
    assert backend.supports_return_generator, "joblib says in another way now which engines give results one by one"
    monkeypatch.setattr(backend, "supports_return_generator", False)
    assert [outcome.slide for outcome in run(Echo(None, None), ["a", "b"], n_jobs=2)] == ["a", "b"]


def test_what_is_no_death_of_a_worker_is_raised():
    class Broken(Job):
        def __call__(self, path):
            raise RuntimeError("the job itself is broken")

    with pytest.raises(RuntimeError, match="itself is broken"):
        list(run(Broken(None, None), ["a"]))


@pytest.mark.parametrize("n_gpus, devices", [(0, ["cuda"]), (1, ["cuda"]), (3, ["cuda:0", "cuda:1", "cuda:2"])])
def test_slides_take_turns_on_the_gpus(n_gpus, devices, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    jobs = Job(None, None, device="cuda").on_each_device()
    assert [job.device for job in jobs] == devices


def test_a_named_gpu_takes_all_slides(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert [job.device for job in Job(None, None, device="cuda:1").on_each_device()] == ["cuda:1"]


class SayingEncoder(MeanEncoder):
    """Keeps the device it was asked for."""

    def embedder(self, device="cpu", precision="float32"):
        number = {"cuda:0": 0, "cuda:1": 1}[device]
        return lambda patches: np.full((len(patches), 3), number, np.float32)


def test_a_cohort_is_spread_over_two_gpus(slides, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    grids = SlideCompressor(SayingEncoder(), device="cuda").transform(slides)
    assert [grid.embeddings.max() for grid in grids] == [0, 1, 0]


def test_threads_serve_as_workers(slides, encoder):
    alone = SlideCompressor(encoder).transform(slides)
    with joblib.parallel_config("threading", n_jobs=2):
        together = SlideCompressor(encoder).transform(slides)
    for a, b in zip(alone, together):
        np.testing.assert_array_equal(a.to_dense(), b.to_dense())
