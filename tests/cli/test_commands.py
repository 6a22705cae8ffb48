"""The commands, one after the other, as people type them."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sknic import Grid, MeanRGBEncoder, saliency
from sknic.cli.inputs import find_slides
from sknic.datasets import make_histology_cohort
from sknic.estimators import load_estimator

from .helpers import failing, program, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory, grids):
    """Two small slides, an encoder file, and grid files in a table."""
    folder = tmp_path_factory.mktemp("cli")
    make_histology_cohort(2, folder / "slides", shape=(20, 20), random_state=0)
    MeanRGBEncoder().save(folder / "encoder.safetensors")
    for path in grids.iterdir():
        shutil.copy(path, folder)
    return folder


def test_help_names_every_command():
    result = run("--help")
    assert result.exit_code == 0
    names = (
        "demo",
        "make-cohort",
        "info",
        "encoders",
        "train-encoder",
        "compress",
        "cache",
        "fit",
        "evaluate",
        "predict",
        "explain",
        "report",
        "view",
    )
    for name in names:
        assert name in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["info", "missing.svs"], 1, "missing.svs: no such file"),
        (["nonsense"], 2, "No such command 'nonsense'"),
        (["fit", "missing.csv", "--task", "regression", "--target", "a", "--out", "x"], 2, "missing.csv: no such file"),
        (["predict", "a.h5", "--model", "nowhere", "--out", "b.csv"], 1, "was not written by `sknic fit`"),
    ],
)
def test_a_failure_is_one_line_and_a_code(arguments, code, words):
    result = program(*arguments)
    assert result.returncode == code
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_debug_shows_the_traceback_wherever_it_stands():
    for arguments in (["--debug", "info", "missing.svs"], ["info", "missing.svs", "--debug"]):
        result = program(*arguments)
        assert result.returncode == 1
        assert "Traceback" in result.stderr


def test_the_program_answers_before_anything_heavy_is_loaded():
    code = "import sys, sknic.cli; print(sorted({'numpy', 'torch', 'pandas', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_shell_completes_commands(monkeypatch):
    for name, value in {"_SKNIC_COMPLETE": "complete_bash", "COMP_WORDS": "sknic ev", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    assert program().stdout.split() == ["evaluate"]


def test_a_cohort_is_laid_out_from_patches_whose_roles_are_named(tmp_path):
    root, labels = tmp_path / "patches", ["a", "b", "c", "d"]
    root.mkdir()
    rows = [("t", label, f"{label}{source}", 0.5) for label in labels for source in range(4) for _ in range(4)]
    np.save(root / "patches.npy", np.zeros((len(rows), 64, 64, 3), np.uint8))
    pd.DataFrame(rows, columns=["task", "label", "group", "mpp"]).to_csv(root / "patches.csv", index=False)
    roles = [f"{role}=t/{label}" for role, label in zip(["tumour", "stroma", "normal", "hot"], labels)]
    options = [part for role in roles for part in ("--role", role)]
    command = ["make-cohort", tmp_path / "out", "--patches", root, "--n-slides", 2, "--size", 20]
    assert run(*command, *options).exit_code == 0
    assert pd.read_csv(tmp_path / "out" / "cohort.csv")["center"].tolist() == ["t", "t"]
    assert "stroma" in run(*command, "--role", "tumour=t/a").output
    assert run(*command, "--role", "bone=t/a").exit_code == 2
    assert run("make-cohort", tmp_path / "out", "--role", roles[0]).exit_code == 2


def test_a_cohort_is_drawn_with_its_table(tmp_path):
    assert run("make-cohort", tmp_path, "--n-slides", 2, "--size", 20).exit_code == 0
    table = pd.read_csv(tmp_path / "cohort.csv")
    assert all((tmp_path / path).exists() for path in table.path)
    assert {"patient", "score", "pattern", "time", "event"} <= set(table)
    assert json.loads((tmp_path / "run.json").read_text())["command"] == "make-cohort"


def test_info_says_size_and_um_per_px(folder):
    result = run("info", next((folder / "slides").glob("*.tiff")), "--thumbnail", folder / "thumbnail.png")
    assert result.exit_code == 0
    assert "0.5 (" in result.output
    assert (folder / "thumbnail.png").stat().st_size > 1000


def test_info_describes_the_grids_of_a_folder_and_a_bad_one_costs_itself(folder, tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.h5").write_bytes((folder / f"grid{number}.h5").read_bytes())
    grid = Grid.read(tmp_path / "0.h5")
    result = run("info", tmp_path)
    assert result.exit_code == 0, result.output
    assert f"{grid.n_cells:,} with tissue of {grid.shape[0]} x {grid.shape[1]}" in result.output
    assert f"{grid.embeddings.shape[1]} numbers per cell, {grid.embeddings.dtype}" in result.output
    assert "2 grids: 2 of" in result.output
    (tmp_path / "1.h5").write_bytes(b"nothing")
    result = run("info", tmp_path)
    assert result.exit_code == 1
    assert "2 grids: 1 of" in result.output and "1 cannot be read" in result.output and "1.h5" in result.output


def test_info_takes_the_slides_of_a_table(folder):
    result = run("info", folder / "slides" / "cohort.csv")
    assert result.exit_code == 0 and "2 slides: 2 with tissue" in result.output


def test_compress_plans_runs_and_keeps(folder):
    command = ["compress", folder / "slides", "--encoder", folder / "encoder.safetensors", "--out", folder / "kept"]
    assert "to do" in run(*command, "--dry-run").output
    assert not (folder / "kept").exists()
    assert run(*command).exit_code == 0
    manifest = pd.read_csv(folder / "kept" / "manifest.csv")
    assert list(manifest.status) == ["done", "done"]
    assert json.loads((folder / "kept" / "run.json").read_text())["versions"]["sknic"]
    assert "cached" in run(*command, "--dry-run").output
    assert "2 files" in run("cache", folder / "kept").output


def test_a_dry_run_that_finds_a_bad_slide_exits_with_1(folder, tmp_path):
    (tmp_path / "bad.svs").write_text("no slide")
    options = ["--encoder", folder / "encoder.safetensors", "--out", tmp_path / "out", "--dry-run"]
    result = run("compress", tmp_path, *options)
    assert result.exit_code == 1
    assert "cannot" in result.output


@pytest.mark.parametrize(
    ("task", "options", "metric"),
    [
        ("regression", ["--target", "score"], "spearman"),
        ("classification", ["--target", "label"], "auc"),
        ("survival", ["--event", "event", "--time", "time"], "concordance"),
    ],
)
def test_evaluate_writes_predictions_metrics_and_a_report(task, options, metric, folder, tmp_path):
    shared = ["--patient", "patient", "--cv", 2, "--max-steps", 32, "--out", tmp_path / "run"]
    result = run("evaluate", folder / "grids.csv", "--task", task, *options, *shared)
    assert result.exit_code == 0, result.output
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert len(predictions) == 12
    assert predictions.groupby("patient").fold.nunique().max() == 1
    assert metric in json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert (tmp_path / "run" / "report.html").read_text().count("<section") >= 2


def test_a_fitted_model_predicts_and_explains_in_another_call(folder, tmp_path):
    shared = ["--target", "label", "--max-steps", 32, "--out", tmp_path / "model"]
    assert run("fit", folder / "grids.csv", "--task", "classification", *shared).exit_code == 0
    model = ["--model", tmp_path / "model"]
    assert run("predict", folder / "grids.csv", *model, "--out", tmp_path / "p.csv").exit_code == 0
    predictions = pd.read_csv(tmp_path / "p.csv")
    np.testing.assert_allclose(predictions["probability a"] + predictions["probability b"], 1, rtol=1e-5)
    assert json.loads((tmp_path / "p.run.json").read_text())["settings"]["fitted"]["task"] == "classification"
    assert run("explain", folder / "grid0.h5", *model, "--out", tmp_path / "maps").exit_code == 0
    assert json.loads((tmp_path / "maps" / "grid0.geojson").read_text())["type"] == "FeatureCollection"
    assert json.loads((tmp_path / "maps" / "run.json").read_text())["settings"]["method"] == "grad_cam"


@pytest.mark.parametrize("method", ["grad_cam", "input_gradients", "integrated_gradients"])
def test_explain_writes_the_map_of_the_method_asked_for(method, folder, tmp_path):
    grid, model = Grid.read(folder / "grid0.h5"), tmp_path / "model"
    run("fit", folder / "grids.csv", "--task", "regression", "--target", "score", "--max-steps", 32, "--out", model)
    run("explain", folder / "grid0.h5", "--model", model, "--out", tmp_path, "--method", method)
    cells = json.loads((tmp_path / "grid0.geojson").read_text())["features"]
    written = [cell["properties"]["measurements"][method] for cell in cells]
    expected = getattr(saliency, method)(load_estimator(model / "model.safetensors"), grid)
    np.testing.assert_allclose(written, expected[tuple(grid.cells.T)], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--target", "nothing"], "no column 'nothing'"), ([], "--target"), (["--target", "score", "--path", "x"], "'x'")],
)
def test_a_wrong_column_is_named(options, message, folder, tmp_path):
    result = run("fit", folder / "grids.csv", "--task", "regression", "--out", tmp_path, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_slides_are_found_in_files_folders_patterns_and_tables(folder):
    slides = sorted(str(path) for path in (folder / "slides").glob("*.tiff"))
    assert find_slides([str(folder / "slides")]) == slides
    assert find_slides([str(folder / "slides" / "*.tiff")]) == slides
    assert find_slides([str(folder / "slides" / "cohort.csv")]) == slides
    assert find_slides([slides[0], slides[0]]) == slides[:1]


def _table_with(folder, tmp_path, change):
    table = pd.read_csv(folder / "grids.csv", dtype=str)
    table["path"] = [str(folder / path) for path in table["path"]]
    path = tmp_path / "table.csv"
    change(table).to_csv(path, index=False)
    return path


QUICK_FIT = ("--max-steps", "2", "--n-jobs", "1")


def test_words_for_events_are_mapped_and_said_before_anything_is_trained(folder, tmp_path):
    table = _table_with(folder, tmp_path, lambda t: t.assign(event=t["event"].map({"1": "Dead", "0": "Alive"})))
    result = run("fit", table, "--task", "survival", "--out", tmp_path / "model", *QUICK_FIT)
    assert "12 slides of 6 patients; 8 slides with an event, 4 censored" in result.output
    assert "event: Alive = no event (4), Dead = event (8)" in result.output
    assert "slides of one 'patient' stay together" in result.output


def test_events_of_1_and_2_are_refused(folder, tmp_path):
    table = _table_with(folder, tmp_path, lambda t: t.assign(event=t["event"].map({"1": "2", "0": "1"})))
    result = failing("fit", str(table), "--task", "survival", "--out", str(tmp_path / "model"))
    assert result.returncode == 1 and "--event-value" in result.stderr and "column 'event', row" in result.stderr
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(("label", "words"), [("a", "the same slide"), ("b", "one slide, different targets")])
def test_a_slide_in_two_rows_is_refused(label, words, folder, tmp_path):
    table = _table_with(folder, tmp_path, lambda t: pd.concat([t, t.iloc[:1].assign(label=label)]))
    arguments = ("--task", "classification", "--target", "label", "--out", str(tmp_path / "model"))
    result = failing("fit", str(table), *arguments)
    assert result.returncode == 1 and words in result.stderr and "rows 2, 14" in result.stderr


def test_a_grid_that_does_not_know_its_level0_pixels_gets_no_tiles_and_the_reason(folder, tmp_path):
    table = _table_with(folder, tmp_path, lambda t: t)
    run("fit", table, "--task", "classification", "--target", "label", "--out", tmp_path / "model", *QUICK_FIT)
    grid = Grid.read(folder / "grid0.h5")
    Grid(grid.embeddings, grid.cells, grid.shape, mpp=0.5, patch_size=64).write(tmp_path / "unplaced.h5")
    said = run("explain", tmp_path / "unplaced.h5", "--model", tmp_path / "model", "--out", tmp_path / "maps").output
    assert "unplaced.h5" in said and "level-0 px" in said and not list((tmp_path / "maps").glob("*.geojson"))


def test_explain_takes_the_class_to_explain_and_names_those_there_are(folder, tmp_path):
    table = _table_with(folder, tmp_path, lambda t: t)
    run("fit", table, "--task", "classification", "--target", "label", "--out", tmp_path / "model", *QUICK_FIT)
    maps = {}
    for label in ("a", "b"):
        out = tmp_path / label
        run("explain", folder / "grid0.h5", "--model", tmp_path / "model", "--out", out, "--class", label)
        tiles = json.loads((out / "grid0.geojson").read_text())["features"]
        maps[label] = [tile["properties"]["measurements"]["grad_cam"] for tile in tiles]
        with Image.open(out / "grid0.png") as picture:
            assert picture.width > 1000
    assert maps["a"] != maps["b"]
    refused = run("explain", folder / "grid0.h5", "--model", tmp_path / "model", "--out", tmp_path, "--class", "c")
    assert refused.exit_code == 2 and "a, b" in refused.output


def test_explain_writes_the_most_salient_cells_as_annotations(folder, tmp_path):
    model = tmp_path / "model"
    run("fit", folder / "grids.csv", "--task", "regression", "--target", "score", "--out", model, *QUICK_FIT)
    said = run("explain", folder / "grid0.h5", "--model", model, "--out", tmp_path, "--top", 3, "--gallery", 2)
    assert said.exit_code == 0 and "no gallery: all slides were moved or deleted" in said.output
    features = {
        name: json.loads((tmp_path / name).read_text())["features"] for name in ("grid0.geojson", "grid0.top.geojson")
    }
    values = {
        name: [cell["properties"]["measurements"]["grad_cam"] for cell in cells] for name, cells in features.items()
    }
    assert values["grid0.top.geojson"] == sorted(values["grid0.geojson"], reverse=True)[:3]
    assert {cell["properties"]["objectType"] for cell in features["grid0.top.geojson"]} == {"annotation"}


def test_explain_draws_a_gallery_for_each_class_and_overlays_at_full_resolution(folder, tmp_path):
    table = pd.read_csv(folder / "slides" / "cohort.csv", dtype=str)
    paths = [str(folder / "slides" / path) for path in table["path"]]
    pd.DataFrame({"path": paths, "kind": ["a/b", "c"], "patient": ["p", "q"]}).to_csv(tmp_path / "t.csv", index=False)
    options = ("--encoder", folder / "encoder.safetensors", "--out", tmp_path / "model", *QUICK_FIT)
    fitted = run("fit", tmp_path / "t.csv", "--task", "classification", "--target", "kind", *options)
    assert fitted.exit_code == 0, fitted.output
    asked = ("--gallery", 4, "--ome-tiff", "--out", tmp_path / "maps")
    said = run("explain", tmp_path / "t.csv", "--model", tmp_path / "model", *asked)
    assert said.exit_code == 0, said.output
    galleries = sorted(path.name for path in (tmp_path / "maps").glob("gallery*"))
    assert galleries == ["gallery-a-b.png", "gallery-c.png"]
    assert len(list((tmp_path / "maps").glob("*.ome.tiff"))) == 2
    assert f"wrote the maps of 2 slides to {tmp_path / 'maps'}" in said.output
    again = run(
        "explain", tmp_path / "t.csv", "--model", tmp_path / "model", "--class", "c", *asked[:2], "--out", tmp_path
    )
    assert again.exit_code == 0 and [path.name for path in tmp_path.glob("gallery*")] == ["gallery-c.png"]
    assert run("explain", tmp_path / "t.csv", "--model", tmp_path / "model", *asked[3:]).exit_code == 0
    left = [path.name for kind in ("*.ome.tiff", "gallery*") for path in (tmp_path / "maps").glob(kind)]
    assert left == []  # they would show the model before


def test_two_slides_of_one_file_name_get_a_map_each(folder, tmp_path):
    table = _table_with(folder, tmp_path, lambda t: t)
    run("fit", table, "--task", "classification", "--target", "label", "--out", tmp_path / "model", *QUICK_FIT)
    for number, case in enumerate(("P1", "P2")):
        (tmp_path / case).mkdir()
        (tmp_path / case / "HE.h5").write_bytes((folder / f"grid{number}.h5").read_bytes())
    slides = [tmp_path / case / "HE.h5" for case in ("P1", "P2")]
    run("explain", *slides, "--model", tmp_path / "model", "--out", tmp_path / "maps")
    names = {path.name for path in (tmp_path / "maps").glob("*.geojson")}
    assert names == {f"{case}-HE{end}.geojson" for case in ("P1", "P2") for end in ("", ".top")}


def test_two_positives_of_twelve_keep_their_predictions(folder, tmp_path):
    table = _table_with(folder, tmp_path, lambda t: t.assign(rare=["yes" if i in (0, 6) else "no" for i in range(12)]))
    arguments = (
        "--task",
        "classification",
        "--target",
        "rare",
        "--no-patient",
        "--cv",
        "2",
        "--out",
        tmp_path / "result",
    )
    result = run("evaluate", table, *arguments, *QUICK_FIT)
    assert result.exit_code == 0 and "n/a: too few patients for an interval" in result.output
    assert len(pd.read_csv(tmp_path / "result" / "predictions.csv")) == 12
    assert json.loads((tmp_path / "result" / "metrics.json").read_text())["auc"]["low"] is None
    assert "n/a" in (tmp_path / "result" / "report.html").read_text()


def test_two_slides_of_one_file_name_get_a_thumbnail_each(folder, tmp_path):
    slide = sorted((folder / "slides").glob("*.tiff"))[0]
    for case in ("P1", "P2"):
        (tmp_path / case).mkdir()
        (tmp_path / case / "HE.tiff").write_bytes(slide.read_bytes())
    slides = [tmp_path / case / "HE.tiff" for case in ("P1", "P2")]
    assert run("info", *slides, "--thumbnail", tmp_path / "tissue.png").exit_code == 0
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["P1-HE-tissue.png", "P2-HE-tissue.png"]
