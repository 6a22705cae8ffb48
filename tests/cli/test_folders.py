"""Results of one command are not mixed with those of another, and files of the user are not replaced."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image

from sknic import Grid
from sknic.cli.clinical import clinical_columns
from sknic.cli.common import alone_in
from sknic.cli.maps import names_of_maps
from sknic.datasets import read_cohort
from sknic.datasets.slide_files import walk
from sknic.exceptions import DatasetError

from .helpers import run


def says(*arguments, code=2):
    result = run(*arguments)
    assert result.exit_code == code, result.output
    return " ".join(result.output.replace("\u2502", " ").split())


def record(folder, command, **settings):
    folder.mkdir(exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"command": command, "settings": settings}))
    return folder


@pytest.fixture
def table(tmp_path):
    random = np.random.RandomState(0)
    for number in range(8):
        Grid(random.normal(size=(16, 4)), np.argwhere(np.ones((4, 4))), (4, 4)).write(tmp_path / f"s{number}.h5")
    frame = pd.DataFrame({"path": [f"s{n}.h5" for n in range(8)], "patient": [f"P{n}" for n in range(8)]})
    frame.assign(score=range(8)).to_csv(tmp_path / "slides.csv", index=False)
    return tmp_path / "slides.csv"


@pytest.mark.parametrize("command, other", [("fit", "evaluate"), ("evaluate", "fit"), ("fit", "explain")])
def test_a_model_and_an_evaluation_do_not_share_a_folder(command, other, table, tmp_path):
    out = record(tmp_path / "result", other, task="regression")
    options = ("--task", "regression", "--target", "score", "--out", out)
    assert f"has the results of `sknic {other}`" in says(command, table, *options)
    assert json.loads((out / "run.json").read_text())["command"] == other


def test_two_evaluations_do_not_share_a_folder(table, tmp_path):
    out = tmp_path / "result"
    options = ("--task", "regression", "--target", "score", "--max-steps", "2", "--out", out)
    with alone_in(out):
        second = subprocess.run(
            [sys.executable, "-m", "sknic.cli", "evaluate", table, *options],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert second.returncode == 1
    assert "another process is writing results into" in " ".join(second.stderr.split())
    assert not list(out.iterdir())
    assert run("evaluate", table, *options).exit_code == 0
    assert "predictions.csv" in os.listdir(out) and ".evaluation.lock" not in os.listdir(out)


@pytest.mark.parametrize("other", ["fit", "evaluate", "explain"])
def test_patches_and_slides_do_not_go_into_the_folder_of_a_model(other, tmp_path):
    out = record(tmp_path / "model", other, task="regression", patch_size=128)
    slide = tmp_path / "a.svs"
    slide.write_bytes(b"slide")
    assert f"has the results of `sknic {other}`" in says("compress", slide, "--out", out)
    assert f"has the results of `sknic {other}`" in says("train-encoder", tmp_path, "--out", out)


def test_a_folder_of_grids_that_fit_has_recorded_is_one_of_compress(tmp_path, slides, drawn_slides):
    out = record(tmp_path / "grids", "fit", patch_size=128)
    says("compress", drawn_slides[0], "--encoder", slides / "encoder.safetensors", "--out", out, code=0)
    assert json.loads((out / "run.json").read_text())["command"] == "compress"


def test_another_stride_in_a_folder_of_grids_is_announced(tmp_path, slides, drawn_slides):
    compress = ("compress", drawn_slides[0], "--encoder", slides / "encoder.safetensors", "--out", tmp_path / "grids")
    assert "its grids have" not in says(*compress, "--stride", "512", code=0)
    assert "its grids have stride=512, not 256: the slides are compressed" in says(*compress, "--stride", "256", code=0)


def test_masks_of_the_working_folder_are_found_from_other_ones(tmp_path, slides, drawn_slides, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks").mkdir()
    stem = Path(drawn_slides[0]).stem
    half = np.repeat(np.array([[255, 0]], np.uint8), 20, axis=1).repeat(40, axis=0)
    Image.fromarray(half).save(tmp_path / "masks" / f"{stem}.png")
    compress = ("compress", drawn_slides[0], "--encoder", slides / "encoder.safetensors", "--out", tmp_path / "grids")
    says(*compress, "--tissue", "masks/{stem}.png", "--min-tissue", "0", code=0)
    recorded = json.loads((tmp_path / "grids" / "run.json").read_text())["settings"]["tissue"]
    assert recorded == str(tmp_path / "masks" / "{stem}.png")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    says(*compress, "--tissue", recorded, "--min-tissue", "0", code=0)


@pytest.fixture
def drawn_slides(slides):
    return sorted(str(path) for path in slides.glob("slide_*.tiff"))


def test_predictions_replace_only_predictions(table, tmp_path):
    model = tmp_path / "model"
    says("fit", table, "--task", "regression", "--target", "score", "--out", model, "--max-steps", "2", code=0)
    mine = tmp_path / "clinical.csv"
    mine.write_text("age\n60\n")
    assert "was not written by `sknic predict`" in says("predict", table, "--model", model, "--out", mine)
    assert mine.read_text() == "age\n60\n"
    assert "predictions are written as CSV" in says("predict", table, "--model", model, "--out", tmp_path / "p.xlsx")
    for _ in range(2):
        says("predict", table, "--model", model, "--out", tmp_path / "p.csv", code=0)


def test_maps_do_not_replace_annotations_and_are_not_written_beside_slides(table, tmp_path):
    model, maps = tmp_path / "model", tmp_path / "maps"
    says("fit", table, "--task", "regression", "--target", "score", "--out", model, "--max-steps", "2", code=0)
    explain = ("explain", tmp_path / "s0.h5", tmp_path / "s1.h5", "--model", model, "--out")
    assert "is the folder of the slide" in says(*explain, tmp_path)
    maps.mkdir()
    (maps / "s1.geojson").write_text("drawn by hand")
    assert "contains 's1.geojson', which `sknic explain` did not write" in says(*explain, maps)
    assert (maps / "s1.geojson").read_text() == "drawn by hand"


def test_maps_of_another_model_do_not_stay_beside_the_new_ones(table, tmp_path):
    maps = tmp_path / "maps"
    for name, seed in (("a", "0"), ("b", "1")):
        options = ("--task", "regression", "--target", "score", "--max-steps", "2", "--random-state", seed)
        says("fit", table, *options, "--out", tmp_path / name, code=0)

    def explained(model, slide):
        says("explain", tmp_path / slide, "--model", tmp_path / model, "--out", maps, code=0)
        names = list(json.loads((maps / "run.json").read_text())["maps"])
        return sorted(path.stem for path in maps.glob("*.png")), names

    assert explained("a", "s0.h5") == (["s0"], ["s0"])
    assert explained("a", "s1.h5") == (["s0", "s1"], ["s0", "s1"])
    assert explained("b", "s2.h5") == (["s2"], ["s2"])
    # As an interrupted run leaves it: its maps are its own when it goes on.
    (maps / "s3.png").write_bytes(b"")
    assert "'s3.png'" not in says("explain", tmp_path / "s3.h5", "--model", tmp_path / "b", "--out", maps, code=0)


def test_maps_of_a_model_that_was_trained_again_do_not_stay(table, tmp_path):
    maps, options = tmp_path / "maps", ("--task", "regression", "--target", "score", "--out", tmp_path / "model")
    for fit, slide, left in ((True, "s0.h5", ["s0"]), (False, "s1.h5", ["s0", "s1"]), (True, "s1.h5", ["s1"])):
        if fit:
            says("fit", table, *options, "--max-steps", "2", "--random-state", str(int(slide == "s1.h5")), code=0)
        says("explain", tmp_path / slide, "--model", tmp_path / "model", "--out", maps, code=0)
        assert sorted(path.stem for path in maps.glob("*.png")) == left


def test_a_slide_of_the_same_name_does_not_replace_the_maps_of_another(table, tmp_path):
    maps, model = tmp_path / "maps", tmp_path / "model"
    says("fit", table, "--task", "regression", "--target", "score", "--max-steps", "2", "--out", model, code=0)
    for number in range(2):
        (tmp_path / f"P{number}").mkdir()
        shutil.copy(tmp_path / f"s{number}.h5", tmp_path / f"P{number}" / "HE.h5")
    for number in (0, 1, 0):
        says("explain", tmp_path / f"P{number}" / "HE.h5", "--model", model, "--out", maps, code=0)
    recorded = json.loads((maps / "run.json").read_text())["maps"]
    assert recorded == {"HE": str(tmp_path / "P0" / "HE.h5"), "P1-HE": str(tmp_path / "P1" / "HE.h5")}
    assert sorted(path.stem for path in maps.glob("*.png")) == ["HE", "P1-HE"]


def test_a_name_that_is_taken_is_not_that_of_another_slide(tmp_path):
    maps = record(tmp_path / "maps", "explain")
    about = json.loads((maps / "run.json").read_text()) | {"maps": {"P-HE": "/x/P/HE.svs", "HE": "/y/HE.svs"}}
    (maps / "run.json").write_text(json.dumps(about))
    names = names_of_maps(maps, ["/y/P-HE.svs", "/x/P/HE.svs", "/y/HE.svs", "/y/../y/HE.svs"])
    assert names.pop("/y/P-HE.svs") not in ("P-HE", "HE")
    assert names == {"/x/P/HE.svs": "P-HE", "/y/HE.svs": "HE", "/y/../y/HE.svs": "HE"}
    # A slide whose short name was free when another one got a name like it.
    assert names_of_maps(maps, ["/z/P-HE.svs"])["/z/P-HE.svs"] not in ("P-HE", "HE")


@pytest.mark.parametrize("names", [("gallery-a.h5", "b.h5"), ("X.h5", "X.top.h5")])
def test_maps_are_not_written_over_each_other(names, table, tmp_path):
    model = tmp_path / "model"
    says("fit", table, "--task", "regression", "--target", "score", "--max-steps", "2", "--out", model, code=0)
    slides = [shutil.copy(tmp_path / "s0.h5", tmp_path / name) for name in names]
    explain = ("explain", "--model", model, "--out", tmp_path / "maps")
    assert re.search("would be (called like a gallery|written for two slides)", says(*explain, *slides))
    assert not list((tmp_path / "maps").glob("*.png"))
    says(*explain, slides[1], slides[1], code=0)
    before = sorted((tmp_path / "maps").iterdir())
    assert re.search("would be (called like a gallery|written for two slides)", says(*explain, slides[0]))
    assert sorted((tmp_path / "maps").iterdir()) == before


def test_a_report_says_that_its_numbers_are_not_those_of_its_charts(table, tmp_path):
    out, options = tmp_path / "result", ("--task", "regression", "--target", "score", "--max-steps", "2", "--cv", "2")
    says("evaluate", table, *options, "--out", out, code=0)
    assert "warning" not in says("report", out, code=0)
    predictions = pd.read_csv(out / "predictions.csv")
    predictions.assign(target=predictions["target"][::-1].to_numpy()).to_csv(out / "predictions.csv", index=False)
    said = says("report", out, code=0)
    assert "metrics.json does not follow from predictions.csv" in said and "r2 is" in said


def test_overlays_are_not_slides(tmp_path, drawn_slides):
    maps = record(tmp_path / "maps", "explain")
    for name in ("a.ome.tiff", "b.ome.tiff"):
        shutil.copy(drawn_slides[0], maps / name)
    (maps / "a.png").write_bytes(b"")
    assert walk(tmp_path) == [str(maps / "b.ome.tiff")]


def test_a_file_of_another_name_does_not_take_the_patients_of_tcga_away(tmp_path):
    names = ["TCGA-A1-A0S0-01Z-00-DX1.svs", "TCGA-A1-A0S0-01Z-00-DX2.svs", "TCGA-A1-A0S1-01Z-00-DX1.svs", "ours.svs"]
    for number, name in enumerate(names):
        (tmp_path / name).write_bytes(bytes(100 + number))
    pd.DataFrame({"path": names, "score": range(4)}).to_csv(tmp_path / "slides.csv", index=False)
    patients = read_cohort(tmp_path / "slides.csv").patients
    assert patients[:3].tolist() == ["TCGA-A1-A0S0", "TCGA-A1-A0S0", "TCGA-A1-A0S1"]
    assert patients[3] == str(tmp_path / "ours.svs")


def test_a_slide_is_not_read_as_two_patients(tmp_path):
    (tmp_path / "a.svs").write_bytes(bytes(range(256)) * 9)
    shutil.copy(tmp_path / "a.svs", tmp_path / "copy.svs")
    for second in ("a.svs", "copy.svs"):
        pd.DataFrame({"path": ["a.svs", second], "patient": ["P1", "P2"]}).to_csv(tmp_path / "s.csv", index=False)
        with pytest.raises(DatasetError, match="rows 2, 3 are one slide, different targets"):
            read_cohort(tmp_path / "s.csv")


def test_decimal_commas_are_not_words(tmp_path):
    (tmp_path / "c.csv").write_text("path;size\na;1,0\nb;2\nc;3,5\n")
    with pytest.raises(typer.BadParameter, match="'size' has numbers with a comma, such as '1,0'"):
        clinical_columns(tmp_path / "c.csv", "size", ["path"])
    (tmp_path / "d.csv").write_text("path;size\na;1.0\nb;2\nc;3.5\n")
    assert clinical_columns(tmp_path / "d.csv", "size,size", ["path"])["size"].tolist() == [1, 2, 3.5]


def test_grids_that_can_only_be_read_serve(monkeypatch, table, tmp_path, capsys):
    from sknic.cli import settings

    def refuse(*arguments, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(settings, "write_run_record", refuse)
    settings.keep_record(tmp_path, "fit", settings.Compression("sknic-he-1"))
    assert "run.json is not written: Permission denied" in capsys.readouterr().err
