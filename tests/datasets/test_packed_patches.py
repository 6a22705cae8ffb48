"""Patches packed as patches.npy and patches.csv, row for row, and slides laid out from them by roles."""

from pathlib import Path

import numpy as np
import openslide
import pytest

from sknic.datasets import load_patch_folder, make_mosaic_cohort
from sknic.exceptions import DatasetError

from .helpers import ROLES, pack


def mosaic(root, out, n_slides=4, **options):
    settings = {"cell_size": 32, "shape": (20, 20), "roles": ROLES, "random_state": 0} | options
    return make_mosaic_cohort(root, n_slides, out, **settings)


def test_rows_of_the_array_are_rows_of_the_table(tmp_path):
    levels, written = pack(tmp_path)
    patches, table = load_patch_folder(tmp_path)
    np.testing.assert_array_equal(patches[:, 0, 0, 0], levels)
    assert table[["task", "label", "group", "mpp"]].equals(written[["task", "label", "group", "mpp"]])
    assert isinstance(patches, np.memmap) and table["path"].is_unique


def test_a_map_is_not_copied(tmp_path):
    pack(tmp_path)
    load_patch_folder(tmp_path, tmp_path / "copy.npy")
    assert not (tmp_path / "copy.npy").exists()


def test_images_named_by_the_table_are_read_though_an_array_lies_beside_them(patch_dir):
    first, _ = load_patch_folder(patch_dir, patch_dir / "patches.npy", verbose=0)
    (patch_dir / "colorectal/lympho/0_0.png").replace(patch_dir / "kept.png")
    (patch_dir / "kept.png").replace(patch_dir / "colorectal/lympho/0_0.png")
    again, table = load_patch_folder(patch_dir, verbose=0)
    np.testing.assert_array_equal(first, again)
    assert table["path"].str.endswith(".png").all()


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 16, 16, 3), np.uint8), "3 patches, but patches.csv has 120 rows"),
        (np.zeros((120, 16, 16, 3), np.float32), "expected uint8"),
        (np.zeros((120, 16, 16), np.uint8), "expected uint8"),
    ],
)
def test_an_array_that_does_not_belong_to_the_table_is_refused(tmp_path, array, message):
    pack(tmp_path)
    np.save(tmp_path / "patches.npy", array)
    with pytest.raises(DatasetError, match=message):
        load_patch_folder(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an array"])
def test_a_damaged_array_is_named(tmp_path, content):
    pack(tmp_path)
    (tmp_path / "patches.npy").write_bytes(content)
    with pytest.raises(DatasetError, match=r"patches\.npy: damaged"):
        load_patch_folder(tmp_path)


def test_a_table_without_images_and_array_says_what_is_missing(tmp_path):
    pack(tmp_path)
    (tmp_path / "patches.npy").unlink()
    with pytest.raises(DatasetError, match=r"column path with image files, or a patches\.npy"):
        load_patch_folder(tmp_path)


def test_a_slide_shows_the_sources_of_its_part_where_the_roles_say(tmp_path):
    levels, table = pack(tmp_path / "patches")
    cohort = mosaic(tmp_path / "patches", tmp_path / "slides", n_slides=8, max_slides_per_patient=1)
    level_of = dict(zip(table["group"], levels.astype(int)))
    for path, part, tissue in zip(cohort.paths, cohort.table["part"], cohort.tissue):
        with openslide.OpenSlide(path) as slide:
            pixels = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"), int)
        means = pixels.reshape(20, 32, 20, 32, 3)[:, 8:24, :, 8:24].mean((1, 3, 4))
        for label, kind in {"healthy": 1, "tubular": 2, "adeno": 3, "serrated": 4}.items():
            own = [level_of[group] for group in cohort.groups[part] if group.startswith(label)]
            assert np.abs(means[tissue == kind][:, None] - own).min(1).max() < 4


def test_sources_of_the_parts_and_of_encoders_are_disjoint(tmp_path):
    pack(tmp_path / "patches")
    groups = mosaic(tmp_path / "patches", tmp_path / "slides").groups
    names = [name for part in groups.values() for name in part]
    assert len(names) == len(set(names)) == 24


def test_slides_of_an_earlier_cohort_are_removed_and_other_files_are_not(tmp_path):
    pack(tmp_path / "patches")
    out = tmp_path / "slides"
    mosaic(tmp_path / "patches", out, n_slides=4)
    (out / "slide_9.tiff").write_bytes(b"a slide of the user's")
    (out / "notes.txt").touch()
    kept = mosaic(tmp_path / "patches", out, n_slides=2)
    names = {file.name for file in out.iterdir()}
    assert names == {"slide_0000.tiff", "slide_0001.tiff", "slide_9.tiff", "notes.txt", "cohort.csv"}
    assert len(kept) == 2


def test_other_patches_under_the_same_rows_are_laid_out_anew(tmp_path):
    pack(tmp_path / "patches")
    first = mosaic(tmp_path / "patches", tmp_path / "slides", n_slides=1, parts={"all": 1})
    before = Path(first.paths[0]).read_bytes()
    pack(tmp_path / "patches", mpp=1.0)
    mosaic(tmp_path / "patches", tmp_path / "slides", n_slides=1, parts={"all": 1})
    assert Path(first.paths[0]).read_bytes() != before
