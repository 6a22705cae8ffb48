"""A cohort in shards: every slide in one of them, and one manifest of all at the end."""

import os
import re

import pandas as pd
import pytest

from sknic import SlideCompressor
from sknic.compression.job import Outcome
from sknic.compression.manifest import Manifest
from sknic.compression.shards import Shard, merge
from sknic.exceptions import CompressionError


def rows(folder, name="manifest.csv"):
    return pd.read_csv(folder / name, keep_default_na=False)


@pytest.mark.parametrize("n_slides, n_shards", [(1, 1), (10, 3), (3, 10), (1000, 7)])
def test_every_slide_is_in_exactly_one_shard_and_shards_are_of_one_size(n_slides, n_shards):
    paths = [f"{i}.svs" for i in range(n_slides)]
    shards = [Shard(i + 1, n_shards).slides([*paths, paths[0]]) for i in range(n_shards)]
    assert sorted(sum(shards, [])) == sorted(paths)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert shards == [Shard.parse(f"{i + 1}/{n_shards}").slides(paths) for i in range(n_shards)]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1/4/2", "1.5/4"])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(ValueError, match=re.escape(f"shard={text!r}: expected 'i/n'")):
        Shard.parse(text)


def test_the_union_of_the_shards_is_the_whole(slides, encoder, tmp_path):
    whole, parts = (SlideCompressor(encoder, cache_dir=tmp_path / name) for name in ("whole", "parts"))
    bad = tmp_path / "bad.svs"
    bad.write_text("no slide")
    paths = [*slides, str(bad)]
    whole.compress(paths)
    made = [parts.compress(paths, shard=f"{i}/2") for i in (2, 1)]
    assert [[outcome.slide for outcome in those] for those in made] == [paths[1::2], paths[::2]]
    assert not (tmp_path / "parts" / "manifest.csv").exists()
    merged = merge(tmp_path / "parts", paths)
    assert [outcome.slide for outcome in merged] == paths
    assert [outcome.status for outcome in merged] == ["done", "done", "done", "failed"]
    expected, found = (rows(tmp_path / name).drop(columns=["seconds", "file"]) for name in ("whole", "parts"))
    pd.testing.assert_frame_equal(found, expected)
    names = [sorted(path.name for path in (tmp_path / name).glob("*.h5")) for name in ("whole", "parts")]
    assert names[0] == names[1] and len(names[0]) == 3
    assert not [name for name in os.listdir(tmp_path / "parts") if "manifest-" in name]


def shard_of(folder, shard, paths, status="done"):
    manifest = Manifest(folder, shard.manifest)
    for path in paths:
        manifest.add(Outcome(path, status))
    return folder / shard.manifest


PATHS = [f"{i}.svs" for i in range(8)]


def test_merging_twice_changes_nothing(tmp_path):
    for i in (3, 1, 2):
        shard_of(tmp_path, Shard(i, 3), Shard(i, 3).slides(PATHS))
    first = merge(tmp_path, PATHS)
    assert rows(tmp_path).slide.tolist() == PATHS
    content = (tmp_path / "manifest.csv").read_bytes()
    assert merge(tmp_path, PATHS) == first
    assert (tmp_path / "manifest.csv").read_bytes() == content


def test_missing_shards_are_named_and_what_is_there_is_kept(tmp_path):
    shard_of(tmp_path, Shard(1, 4), ["0.svs", "4.svs"])
    shard_of(tmp_path, Shard(3, 4), ["2.svs"])  # it was killed before its second slide
    message = r"5 of 8 slides have no row in .*Shards not run: 2/4, 4/4; shards not finished: 3/4\. Run these again"
    for _ in range(2):
        with pytest.raises(CompressionError, match=message):
            merge(tmp_path, PATHS)
        assert rows(tmp_path).slide.tolist() == ["0.svs", "2.svs", "4.svs"]
    for i in (2, 3, 4):
        shard_of(tmp_path, Shard(i, 4), Shard(i, 4).slides(PATHS))
    assert [outcome.slide for outcome in merge(tmp_path, PATHS)] == PATHS


def test_without_any_shard_the_slides_are_named(tmp_path):
    with pytest.raises(CompressionError, match=r"8 of 8 slides have no row in .*, such as 0\.svs"):
        merge(tmp_path, PATHS)


def test_the_row_that_was_written_last_counts(tmp_path):
    part = shard_of(tmp_path, Shard(1, 1), PATHS, "failed")
    Manifest(tmp_path).add(Outcome(PATHS[0], "done"))  # compressed again, on its own
    os.utime(part, (1, 1))
    assert [outcome.status for outcome in merge(tmp_path, PATHS)] == ["done", *["failed"] * 7]


def test_a_path_that_is_not_utf8_is_merged(tmp_path):
    paths = [os.fsdecode(b"M\xfcller.tiff"), "b.svs"]
    for i in (1, 2):
        shard_of(tmp_path, Shard(i, 2), Shard(i, 2).slides(paths))
    assert len(merge(tmp_path, paths)) == 2
