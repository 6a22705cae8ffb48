import signal
import subprocess
import sys
from functools import partial
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from sknic.cli.app import app as program
from sknic.cli.view import _load_model, _read_grids


@pytest.fixture
def grid_folder(grids, tmp_path):
    for name, grid in zip(("a", "b"), grids):
        grid.write(tmp_path / f"{name}.h5")
    return tmp_path


def test_the_command_serves_until_it_is_interrupted(slides, grid_folder):
    command = [sys.executable, "-m", "sknic.cli", "view", slides[0], "--grid", str(grid_folder)]
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


def test_of_a_folder_only_the_grids_of_the_slides_are_read(grid_folder):
    assert [grid.slide.endswith("left.tiff") for grid in _read_grids([grid_folder], {"left"})] == [True]
    assert len(_read_grids([grid_folder / "a.h5", grid_folder / "b.h5"], {"left"})) == 2


def test_a_model_is_read_from_its_file(model, grids, tmp_path):
    model.save(tmp_path / "model.safetensors")
    again = _load_model(tmp_path / "model.safetensors", "cpu")
    assert again.predict(grids) == pytest.approx(model.predict(grids))


def test_a_missing_model_is_named_before_anything_is_served(slides, tmp_path):
    answer = CliRunner().invoke(program, ["view", slides[0], "--model", str(tmp_path)])
    assert answer.exit_code == 2
    assert "no model at" in answer.output
