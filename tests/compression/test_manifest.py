"""The manifest of a folder of grids: a row of each slide, and no file that was there is lost."""

import os

import pandas as pd
import pytest

from sknic.compression.job import Outcome
from sknic.compression.manifest import COLUMNS, Manifest
from sknic.exceptions import CacheWarning, SlideFailureWarning


def rows(folder, name="manifest.csv"):
    return pd.read_csv(folder / name, keep_default_na=False)


def test_the_manifest_has_a_row_as_soon_as_a_slide_is_ready(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.add(Outcome("a.svs", "failed", error="x"))
    assert rows(tmp_path).slide.tolist() == ["a.svs"]  # a run that is killed here leaves it
    manifest.add(Outcome("b.svs", "done"))
    manifest.add(Outcome("a.svs", "done"))
    assert rows(tmp_path).status.tolist() == ["failed", "done", "done"]
    manifest.tidy()
    assert rows(tmp_path).set_index("slide").status.to_dict() == {"a.svs": "done", "b.svs": "done"}


def test_rows_of_slides_that_were_there_wait_for_company(tmp_path):
    manifest, path = Manifest(tmp_path), tmp_path / "manifest.csv"
    manifest.add(Outcome("a.svs", "cached"))
    assert not path.exists()
    manifest.add(Outcome("b.svs", "done"))
    assert rows(tmp_path).slide.tolist() == ["a.svs", "b.svs"]
    manifest.add(Outcome("c.svs", "cached"))
    manifest.tidy()
    assert rows(tmp_path).slide.tolist() == ["a.svs", "b.svs", "c.svs"]


def test_no_row_is_written_twice_while_slides_come(tmp_path):
    manifest, path = Manifest(tmp_path), tmp_path / "manifest.csv"
    for i in range(20):
        before = path.read_bytes() if path.exists() else b""
        manifest.add(Outcome(f"{i}.svs", "done"))
        inode = path.stat().st_ino
        assert path.read_bytes().startswith(before) and path.stat().st_ino == inode
    manifest.tidy()
    assert path.stat().st_ino == inode  # nothing to tidy


@pytest.mark.parametrize("theirs", ["slide,status\nmine.svs,precious\n", "slide\nmine.svs\n", "slide", "\xe4;b\n1;2\n"])
def test_a_manifest_of_the_user_is_left_alone(theirs, tmp_path):
    (tmp_path / "manifest.csv").write_text(theirs)
    manifest = Manifest(tmp_path)
    with pytest.warns(CacheWarning, match="manifest.csv is not a manifest of sknic and is left alone; sknic-man"):
        manifest.add(Outcome("a.svs", "done"))
    manifest.tidy()
    assert (tmp_path / "manifest.csv").read_text() == theirs
    assert rows(tmp_path, "sknic-manifest.csv").slide.tolist() == ["a.svs"]


def test_where_no_manifest_can_be_written_one_warning_says_so(tmp_path):
    for name in ("manifest.csv", "sknic-manifest.csv"):
        (tmp_path / name).write_text("mine\n1\n")
    manifest = Manifest(tmp_path)
    with pytest.warns(SlideFailureWarning, match="could not write") as caught:
        for slide in "abc":
            manifest.add(Outcome(slide, "done"))
    assert len(caught) == 1


def test_a_path_that_is_not_utf8_has_a_row(tmp_path):
    manifest = Manifest(tmp_path)
    manifest.add(Outcome(os.fsdecode(b"M\xfcller.tiff"), "done"))
    manifest.add(Outcome("\u0142\u00f3d\u017a [1].tiff", "done"))
    manifest.tidy()
    assert rows(tmp_path).slide.tolist() == ["M\\udcfcller.tiff", "\u0142\u00f3d\u017a [1].tiff"]


def test_the_columns_of_the_manifest_are_those_of_a_row():
    assert list(Outcome("a", "done").row()) == COLUMNS


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        (lambda data: data[:-9], ["a.svs"]),  # a program that was killed, or a full disk
        (lambda data: data + b"c.svs,done\n", ["a.svs", "b.svs"]),
        (lambda data: data + b"c.svs,done,1,1,1,,,,\n", ["a.svs", "b.svs"]),
        (lambda data: data + bytes(100), ["a.svs", "b.svs"]),
        (lambda data: data.replace(b"a.svs", b"\xff\xfe.svs") + b"x", ["\\xff\\xfe.svs", "b.svs"]),
        (lambda data: data[:30], []),
    ],
)
def test_a_damaged_manifest_is_kept_and_its_whole_rows_go_on(damage, kept, tmp_path):
    manifest, path = Manifest(tmp_path), tmp_path / "manifest.csv"
    for slide in ("a.svs", "b.svs"):
        manifest.add(Outcome(slide, "done"))
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.warns(CacheWarning, match=f"kept as manifest-damaged-1.csv, and its {len(kept)} complete rows"):
        Manifest(tmp_path).add(Outcome("new.svs", "done"))
    assert rows(tmp_path).slide.tolist() == [*kept, "new.svs"]
    assert (tmp_path / "manifest-damaged-1.csv").read_bytes() == damaged
    path.write_bytes(damaged)
    with pytest.warns(CacheWarning, match="kept as manifest-damaged-2.csv"):
        Manifest(tmp_path).add(Outcome("new.svs", "done"))
    assert list(rows(tmp_path)) == COLUMNS
