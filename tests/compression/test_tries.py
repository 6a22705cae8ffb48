"""Counting tries across processes."""

import multiprocessing
import os

import pytest

from sknic.compression.tries import MAX_TRIES, Tries
from sknic.exceptions import WorkerDiedError


def begin_and_die(folder, run):
    with Tries(folder, run).counted("a.svs"):
        os._exit(1)


def die_again_and_again(folder, run="run"):
    for _ in range(MAX_TRIES):
        process = multiprocessing.get_context("fork").Process(target=begin_and_die, args=(folder, run))
        process.start()
        process.join()


def test_a_slide_that_was_begun_twice_in_vain_gets_no_third_try(tmp_path):
    die_again_and_again(tmp_path)
    message = r"a\.svs: 2 worker processes died"
    with pytest.raises(WorkerDiedError, match=message), Tries(tmp_path, "run").counted("a.svs"):
        pass


@pytest.mark.parametrize(
    "slide, run, counts", [("b.svs", "run", ["run 1", f"run {MAX_TRIES}"]), ("a.svs", "next", ["next 1"])]
)
def test_other_slides_and_earlier_runs_do_not_count(tmp_path, slide, run, counts):
    die_again_and_again(tmp_path)
    with Tries(tmp_path, run).counted(slide):
        assert sorted(file.read_text() for file in tmp_path.rglob("*.tries")) == counts


def test_a_try_that_ended_leaves_nothing(tmp_path):
    for _ in range(MAX_TRIES + 1):
        with pytest.raises(ValueError), Tries(tmp_path, "run").counted("a.svs"):
            raise ValueError("a bad slide, but not one that kills")
    assert not list(tmp_path.rglob("*.tries"))
