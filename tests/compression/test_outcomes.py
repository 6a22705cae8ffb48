"""What became of slides: statuses, the manifest, sentences."""

import errno
import os

import numpy as np
import pandas as pd
import pytest

from sknic import SlideCompressor
from sknic.compression.job import Outcome
from sknic.compression.outcomes import by_cause, counts
from sknic.exceptions import CacheWarning, TissueWarning
from sknic.files import locks

from .conftest import tissue, write_slide


def nothing(slide):
    return np.zeros((10, 10), bool)


def blank(path):
    return write_slide(path, np.full((640, 640, 3), 250, np.uint8))


def small(path):
    return write_slide(path, np.full((20, 20, 3), 120, np.uint8))


def fluorescent(path):
    pixels = np.zeros((640, 640, 3), np.uint8)
    pixels[200:300, 200:300, 1] = 200
    return write_slide(path, pixels)


EMPTY = {
    "blank": (blank, {}, "no patch is more than 60% stained tissue"),
    "small": (small, {}, "smaller than a patch, 20 x 20 px at 0.5 um/px"),
    "fluorescent": (fluorescent, {}, "nearly black, as in fluorescence"),
    "mask": (lambda path: write_slide(path, tissue(0)), {"tissue": nothing}, "the given mask covers no patch"),
    "bright": (blank, {"tissue": None}, "blank glass"),
    "min_tissue": (lambda path: write_slide(path, tissue(0)), {"tissue": nothing, "min_tissue": 0}, "covers no patch"),
}


@pytest.mark.parametrize("kind", EMPTY)
def test_a_slide_without_a_cell_is_not_done_but_without_tissue(kind, tmp_path, slides, encoder):
    make, settings, reason = EMPTY[kind]
    compressor = SlideCompressor(encoder, cache_dir=tmp_path / "cache", **settings)
    path = make(tmp_path / "empty.tiff")
    for _ in range(2):  # from the slide, then from the cache
        (outcome,) = compressor.compress([path])
        assert (outcome.status, outcome.n_cells, outcome.is_usable) == ("no tissue", 0, False)
        assert reason in outcome.error
        assert outcome.grid.n_cells == 0
    manifest = pd.read_csv(tmp_path / "cache" / "manifest.csv", keep_default_na=False)
    assert manifest.status.tolist() == ["no tissue"]
    assert reason in manifest.error[0]
    assert compressor.plan([path]).status.tolist() in (["no tissue"], ["to do"] if settings == {"tissue": None} else [])
    with pytest.warns(TissueWarning, match=r"1 of 1 slide without tissue:\n  .*empty\.tiff: "):
        compressor.transform([path])


def test_the_counts_say_how_many_slides_ended_how():
    outcomes = [Outcome("a", "done"), Outcome("b", "no tissue"), Outcome("c", "done"), Outcome("d", "failed")]
    assert counts(outcomes) == "4 slides: 2 done, 1 no tissue, 1 failed"
    assert counts(outcomes[:1]) == "1 slide: 1 done"


def test_slides_with_one_cause_are_one_line_with_a_count():
    slides = [*(f"/s/case{i}.tiff" for i in range(24)), "/s/case0.tiff", "/s/other.tiff", "/s/good.tiff"]
    errors = [*(f"no mask: m/case{i}.png is not there" for i in range(24)), "no mask: m/case0.png is not there"]
    assert by_cause(slides, [*errors, "no such file", ""]) == [
        "24 slides (/s/case0.tiff, /s/case1.tiff, /s/case2.tiff and 21 more): no mask: m/case0.png is not there",
        "/s/other.tiff: no such file",
    ]


def test_short_names_of_slides_are_no_causes_of_their_own():
    errors = [f"no tissue mask: m/{name}.png is not a mask" for name in "ab"]
    assert by_cause(["s/a.tiff", "s/b.tiff"], errors) == [f"s/a.tiff, s/b.tiff: {errors[0]}"]


def rows(folder):
    return pd.read_csv(folder / "manifest.csv", keep_default_na=False)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_keeps_grids_with_a_warning(number, slides, tmp_path, encoder, monkeypatch):
    def acquire(self, *arguments, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(locks.FileLock, "acquire", acquire)
    with pytest.warns(CacheWarning, match="does not support locks"):
        outcomes = SlideCompressor(encoder, cache_dir=tmp_path / "cache").compress(slides)
    assert [outcome.status for outcome in outcomes] == ["done"] * 3
    assert len(rows(tmp_path / "cache")) == 3


def test_a_slide_that_moved_is_found_and_its_place_is_recorded(slides, tmp_path, encoder):
    compressor = SlideCompressor(encoder, cache_dir=tmp_path / "cache", orientations=8)
    (before,) = compressor.transform(slides[:1])
    dense = [grid.to_dense() for grid in before.orientations]
    moved = tmp_path / "moved" / os.path.basename(slides[0])
    moved.parent.mkdir()
    os.rename(slides[0], moved)
    (outcome,) = compressor.compress([str(moved)])
    assert outcome.status == "cached"
    assert outcome.grid.slide == str(moved)
    for grid, expected in zip(outcome.grid.orientations, dense):
        np.testing.assert_array_equal(grid.to_dense(), expected)
    assert len(list((tmp_path / "cache").glob("*.h5"))) == 1


def test_a_copy_that_lost_the_fraction_of_its_time_is_the_same_slide(slides, tmp_path, encoder):
    compressor = SlideCompressor(encoder, cache_dir=tmp_path / "cache")
    os.utime(slides[0], ns=(10**18 + 123456789,) * 2)
    compressor.transform(slides[:1])
    os.utime(slides[0], ns=(10**18,) * 2)
    assert compressor.compress(slides[:1])[0].status == "cached"


def test_a_slide_whose_name_is_not_utf8_is_compressed_and_found_again(slides, tmp_path, encoder):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/M\xfcller.tiff")
    os.rename(slides[0], path)
    compressor = SlideCompressor(encoder, cache_dir=tmp_path / "cache")
    assert [compressor.compress([path])[0].status for _ in range(2)] == ["done", "cached"]


def test_slides_whose_names_are_nearly_right_have_one_cause():
    errors = ["no such file; did you mean 'slide_1.tiff'?", "no such file; did you mean 'slide_2.tiff'?"]
    assert by_cause(["slid_1.tiff", "slid_2.tiff"], errors) == [f"slid_1.tiff, slid_2.tiff: {errors[0]}"]
