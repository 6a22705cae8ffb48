"""What is of the user stays: no result takes the place of a file that sknic did not write, or of its own input."""

import shutil

import pandas as pd
import pytest

from sknic import SlideCompressor
from sknic.cli.model_folder import slides_of
from tests.cli.helpers import run, said

QUICK = ("--task", "regression", "--target", "score", "--max-steps", 1, "--n-filters", 4)


@pytest.fixture
def table(grids, tmp_path):
    frame = pd.read_csv(grids / "grids.csv")
    frame["path"] = [str(grids / name) for name in frame["path"]]
    (tmp_path / "project").mkdir()
    frame.to_csv(tmp_path / "project" / "slides.csv", index=False)
    return tmp_path / "project" / "slides.csv"


@pytest.mark.parametrize("name", ["history.csv", "encoder.h5", "model.safetensors"])
def test_fit_leaves_files_of_the_user_alone(name, table):
    (table.parent / name).write_text("mine")
    result = run("fit", table, *QUICK, "--out", table.parent)
    assert result.exit_code == 2
    assert f"contains '{name}', which sknic did not write" in said(result)
    assert (table.parent / name).read_text() == "mine"


@pytest.mark.parametrize("name", ["report.html", "metrics.json", "overlays"])
def test_evaluate_leaves_files_of_the_user_alone(name, table):
    (table.parent / name).mkdir() if name == "overlays" else (table.parent / name).write_text("mine")
    result = run("evaluate", table, *QUICK, "--cv", 2, "--out", table.parent)
    assert result.exit_code == 2
    assert f"contains '{name}', which sknic did not write" in said(result)
    assert (table.parent / name).exists()


def test_a_table_beside_the_model_stays(table):
    before = table.read_bytes()
    assert run("fit", table, *QUICK, "--out", table.parent).exit_code == 0
    assert table.read_bytes() == before
    result = run("fit", table, *QUICK, "--out", table.parent)  # a model of ours may be replaced
    assert result.exit_code == 0 and "will be replaced" in result.output


def test_a_folder_is_not_the_name_of_predictions(tmp_path):
    result = run("predict", tmp_path, "--model", tmp_path, "--out", tmp_path / "results")
    assert result.exit_code == 2 and "results/predictions.csv" in said(result).replace(" ", "")


def test_the_table_that_is_read_is_not_overwritten(table, tmp_path):
    run("fit", table, *QUICK, "--out", tmp_path / "model")
    before = table.read_bytes()
    result = run("predict", table, "--model", tmp_path / "model", "--out", table)
    assert result.exit_code == 2 and "would overwrite the input table" in said(result)
    own = shutil.copy(table, table.with_name("predictions.csv"))
    result = run("evaluate", own, *QUICK, "--cv", 2, "--out", table.parent)
    assert result.exit_code == 2 and "would overwrite" in said(result)
    assert table.read_bytes() == before


def test_a_slide_that_was_learnt_from_is_known_by_its_digest(slides, tmp_path):
    paths = sorted(str(path) for path in slides.glob("slide_*.tiff"))[:2]
    copies = [shutil.copy(path, tmp_path / f"copy_{number}.tiff") for number, path in enumerate(paths)]
    compressor = SlideCompressor(str(slides / "encoder.safetensors"), mpp=0.5, patch_size=128)
    first, second = (slides_of(files, compressor.transform(files)) for files in (paths, copies))
    assert set(first["slide"]).isdisjoint(second["slide"])
    assert list(first["digest"]) == list(second["digest"])
    assert all(first["digest"])


@pytest.mark.parametrize(
    "command, options, words",
    [
        ("evaluate", ("--cv", 1), "cv=1: expected 2 folds or more"),
        ("evaluate", ("--cv", 9), "6 patients cannot fill 9 folds"),
        ("fit", (), "class of its own for each of 12 slides"),
    ],
)
def test_what_cannot_be_learnt_is_refused_before_slides_are_compressed(command, options, words, table, tmp_path):
    frame = pd.read_csv(table).assign(path=[f"slide{i}.svs" for i in range(12)])
    frame.to_csv(table, index=False)  # no slide is there: nothing may be opened
    target = ("--task", "classification", "--target", "score" if command == "fit" else "label", "--max-steps", 1)
    with pytest.raises(ValueError, match=words):
        run(command, table, *target, *options, "--out", tmp_path / "out")
