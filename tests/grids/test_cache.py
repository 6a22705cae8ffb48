import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from sknic import Grid
from sknic.exceptions import CacheError
from sknic.files import identity
from sknic.files.identity import file_identity
from sknic.grids import GridCache, hdf5


@pytest.fixture
def slide(tmp_path):
    path = tmp_path / "slide.svs"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


@pytest.fixture
def cache(tmp_path):
    return GridCache(tmp_path / "cache")


def test_a_kept_grid_comes_back(cache, slide, grid):
    key = cache.key(slide, "encoder", {"mpp": 0.5})
    assert cache.get(slide, key) is None
    cache.put(slide, key, grid)
    np.testing.assert_array_equal(cache.get(slide, key).to_dense(), grid.to_dense())


@pytest.mark.parametrize(("fingerprint", "settings"), [("other", {"mpp": 0.5}), ("encoder", {"mpp": 0.25})])
def test_another_encoder_or_setting_is_another_key(cache, slide, fingerprint, settings):
    assert cache.key(slide, "encoder", {"mpp": 0.5}) != cache.key(slide, fingerprint, settings)


def test_a_moved_slide_keeps_its_identity_and_a_changed_one_does_not(slide):
    before = file_identity(slide)
    moved = slide.rename(slide.with_name("renamed.svs"))
    assert file_identity(moved) == before
    status = moved.stat()
    content = bytearray(moved.read_bytes())
    content[0] ^= 1
    moved.write_bytes(content)
    os.utime(moved, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_identity(moved) != before


def reads_of(path, monkeypatch):
    reads = []
    sampled = identity._sampled
    monkeypatch.setattr(identity, "_sampled", lambda *known: reads.append(known[0]) or sampled(*known))
    return reads


def test_a_slide_that_stays_as_it_is_is_read_once_in_a_process(slide, monkeypatch):
    monkeypatch.setattr(identity, "_COARSEST_STAMP", -1)  # as if it were old
    reads = reads_of(slide, monkeypatch)
    assert len({file_identity(slide) for _ in range(3)}) == 1
    assert reads == [str(slide)]
    slide.write_bytes(b"another")
    assert file_identity(slide) == file_identity(slide)
    assert reads == [str(slide)] * 2


def test_a_change_within_one_step_of_the_clock_is_seen(slide):
    status = os.stat(slide)
    before = file_identity(slide, status)
    slide.write_bytes(bytes(status.st_size))
    assert file_identity(slide, status) != before


@pytest.mark.parametrize(("name", "changes"), [("a.mrxs", True), ("a.MRXS", True), ("a.svs", False)])
def test_only_a_format_that_keeps_pixels_in_a_folder_has_the_folder_in_its_identity(name, changes, tmp_path):
    (tmp_path / name).write_bytes(b"slide")
    (tmp_path / "a").mkdir()
    before = file_identity(tmp_path / name)
    (tmp_path / "a" / "Data0001.dat").write_bytes(b"pixels")
    assert (file_identity(tmp_path / name) != before) is changes


@pytest.mark.parametrize("name", ["a.vms", "a.VMU"])
def test_the_files_that_an_index_of_hamamatsu_names_are_in_its_identity(name, tmp_path):
    index, pixels, other = tmp_path / name, tmp_path / "a_1.jpg", tmp_path / "b.jpg"
    index.write_text(
        f"[Virtual Microscope Specimen]\nImageFile={pixels.name}\nImageFile(1,0)=missing.jpg\nNoLayers=1\n"
    )
    pixels.write_bytes(b"pixels")
    before = file_identity(index)
    other.write_bytes(b"of another slide")
    assert file_identity(index) == before
    pixels.write_bytes(b"rescanned")
    assert file_identity(index) != before


def test_a_grid_of_another_key_under_the_same_name_is_not_used(cache, slide, grid):
    key = cache.key(slide, "encoder", {})
    cache.put(slide, key, grid)
    assert cache.get(slide, key[:16] + "0" * 16) is None


def test_a_damaged_grid_is_not_used(cache, slide, grid):
    key = cache.key(slide, "encoder", {})
    stored = cache.put(slide, key, grid)
    content = bytearray(Path(stored.path).read_bytes())
    content[hdf5.read_header(stored.path).layout.features] ^= 1
    Path(stored.path).write_bytes(content)
    assert cache.get(slide, key) is None
    assert cache.entries()[0].status == "damaged"


def test_a_cache_that_is_a_file_says_which(slide, grid, tmp_path):
    (tmp_path / "taken").write_text("")
    cache = GridCache(tmp_path / "taken")
    with pytest.raises(CacheError, match="taken"):
        cache.put(slide, "0" * 32, grid)
    with pytest.raises(CacheError, match="taken"), cache.lock(slide, "0" * 32):
        pass


def test_leftovers_of_killed_processes_are_removed_and_held_locks_are_not(cache, slide, grid):
    cache.put(slide, "a" * 32, grid)
    old = cache.folder / ".slide.h5.0a_bcdef.part"
    old.write_bytes(b"half")
    os.utime(old, (0, 0))
    (cache.folder / ".fresh.h5.0a_bcdef.part").write_bytes(b"being written")
    theirs = cache.folder / ".download.svs.part"
    theirs.write_bytes(b"of another program")
    os.utime(theirs, (0, 0))
    with cache.lock(slide, "b" * 32):
        assert cache.remove_leftovers() == 1
    assert theirs.exists() and not old.exists()
    assert cache.get(slide, "a" * 32) is not None


def test_only_a_sealed_file_with_a_wrong_checksum_is_damaged(cache, grid):
    cache.folder.mkdir()
    foreign = cache.folder / "trident.h5"
    with h5py.File(foreign, "w") as file:
        file["features"] = np.zeros((3, 2))
    (cache.folder / "text.h5").write_text("not HDF5")
    assert [entry.status for entry in cache.entries()] == ["foreign", "foreign"]


def test_a_grid_whose_slide_has_gone_is_an_orphan_unless_its_path_is_relative(cache, slide):
    def of(path):
        return Grid(np.ones((1, 2)), [[0, 0]], (1, 1), slide=path)

    cache.put("here", "a" * 32, of(slide))
    cache.put("gone", "b" * 32, of(slide.with_name("gone.svs")))
    cache.put("relative", "c" * 32, of("gone.svs"))
    assert {e.path.name.split("-")[0]: e.status for e in cache.entries()} == {
        "here": "ours",
        "gone": "orphan",
        "relative": "ours",
    }


def test_names_of_long_characters_fit_the_file_system(cache, grid):
    slide = "患" * 80 + ".svs"
    with cache.lock(slide, "a" * 32):
        assert cache.put(slide, "a" * 32, grid).n_cells == grid.n_cells


def test_a_name_that_is_not_utf8_has_a_cache_file(cache, grid):
    slide = os.fsdecode(b"M\xfcller.tiff")
    assert Path(cache.put(slide, "a" * 32, grid).path).name == "Mller-aaaaaaaaaaaaaaaa.h5"
