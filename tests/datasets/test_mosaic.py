import filecmp

import numpy as np
import openslide
import pandas as pd
import pytest
from PIL import Image

from sknic.datasets import make_mosaic_cohort, split_groups
from sknic.exceptions import DatasetError


def mosaic(patch_dir, tmp_path, n_slides=4, **options):
    settings = {"cell_size": 32, "shape": (20, 20), "random_state": 0} | options
    return make_mosaic_cohort(patch_dir, n_slides, tmp_path / "slides", **settings)


def test_a_cell_shows_patches_of_one_source_of_its_own_part(patch_dir, tmp_path):
    cohort = mosaic(patch_dir, tmp_path, n_slides=8, max_slides_per_patient=1)
    level_of = {
        f"{label}{s}": 20 + 50 * n + 10 * s
        for n, label in enumerate(["lympho", "mucosa", "stroma", "tumour"])
        for s in range(3)
    }
    assert set(cohort.table["part"]) == {"train", "test"}
    for path, part in zip(cohort.paths, cohort.table["part"]):
        with openslide.OpenSlide(path) as slide:
            assert slide.dimensions == (640, 640)
            pixels = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"), int)
        cells = pixels.reshape(20, 32, 20, 32, 3)[:, 8:24, :, 8:24]
        levels = cells.mean((1, 3, 4))
        tissue = levels < 230
        assert cells.std((1, 3)).max(axis=-1)[tissue].max() < 4
        shown = {name for name, level in level_of.items() if (np.abs(levels[tissue] - level) < 4).any()}
        assert shown <= set(cohort.groups[part])


def test_no_source_serves_two_purposes(patch_dir, tmp_path):
    groups = mosaic(patch_dir, tmp_path).groups
    assert set(groups) == {"train", "test", "encoder"}
    names = [name for part in groups.values() for name in part]
    assert len(names) == len(set(names)) == 12
    assert all(any(name.startswith("tumour") for name in part) for part in groups.values())


def test_mpp_becomes_the_round_number_close_by(patch_dir, tmp_path):
    cohort = mosaic(patch_dir, tmp_path, n_slides=1, parts={"all": 1})
    assert cohort.table["mpp"].tolist() == [0.5]
    assert float(openslide.OpenSlide(cohort.paths[0]).properties["openslide.mpp-x"]) == pytest.approx(0.5)


def test_the_same_seed_gives_the_same_bytes(patch_dir, tmp_path):
    first = mosaic(patch_dir, tmp_path / "a", n_slides=2)
    second = mosaic(patch_dir, tmp_path / "b", n_slides=2, n_jobs=2)
    assert all(filecmp.cmp(a, b, shallow=False) for a, b in zip(first.paths, second.paths))


def test_other_pixels_under_the_same_names_are_other_slides(patch_dir, tmp_path):
    def brightness():
        cohort = make_mosaic_cohort(patch_dir, 2, tmp_path / "out", shape=(20, 20), cell_size=16)
        with openslide.OpenSlide(cohort.paths[0]) as slide:
            return np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB")).mean()

    before = brightness()
    for path in patch_dir.rglob("*.png"):
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(path)
    assert brightness() < before - 20


def test_files_of_the_user_are_not_replaced(patch_dir, tmp_path):
    (tmp_path / "cohort.csv").write_text("case,grade\na,2\n")
    (tmp_path / "slide_0000.tiff").write_bytes(b"a slide of the user")
    for place in (tmp_path, tmp_path / "only the table"):
        place.mkdir(exist_ok=True)
        (place / "cohort.csv").write_text("case,grade\na,2\n")
        with pytest.raises(DatasetError, match=r"not written by sknic, and not replaced: .*cohort\.csv"):
            make_mosaic_cohort(patch_dir, 2, place, shape=(20, 20), cell_size=16)
        assert (place / "cohort.csv").read_text() == "case,grade\na,2\n"
    assert (tmp_path / "slide_0000.tiff").read_bytes() == b"a slide of the user"


def test_labels_of_other_tasks_can_take_a_role(patch_dir, tmp_path):
    roles = {"tumour": "tumour", "stroma": ["stroma", "mucosa"], "normal": "colorectal/mucosa", "hot": "lympho"}
    assert len(mosaic(patch_dir, tmp_path, roles=roles, n_slides=1)) == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"task": "prostate"}, "roles=None"),
        ({"roles": {"tumour": "tumour", "stroma": "bone", "normal": "mucosa", "hot": "lympho"}}, "'bone'"),
        ({"parts": {"a": 1, "b": 1, "c": 1}}, "has 3 sources, too few"),
        ({"cell_size": 40}, "cell_size=40"),
    ],
)
def test_what_the_folder_cannot_give_is_said(patch_dir, tmp_path, options, message):
    with pytest.raises(DatasetError, match=message):
        mosaic(patch_dir, tmp_path, **options)


def test_um_per_px_must_agree(patch_dir, tmp_path):
    table = pd.read_csv(patch_dir / "patches.csv")
    table.loc[table["label"] == "tumour", "mpp"] = 1.0
    table.to_csv(patch_dir / "patches.csv", index=False)
    with pytest.raises(DatasetError, match="agree within 5 %"):
        mosaic(patch_dir, tmp_path)


def test_a_damaged_patch_is_named(patch_dir, tmp_path):
    for path in (patch_dir / "colorectal" / "tumour").glob("*.png"):
        path.write_bytes(b"no image")
    with pytest.raises(DatasetError, match=r"tumour.*\.png: missing or damaged"):
        mosaic(patch_dir, tmp_path)


def test_sources_are_split_whole_and_every_label_reaches_every_part():
    rng = np.random.RandomState(0)
    patches = pd.DataFrame({"label": rng.choice(list("abc"), 300), "group": rng.randint(40, size=300).astype(str)})
    parts = split_groups(patches, {"encoder": 0.5, "train": 0.3, "test": 0.2}, random_state=0)
    assert (parts.groupby(patches["group"]).nunique() == 1).all()
    assert (pd.crosstab(patches["label"], parts) > 0).all(axis=None)
    shares = parts.groupby(patches["group"]).first().value_counts(normalize=True)
    assert abs(shares["encoder"] - 0.5) < 0.1


def test_a_mosaic_of_the_real_patches_keeps_their_pixels(test_data, tmp_path):
    cohort = make_mosaic_cohort(test_data / "patches", 1, tmp_path, shape=(20, 20), parts={"all": 1}, random_state=0)
    slide = openslide.OpenSlide(cohort.paths[0])
    table = pd.read_csv(test_data / "patches" / "patches.csv")
    sources = table[table["group"].isin(cohort.groups["all"]) & (table["task"] == "colorectal")]
    pool = np.stack([np.asarray(Image.open(test_data / "patches" / path), int) for path in sources["path"]])
    pool = np.concatenate([np.rot90(p, k, (1, 2)) for p in (pool, pool[:, :, ::-1]) for k in range(4)])
    middle = np.asarray(slide.read_region((1280, 1280), 0, (64, 64)).convert("RGB"), int)
    assert np.abs(pool - middle).mean((1, 2, 3)).min() < 6
