"""One process or a worker per core: chosen by the work ahead."""

from itertools import repeat

import joblib
import pytest
import torch

from sknic import SlideCompressor
from sknic.compression import restartable, workers
from sknic.compression.job import Job
from sknic.compression.workers import START, Pace, n_cores_here, n_workers


@pytest.mark.parametrize(
    ("workers", "n_cores", "n_threads", "seconds"),
    [
        (2, 2, 2, 1 + 6 / 2 - (1 + 6) / 2),
        (4, 4, 4, 1 + 6 / 4 - (1 + 6) / 4),
        (3, 8, 8, 1 + 6 / 8 - (1 + 6 / 2) / 3),  # three slides left: two cores each
        (4, 4, 1, 1 + 6 - (1 + 6) / 4),  # OMP_NUM_THREADS=1: one process would leave cores idle
        (1, 4, 4, 0),
    ],
)
def test_workers_save_the_time_in_which_cores_are_idle(workers, n_cores, n_threads, seconds):
    assert Pace(serial=1, parallel=6).saved(workers, n_cores, n_threads) == pytest.approx(seconds)


def test_a_process_without_serial_work_needs_no_worker():
    assert Pace(serial=0, parallel=6).saved(4, 4, 4) == 0


def test_workers_start_where_they_save_more_than_their_start():
    saved = 1e-3
    enough = START / saved
    assert n_workers(saved, 4, [enough / 2, enough / 2 * 0.99]) == 1
    assert n_workers(saved, 4, [enough / 2, enough / 2 * 1.01]) == 4


@pytest.mark.parametrize(("saved", "workers"), [(0.0, 16), (-1e-3, 16), (1e-3, 1)])
def test_workers_that_save_nothing_do_not_start(saved, workers):
    assert n_workers(saved, workers, [10**12]) == 1


def test_no_more_slides_are_opened_than_the_choice_needs():
    assert n_workers(1e-3, 2, repeat(1000)) == 2  # an endless cohort


def test_a_backend_of_the_caller_has_its_own_workers(monkeypatch):
    monkeypatch.setattr(joblib, "effective_n_jobs", lambda n_jobs: 8)
    assert n_cores_here() == 8
    with joblib.parallel_config("threading"):
        assert n_cores_here() is None


@pytest.fixture
def asked_for(monkeypatch):
    """Number of workers that each part of a run asks joblib for."""
    at_once, asked = restartable._at_once, []
    monkeypatch.setattr(
        restartable, "_at_once", lambda job, paths, n_jobs: asked.append((len(paths), n_jobs)) or at_once(job, paths, 1)
    )
    monkeypatch.setattr(joblib, "effective_n_jobs", lambda n_jobs: 2)
    return asked


@pytest.mark.parametrize(("start", "chosen"), [(1e9, 1), (0.0, 2)])
def test_the_first_slide_decides(start, chosen, slides, encoder, asked_for, monkeypatch):
    choose, measured = restartable.n_workers, []
    monkeypatch.setattr(workers, "START", start)
    monkeypatch.setattr(restartable, "n_workers", lambda *known: measured.append(known) or choose(*known))
    monkeypatch.setattr(Pace, "saved", lambda pace, *cores: measured.append((pace, *cores)) or 1.0)
    grids = SlideCompressor(encoder, n_jobs="auto").transform(slides)
    assert asked_for == [(1, 1), (2, chosen)]
    (pace, *cores), (saved, n_chosen_from, _) = measured
    assert cores == [2, 2, torch.get_num_threads()] and (saved, n_chosen_from) == (1.0, 2)
    assert pace.serial > 0 and pace.parallel > 0
    assert [grid.slide for grid in grids] == slides


def test_one_slide_is_compressed_here(slides, encoder, asked_for):
    compressor = SlideCompressor(encoder, n_jobs="auto")
    assert compressor.plan(slides[:1]).status.tolist() == ["to do"]
    assert len(compressor.transform(slides[:1])) == 1
    assert asked_for == [(1, 1)]


def test_a_slide_that_fails_decides_nothing(slides, encoder, tmp_path, asked_for):
    (tmp_path / "bad.svs").write_text("not a slide")
    paths = [str(tmp_path / "bad.svs"), *slides]
    outcomes = SlideCompressor(encoder, n_jobs="auto").compress(paths)
    assert [outcome.status for outcome in outcomes] == ["failed", "done", "done", "done"]
    assert [n_slides for n_slides, _ in asked_for] == [1, 1, 2]


def test_cached_slides_need_no_worker(slides, encoder, tmp_path, asked_for):
    SlideCompressor(encoder, cache_dir=tmp_path / "cache").transform(slides)
    asked_for.clear()
    SlideCompressor(encoder, cache_dir=tmp_path / "cache", n_jobs="auto").transform(slides)
    assert asked_for == []


@pytest.mark.parametrize(("n_gpus", "n_jobs"), [(1, 1), (3, 3)])
def test_each_gpu_has_one_worker(n_gpus, n_jobs, asked_for, monkeypatch):
    class Echo(Job):
        def __call__(self, path):
            return restartable.Outcome(path, "done")

    monkeypatch.setattr(restartable.Job, "on_each_device", lambda job: [job] * n_gpus)
    list(restartable.run(Echo(None, None, device="cuda"), ["a", "b"], n_jobs="auto"))
    assert asked_for == [(2, n_jobs)]


def test_the_cells_of_a_slide_that_cannot_be_opened_are_none(tmp_path, encoder, slides):
    (job,) = SlideCompressor(encoder)._jobs()
    assert workers.cells_of(slides[0], job.recipe) == 400
    assert workers.cells_of(str(tmp_path / "missing.svs"), job.recipe) == 0
