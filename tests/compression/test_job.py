import builtins
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sknic import SlideCompressor
from sknic.compression import engine, job
from sknic.exceptions import CacheError, CompressionError
from sknic.files import identity
from sknic.grids import GridCache, hdf5
from sknic.slides import dicom

from .conftest import MeanEncoder


@pytest.fixture
def cache_dir(tmp_path):
    return tmp_path / "cache"


def test_the_second_time_nothing_is_decoded(slides, encoder, cache_dir, monkeypatch):
    compressor = SlideCompressor(encoder, cache_dir=cache_dir)
    first = compressor.transform(slides)
    n_seen = encoder.n_seen
    assert n_seen > 0
    monkeypatch.setattr(engine, "PatchReader", None)
    second = compressor.transform(slides)
    assert encoder.n_seen == n_seen
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a.to_dense(), b.to_dense())


@pytest.mark.parametrize(
    "change",
    [{"encoder": MeanEncoder("other")}, {"mpp": 1.0}, {"patch_size": 16}, {"stride": 16}, {"tissue": None},
     {"min_tissue": 0.2}, {"slide_mpp": 0.25}, {"orientations": 8}],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_changed_encoder_or_setting_does_not_hit_the_cache(change, slides, encoder, cache_dir):
    SlideCompressor(encoder, cache_dir=cache_dir).transform(slides[:1])
    changed = SlideCompressor(encoder, cache_dir=cache_dir).set_params(**change)
    assert list(changed.plan(slides[:1]).status) == ["to do"]
    changed.transform(slides[:1])
    assert list(changed.plan(slides[:1]).status) == ["cached"]
    assert len(GridCache(cache_dir).entries()) == 2


def test_a_changed_mask_function_does_not_hit_the_cache(slides, encoder, cache_dir):
    def part(share):
        return lambda slide: np.arange(10)[None, :].repeat(10, 0) < share

    SlideCompressor(encoder, tissue=part(5), cache_dir=cache_dir).transform(slides[:1])
    assert list(SlideCompressor(encoder, tissue=part(5), cache_dir=cache_dir).plan(slides[:1]).status) == ["cached"]
    assert list(SlideCompressor(encoder, tissue=part(4), cache_dir=cache_dir).plan(slides[:1]).status) == ["to do"]


def test_a_damaged_kept_grid_is_computed_again(slides, encoder, cache_dir):
    compressor = SlideCompressor(encoder, cache_dir=cache_dir)
    (grid,) = compressor.transform(slides[:1])
    before = grid.to_dense()
    path = Path(grid.path)
    path.write_bytes(path.read_bytes()[:-100])
    (again,) = compressor.transform(slides[:1])
    np.testing.assert_array_equal(again.to_dense(), before)


def test_workers_give_the_same_grids_as_one_process(slides, encoder, cache_dir):
    alone = SlideCompressor(encoder).transform(slides)
    together = SlideCompressor(encoder, n_jobs=2, cache_dir=cache_dir).transform(slides)
    for a, b in zip(alone, together):
        np.testing.assert_array_equal(a.to_dense(), b.to_dense())


def test_the_manifest_says_what_became_of_each_slide(slides, tmp_path, encoder, cache_dir):
    bad = tmp_path / "bad.svs"
    bad.write_text("no slide")
    compressor = SlideCompressor(encoder, cache_dir=cache_dir)
    compressor.transform(slides[:1])
    with pytest.raises(CompressionError):
        compressor.transform([*slides, str(bad)])
    manifest = pd.read_csv(cache_dir / "manifest.csv", keep_default_na=False).set_index("slide")
    assert dict(manifest.status) == {slides[0]: "cached", slides[1]: "done", slides[2]: "done", str(bad): "failed"}
    assert "is text, not a slide" in manifest.error[str(bad)]
    assert (manifest.n_cells[slides] > 0).all()
    assert manifest.tissue_fraction[slides].between(0.4, 0.8).all()


def test_a_slide_named_twice_is_compressed_once(slides, encoder):
    a, b = SlideCompressor(encoder).transform([slides[0], slides[0]])
    assert a is b


def test_a_plan_says_what_cannot_be_done_and_decodes_nothing(slides, tmp_path, encoder, monkeypatch):
    monkeypatch.setattr(engine, "PatchReader", None)
    bad = tmp_path / "bad.svs"
    bad.write_text("no slide")
    plan = SlideCompressor(encoder).plan([slides[0], str(bad), str(tmp_path / "missing.svs")])
    assert list(plan.status) == ["to do", "cannot", "cannot"]
    assert plan.n_cells[0] > 100
    assert "is text, not a slide" in plan.reason[1]
    assert plan.reason[2] == "no such file"


def test_a_full_disk_fails_the_slide_and_leaves_no_part(slides, encoder, cache_dir, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hdf5, "_flush_to_disk", full)
    with pytest.raises(CompressionError, match="No space left") as caught:
        SlideCompressor(encoder, cache_dir=cache_dir).transform(slides)
    assert len(caught.value.failures) == 3
    assert not list(cache_dir.glob("*.h5")) and not list(cache_dir.glob("*.part"))


def test_a_read_only_cache_serves_what_it_has(slides, encoder, cache_dir, monkeypatch):
    compressor = SlideCompressor(encoder, cache_dir=cache_dir)
    compressor.transform(slides[:2])

    def read_only(*_):
        raise CacheError(f"cannot write to cache_dir {cache_dir}: read-only")

    monkeypatch.setattr(GridCache, "lock", read_only)
    assert len(compressor.transform(slides[:2])) == 2
    with pytest.raises(CompressionError, match="read-only"):
        compressor.transform(slides)


@pytest.fixture
def asked(monkeypatch):
    """Questions to the file system, by path: (for its state, for its content)."""
    questions = Counter()

    def counted(function, what):
        return lambda path, *args, **options: questions.update([(what, path)]) or function(path, *args, **options)

    monkeypatch.setattr(os, "stat", counted(os.stat, "state"))
    monkeypatch.setattr(builtins, "open", counted(builtins.open, "content"))
    return lambda path: (questions["state", path], questions["content", path])


def test_slides_and_grids_are_asked_for_once_in_a_run(slides, encoder, cache_dir, monkeypatch, asked):
    compressor = SlideCompressor(encoder, cache_dir=cache_dir)
    grids = [grid.path for grid in compressor.transform(slides)]
    monkeypatch.setattr(identity, "_COARSEST_STAMP", -1)  # as if the slides were old
    for memory in (identity._digests, dicom._uids, hdf5._stored):
        memory.clear()
    runs = []
    for _ in range(2):
        before = {path: asked(path) for path in (*slides, *grids)}
        compressor.transform(slides)
        runs.append({path: tuple(np.subtract(asked(path), before[path])) for path in before})
    # Two looks into a slide: is it DICOM, and its samples.
    assert runs[0] == dict.fromkeys(slides, (1, 2)) | dict.fromkeys(grids, (1, 1))
    assert runs[1] == dict.fromkeys(slides, (1, 0)) | dict.fromkeys(grids, (1, 0))


def test_a_plan_of_cached_slides_starts_no_work_and_has_a_row_per_path(slides, encoder, cache_dir, monkeypatch):
    compressor = SlideCompressor(encoder, cache_dir=cache_dir)
    grids = compressor.transform(slides[:2])
    expected = [slides[0], slides[2], slides[1], slides[0]]
    plan = compressor.plan(expected)
    assert plan.slide.tolist() == expected
    assert plan.status.tolist() == ["cached", "to do", "cached", "cached"]
    assert plan.n_cells[0] == grids[0].n_cells and plan.mpp[0] == grids[0].slide_mpp
    monkeypatch.setattr(job.Job, "plan", None)  # only slides that are not in the cache are opened
    assert compressor.plan(slides[:2]).status.tolist() == ["cached", "cached"]
