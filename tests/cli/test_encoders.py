"""No command needs an encoder file: the bundled one is the default, by name; `encoders` says what there is."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sknic import Grid, MeanRGBEncoder, SlideCompressor, load_encoder
from sknic.cli import app
from sknic.datasets import make_histology_cohort
from sknic.encoders.catalog import PUBLISHED, encoder_path

from .helpers import said


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Four small slides of four patients, with a score, and a folder for their grids."""
    folder = tmp_path_factory.mktemp("slides")
    cohort = make_histology_cohort(4, folder, shape=(20, 20), random_state=0)
    table = pd.DataFrame({"path": cohort.paths, "patient": range(4), "score": np.linspace(0, 1, 4)})
    table.to_csv(folder / "slides.csv", index=False)
    return folder


def test_compress_takes_the_bundled_encoder(slides):
    result = run("compress", slides, "--out", slides / "grids")
    assert result.exit_code == 0, result.output
    (first, *_) = sorted((slides / "grids").glob("*.h5"))
    assert Grid.read(first).fingerprint == load_encoder("sknic-he-1").fingerprint()
    assert json.loads((slides / "grids" / "run.json").read_text())["settings"]["encoder"] == "sknic-he-1"


def test_evaluate_fit_and_predict_take_the_bundled_encoder(slides, tmp_path):
    options = ["--task", "regression", "--target", "score", "--patient", "patient", "--grids", slides / "grids"]
    options += ["--max-steps", 2, "--device", "cpu"]
    evaluated = run("evaluate", slides / "slides.csv", *options, "--cv", 2, "--out", tmp_path / "result")
    assert evaluated.exit_code == 0, evaluated.output
    fitted = run("fit", slides / "slides.csv", *options, "--out", tmp_path / "model")
    assert fitted.exit_code == 0, fitted.output
    kept = load_encoder(tmp_path / "model" / "encoder.safetensors")
    assert kept.fingerprint() == load_encoder("sknic-he-1").fingerprint()
    for record, encoder in (("result", "sknic-he-1"), ("model", "encoder.safetensors")):
        assert json.loads((tmp_path / record / "run.json").read_text())["settings"]["encoder"] == encoder
    predicted = run("predict", slides, "--model", tmp_path / "model", "--out", tmp_path / "p.csv", "--device", "cpu")
    assert predicted.exit_code == 0, predicted.output
    assert len(pd.read_csv(tmp_path / "p.csv")) == 4


@pytest.mark.parametrize("command", ["evaluate", "fit"])
def test_an_encoder_that_is_not_there_is_refused_before_the_work(slides, tmp_path, command):
    options = ["--task", "regression", "--target", "score", "--out", tmp_path / "out", "--encoder", "no-such.h5"]
    result = run(command, slides / "slides.csv", *options)
    assert result.exit_code == 1
    assert "encoder='no-such.h5': no such file" in str(result.exception) and "sknic-he-1" in str(result.exception)


def test_the_list_names_bundled_and_published_encoders():
    output = run("encoders").output
    assert "sknic-he-1" in output and "bundled" in output and "davidtellez/neural-image-compression" in output
    assert all(name in output for name in PUBLISHED)


def test_a_file_is_described_and_known_by_its_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    MeanRGBEncoder(patch_size=32, mpp=2.0).save("sknic-he-1")  # a file of a bundled name, in the working folder
    mine = run("encoders", "./sknic-he-1").output
    assert "MeanRGBEncoder, C = 3" in mine and "32 px at 2.0 um/px" in mine and "not one of the known files" in mine
    (tmp_path / "copy").write_bytes(encoder_path("sknic-he-1").read_bytes())
    for name in ("sknic-he-1", "copy"):
        output = run("encoders", name).output
        assert f"{name}: identical to sknic-he-1" in output
        assert "128 px at 0.5 um/px" in output and load_encoder("sknic-he-1").fingerprint() in output
        assert "license: BSD-3-Clause" in output


def test_grids_of_an_encoder_that_nothing_names_are_not_taken_for_the_defaults(slides, tmp_path):
    SlideCompressor(MeanRGBEncoder(device="cpu"), cache_dir=tmp_path / "grids").transform(sorted(slides.glob("*.tiff")))
    options = ["--task", "regression", "--target", "score", "--out", tmp_path / "out", "--grids", tmp_path / "grids"]
    result = run("fit", slides / "slides.csv", *options, "--patient", "patient")
    assert result.exit_code == 2 and "made with an encoder other than sknic-he-1" in said(result)
