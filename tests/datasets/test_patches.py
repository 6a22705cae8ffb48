import os
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknic.datasets import load_patch_folder, make_patch_tasks
from sknic.datasets.drawing.patch_tasks import TASKS
from sknic.datasets.drawing.stains import Film, scanner
from sknic.datasets.patch_image import read_image
from sknic.exceptions import ColorWarning, DatasetError


@pytest.fixture(scope="module")
def tasks():
    return make_patch_tasks(600, random_state=0)


def test_patches_and_labels_belong_together(tasks):
    patches, labels = tasks
    assert patches.shape == (600, 64, 64, 3) and patches.dtype == np.uint8
    assert list(labels) == list(TASKS)
    assert (labels.notna().sum(axis=1) == 1).all()
    assert all(set(labels[task].dropna()) == set(TASKS[task]) for task in TASKS)
    assert (labels.notna().sum() == 150).all()


def test_a_source_has_one_scanner_and_one_label(tasks):
    table = tasks.labels.ffill(axis=1).iloc[:, -1]
    groups = pd.Series(tasks.groups)
    assert (table.groupby(groups).nunique() == 1).all()
    assert (pd.Series(tasks.centers).groupby(groups).nunique() == 1).all()


def test_every_label_comes_from_every_scanner(tasks):
    for task in TASKS:
        assert (pd.crosstab(tasks.labels[task], tasks.centers) > 0).all(axis=None)


def test_scanners_differ_in_stain(tasks):
    tumour = (tasks.labels["lymph"] == "tumour").to_numpy()
    colours = np.array([tasks.patches[tumour & (tasks.centers == c)].mean((0, 1, 2)) for c in set(tasks.centers)])
    assert np.ptp(colours, axis=0).max() > 15


@pytest.mark.parametrize("task", list(TASKS))
def test_labels_are_learnable_on_unseen_sources(tasks, task):
    rows = tasks.labels[task].notna().to_numpy()
    X = tasks.patches[rows].astype(float)
    middle = X[:, 16:48, 16:48]
    features = np.column_stack([X.mean((1, 2)), X.std((1, 2)), middle.min((1, 2)), X.min((1, 2)), middle.std((1, 2))])
    y, groups = tasks.labels.loc[rows, task].to_numpy(), tasks.groups[rows]
    held_out = np.array([int(group[-4:]) // len(TASKS[task]) % 4 == 0 for group in groups])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(features[~held_out], y[~held_out])
    assert model.score(features[held_out], y[held_out]) > 1.3 / len(TASKS[task])


def test_the_same_seed_gives_the_same_patches():
    first, second, other = (make_patch_tasks(44, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.patches, second.patches)
    assert (first.patches != other.patches).any()


@pytest.mark.parametrize("options, message", [({"n_patches": 8}, "n_patches=8"), ({"patch_size": 30}, "patch_size=30")])
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_patch_tasks(**options)


def test_dye_darkens_as_beer_and_lambert_say():
    film = Film(scanner(0), np.random.RandomState(0))
    dye, none = np.full((64, 64), 80, np.uint8), np.zeros((64, 64), np.uint8)
    glass, once, twice = (film.develop(amount, none).mean((0, 1)) for amount in (none, dye, 2 * dye))
    np.testing.assert_allclose(once / glass, twice / once, rtol=0.02)


@pytest.mark.parametrize("csv", [True, False])
@pytest.mark.parametrize("mapped", [True, False])
def test_a_folder_is_read_in_the_order_of_its_table(patch_dir, tmp_path, csv, mapped):
    if not csv:
        (patch_dir / "patches.csv").unlink()
    patches, table = load_patch_folder(patch_dir, tmp_path / "patches.npy" if mapped else None, verbose=0)
    assert isinstance(patches, np.memmap) == mapped
    assert patches.shape == (24, 16, 16, 3) and list(table.columns[:3]) == ["path", "task", "label"]
    number = table["label"].map({"lympho": 0, "mucosa": 1, "stroma": 2, "tumour": 3})
    source = table["path"].str.extract(r"(\d)_\d\.png")[0].astype(int)
    np.testing.assert_array_equal(patches[:, 0, 0, 0], 20 + 50 * number + 10 * source)
    assert table["group"].nunique() == (12 if csv else 24)
    labels = table.pivot(columns="task", values="label")
    np.testing.assert_array_equal(labels["colorectal"], table["label"])


def test_a_memory_map_is_made_once(patch_dir, tmp_path):
    out = tmp_path / "patches.npy"
    load_patch_folder(patch_dir, out, verbose=0)
    made = out.stat().st_mtime_ns
    load_patch_folder(patch_dir, out, verbose=0)
    assert out.stat().st_mtime_ns == made


def test_a_memory_map_of_other_patches_is_made_again(patch_dir, tmp_path):
    out = tmp_path / "patches.npy"
    np.save(out, np.zeros((3, 16, 16, 3), np.uint8))
    with pytest.raises(DatasetError, match="patches.npy: not written by sknic, and not replaced"):
        load_patch_folder(patch_dir, out, verbose=0)
    assert np.load(out).shape[0] == 3
    (tmp_path / "patches.npy.source").write_text("other images")
    patches, _ = load_patch_folder(patch_dir, out, verbose=0)
    assert patches.shape[0] == 24


def test_a_memory_map_of_another_folder_with_the_same_names_sizes_and_times_is_made_again(patch_dir, tmp_path):
    out, twin = tmp_path / "patches.npy", tmp_path / "twin"
    shutil.copytree(patch_dir, twin)
    for path in twin.rglob("*.png"):
        Image.fromarray(np.full((16, 16, 3), 7, np.uint8)).save(path)
        original = patch_dir / path.relative_to(twin)
        size = max(path.stat().st_size, original.stat().st_size)
        for each in (path, original):  # what follows the image does not count
            each.write_bytes(each.read_bytes().ljust(size, b"\0"))
            os.utime(each, (1, 1))
    assert load_patch_folder(patch_dir, out, verbose=0)[0].max() > 7
    assert load_patch_folder(twin, out, verbose=0)[0].max() == 7


def test_a_memory_map_of_the_same_number_of_other_patches_is_made_again(patch_dir, tmp_path):
    """Folders task/class/image, in which two labels are corrected: the rows change their order."""
    (patch_dir / "patches.csv").unlink(missing_ok=True)
    out = tmp_path / "patches.npy"
    load_patch_folder(patch_dir, out, verbose=0)
    classes = patch_dir / "colorectal"
    (classes / "stroma" / "1_0.png").rename(classes / "tumour" / "9_9.png")
    (classes / "tumour" / "2_1.png").rename(classes / "lympho" / "9_9.png")
    patches, table = load_patch_folder(patch_dir, out, verbose=0)
    wanted, _ = load_patch_folder(patch_dir, verbose=0)
    np.testing.assert_array_equal(patches, wanted)
    assert len(table) == 24


@pytest.mark.parametrize("label", ["", "NA", "nan", " ", "-1"])
def test_a_patch_without_a_label_is_not_of_a_class_of_its_own(patch_dir, label):
    table = pd.DataFrame({"path": ["a.png", "b.png"], "task": "tumour", "label": ["yes", label]})
    table.to_csv(patch_dir / "patches.csv", index=False)
    with pytest.raises(DatasetError, match=f"row 3: label {label.strip()!r} stands for a missing value"):
        load_patch_folder(patch_dir, verbose=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('path,task,label,note\na.png,t,x,"5 um\nb.png,t,y,\nc.png,t,y,2"\n', "line 4 has 3 lines that look like rows"),
        ("task,label,label\ncrc,tumor,stroma\n", "2 columns named 'label'"),
        ("task,label,mpp\ncrc,tumor,0.5\ncrc,stroma,half\n", "column 'mpp', row 3: 'half' is not a number"),
        ("task,label,mpp\ncrc,tumor,0\n", "column 'mpp', row 2: '0' is not a number"),
        ("task,label,patient\ncrc,tumor,unknown\n", "column 'patient' is empty in row 2"),
        ("task,label,patient\ncrc,tumor,2.02E+11\n", "a spreadsheet has rounded the id"),
    ],
)
def test_a_damaged_table_of_patches_is_refused_with_the_row(patch_dir, text, message):
    (patch_dir / "patches.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        load_patch_folder(patch_dir, verbose=0)


def test_the_sources_of_patches_are_text(patch_dir):
    paths = sorted(str(path.relative_to(patch_dir)) for path in patch_dir.glob("*/*/*.png"))[:4]
    rows = "".join(f"{path},t,a,P{row},\n" for row, path in enumerate(paths))
    (patch_dir / "patches.csv").write_text(f"path,task,label,group\n{rows}")  # a separator at the end of each row
    found = load_patch_folder(patch_dir, verbose=0)[1]
    assert found.loc[0, ["task", "label", "group"]].tolist() == ["t", "a", "P0"]
    table = pd.DataFrame({"path": paths, "task": "t", "label": list("abab"), "patient": ["007", "7", "1.10", "1.1"]})
    table.assign(mpp=["0.5", "", "NA", "0.5"]).to_csv(patch_dir / "patches.csv", index=False)
    found = load_patch_folder(patch_dir, verbose=0)[1]
    assert found["group"].tolist() == ["007", "7", "1.10", "1.1"]
    assert found["mpp"].isna().tolist() == [False, True, True, False]


def test_folders_of_a_system_are_not_classes_and_images_at_other_depths_are_named(patch_dir):
    (patch_dir / "patches.csv").unlink()
    expected = load_patch_folder(patch_dir, verbose=0)[1]
    image = (patch_dir / expected["path"].iloc[0]).read_bytes()

    def place(path):
        (patch_dir / path).parent.mkdir(parents=True)
        (patch_dir / path).write_bytes(image)

    place(".Trash-1000/files/old.png")
    place("colorectal/.thumbs/x.png")
    pd.testing.assert_frame_equal(load_patch_folder(patch_dir, verbose=0)[1], expected)
    place("colorectal/NA/x.png")
    with pytest.raises(DatasetError, match="label 'NA' stands for a missing value"):
        load_patch_folder(patch_dir, verbose=0)
    place("colorectal/tumour/P2/x.png")
    with pytest.raises(DatasetError, match="1 images are not in folders task/class/image, such as .*P2/x.png"):
        load_patch_folder(patch_dir, verbose=0)


def test_patches_of_one_patient_are_of_one_group(patch_dir):
    paths = sorted(str(path.relative_to(patch_dir)) for path in patch_dir.glob("*/*/*.png"))[:4]
    table = pd.DataFrame({"path": paths, "task": "t", "label": list("abab"), "patient_id": ["p", "p", "q", "q"]})
    table.to_csv(patch_dir / "patches.csv", index=False)
    assert load_patch_folder(patch_dir, verbose=0)[1]["group"].tolist() == ["p", "p", "q", "q"]


def test_damaged_and_missing_images_are_all_named(patch_dir, tmp_path):
    (patch_dir / "colorectal/stroma/1_0.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (patch_dir / "colorectal/tumour/2_1.png").unlink()
    with pytest.raises(DatasetError, match=r"2 of 24 .*stroma/1_0\.png.*tumour/2_1\.png"):
        load_patch_folder(patch_dir, tmp_path / "patches.npy", verbose=0)
    assert not (tmp_path / "patches.npy").exists()


def test_pixels_that_a_conversion_would_change_are_refused(patch_dir):
    path = patch_dir / "colorectal/tumour/2_1.png"
    clear = np.full((8, 8, 4), 200, np.uint8)
    deep, clear[0, 0, 3] = np.linspace(0, 65535, 64).reshape(8, 8), 0
    for pixels, suffix, message in (
        (deep.astype(np.uint16), ".png", "more than 8 bits"),
        (deep.astype(np.float32), ".tif", "more than 8 bits"),
        (clear, ".png", "some pixels are transparent"),
    ):
        Image.fromarray(pixels).save(path.with_suffix(suffix))
        with pytest.raises(DatasetError, match=message):
            read_image(path.with_suffix(suffix))
    tifffile.imwrite(path.with_suffix(".tif"), np.full((8, 8, 3), 2000, np.uint16), photometric="rgb")
    with pytest.raises(DatasetError, match="more than 8 bits"):
        read_image(path.with_suffix(".tif"))
    tifffile.imwrite(path.with_suffix(".tif"), np.full((3, 8, 8), 200, np.uint8), photometric="minisblack")
    with pytest.raises(DatasetError, match="3 pages or frames"):
        read_image(path.with_suffix(".tif"))
    Image.fromarray(clear[..., :3]).save(path, transparency=(200, 200, 200))
    with pytest.raises(DatasetError, match="some pixels are transparent"):
        read_image(path)
    clear[..., 3] = 255
    Image.fromarray(clear).save(path)
    assert (read_image(path) == 200).all()


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_gray_patches_are_told_once_per_folder(patch_dir, mode):
    for path in (patch_dir / "colorectal/tumour").glob("*.png"):
        Image.open(path).convert(mode).save(path)
    with pytest.warns(ColorWarning, match="tumour: has patches with one gray channel") as told:
        patches, _ = load_patch_folder(patch_dir, verbose=0)
    assert len({str(warning.message) for warning in told}) == 1
    assert patches.shape[-1] == 3


def test_patches_of_other_colors_are_refused(patch_dir):
    path = patch_dir / "colorectal/tumour/2_1.tif"
    Image.new("CMYK", (8, 8)).save(path)
    with pytest.raises(DatasetError, match="its colors are CMYK; expected red, green and blue"):
        read_image(path)


def test_images_of_another_size_are_named(patch_dir):
    from PIL import Image

    Image.new("RGB", (8, 8)).save(patch_dir / "colorectal/stroma/1_0.png")
    with pytest.raises(DatasetError, match=r"stroma/1_0\.png: 8 x 8 px"):
        load_patch_folder(patch_dir, verbose=0)


@pytest.mark.parametrize(
    "text, message", [("path,label\na,b\n", "task"), ("", "is empty"), ("path,task,label\n", "no rows")]
)
def test_a_bad_table_of_patches_is_named(tmp_path, text, message):
    (tmp_path / "patches.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        load_patch_folder(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DatasetError, match="no such folder"):
        load_patch_folder(tmp_path / "absent")
