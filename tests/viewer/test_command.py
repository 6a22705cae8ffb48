import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from sknic import MeanRGBEncoder
from sknic.cli.app import app as program
from sknic.cli.view import _mask_of, _opened, _read_grids
from sknic.estimators import load_estimator
from sknic.exceptions import SlideFailureWarning
from sknic.grids import Grid
from sknic.slides import Annotations
from tests.cli.helpers import names


@pytest.fixture
def grid_folder(grids, tmp_path):
    for name, grid in zip(("a", "b"), grids):
        grid.write(tmp_path / f"{name}.h5")
    return tmp_path


def test_the_command_serves_until_it_is_interrupted(slides, grid_folder):
    command = [sys.executable, "-m", "sknic.cli", "view", slides[0], "--grids", str(grid_folder)]
    # What runs in the background of a script, as a whole test run may, inherits that SIGINT is ignored.
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=listen)
    try:
        url = process.stdout.readline().split()[-1]
        assert url.startswith("http://127.0.0.1:")
        assert b"left.tiff" in urlopen(f"{url}slides").read()
        with pytest.raises(HTTPError, match="403"):
            urlopen(url.rsplit("/", 2)[0] + "/")
    finally:
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
    assert process.returncode == 0
    assert complaints == ""


def test_of_a_folder_only_the_grids_of_the_slides_are_read(grid_folder, slides):
    assert [grid.slide for grid in _read_grids([grid_folder], slides[:1])] == slides[:1]
    assert len(_read_grids([grid_folder / "a.h5", grid_folder / "b.h5"], slides[:1])) == 2


def test_of_a_folder_a_grid_of_the_name_is_read_where_none_is_of_the_path(grid_folder):
    assert [Path(grid.slide).name for grid in _read_grids([grid_folder], ["/copied/to/right.tiff"])] == ["right.tiff"]


@pytest.fixture
def opened(monkeypatch):
    """The views that the command would serve."""
    views = []
    monkeypatch.setattr("sknic.viewer.serve", lambda shown, **options: views.extend(shown))
    return views


def _view(*arguments):
    answer = CliRunner().invoke(program, ["view", *map(str, arguments)])
    assert answer.exit_code == 0, answer.output
    return answer


def test_a_table_is_shown_with_the_truth_of_its_columns(slides, grid_folder, tmp_path, opened):
    table = tmp_path / "cohort.csv"
    table.write_text(f"path,score,kind\n{slides[1]},0.123456789,x\n{slides[0]},NA,y\n")
    _view(table, "--grids", grid_folder, "--target", "kind", "--target", "score")
    assert [(view.name, view.truth, len(view.frames)) for view in opened] == [
        ("right.tiff", {"kind": "x", "score": "0.1235"}, 1),
        ("left.tiff", {"kind": "y"}, 1),
    ]


def test_with_the_folder_of_a_model_slides_are_compressed_as_it_knows_them(slides, tmp_path, opened):
    MeanRGBEncoder().save(tmp_path / "encoder.safetensors")
    table = tmp_path / "cohort.csv"
    table.write_text("path,score\n" + "".join(f"{slide},{number}\n" for number, slide in enumerate(slides)))
    options = ["--task", "regression", "--target", "score", "--encoder", tmp_path / "encoder.safetensors"]
    fit = ["fit", table, *options, "--tissue", "none", "--max-steps", 2, "--out", tmp_path / "model"]
    assert CliRunner().invoke(program, list(map(str, fit))).exit_code == 0
    _view(table, "--model", tmp_path / "model")
    view = opened[0]
    assert [one.truth for one in opened] == [{"score": "0"}, {"score": "1"}]  # the column that it was fitted on
    assert [layer.id for layer in view.layers.values() if layer.has_classes][0] == "grid0-grad-cam"
    assert "tissue" not in view.layers  # as the model sees its slides
    estimator = load_estimator(tmp_path / "model" / "model.safetensors")
    grid = view.frames[0].grid
    assert float(view.model.predict(grid)["prediction"]) == pytest.approx(estimator.predict([grid])[0], rel=5e-3)


def test_the_mask_that_is_shown_is_that_of_the_model(tmp_path):
    record = {"encoder": "encoder.safetensors", "compression": {"tissue": "/masks/{stem}.png"}}
    assert _mask_of(tmp_path, record) == "/masks/{stem}.png"
    record["compression"] |= {"classes": ["tumour"], "tissue": "/masks/{stem}.geojson"}
    assert _mask_of(tmp_path, record) == Annotations("/masks/{stem}.geojson", ("tumour",), ())
    assert _mask_of(tmp_path, {"encoder": None}) == _mask_of(None, {}) == "density"


def test_a_column_that_is_not_there_is_named_with_those_that_are(slides, tmp_path):
    table = tmp_path / "cohort.csv"
    table.write_text(f"path,score\n{slides[0]},1\n")
    answer = CliRunner().invoke(program, ["view", str(table), "--target", "grade"])
    assert answer.exit_code == 2 and "'grade' is not a column" in answer.output and "score" in answer.output


def test_a_folder_is_shown_without_what_is_no_slide(slides, tmp_path, opened):
    for path in slides:
        shutil.copy(path, tmp_path)
    (tmp_path / "broken.svs").write_text("no slide")
    with pytest.warns(SlideFailureWarning, match="broken"):
        _view(tmp_path)
    assert [view.name for view in opened] == ["left.tiff", "right.tiff"]


def test_grids_are_shown_on_their_slides(grid_folder, opened):
    _view(grid_folder)
    assert [(view.name, len(view.frames)) for view in opened] == [("left.tiff", 1), ("right.tiff", 1)]


def test_a_table_of_grids_is_shown_with_the_truth_on_their_slides(grid_folder, opened):
    (grid_folder / "cohort.csv").write_text("path,score\nb.h5,2\na.h5,1\n")
    _view(grid_folder / "cohort.csv", "--target", "score")
    assert [(view.name, view.truth) for view in opened] == [
        ("right.tiff", {"score": "2"}),
        ("left.tiff", {"score": "1"}),
    ]


def test_a_grid_whose_slide_is_gone_is_refused_by_name(tmp_path):
    Grid([[1.0, 2.0]], [[0, 0]], (1, 1), slide="/gone/case.svs").write(tmp_path / "case.h5")
    answer = CliRunner().invoke(program, ["view", str(tmp_path)])
    assert answer.exit_code == 2 and names(answer, tmp_path / "case.h5")


def test_a_model_is_read_from_its_file(model, grids, tmp_path):
    model.save(tmp_path / "model.safetensors")
    again = _opened(tmp_path / "model.safetensors", "cpu")[0]()
    assert again.predict(grids) == pytest.approx(model.predict(grids))


def test_a_missing_model_is_named_before_anything_is_served(slides, tmp_path):
    answer = CliRunner().invoke(program, ["view", slides[0], "--model", str(tmp_path / "model.safetensors")])
    assert answer.exit_code == 2
    assert "no model at" in answer.output
