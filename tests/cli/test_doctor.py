import sys

import pytest
from typer.testing import CliRunner

from sknic import __version__
from sknic.cli import doctor as module
from sknic.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, ["doctor", *map(str, arguments)], catch_exceptions=False)


def test_doctor_tells_versions_speed_and_what_a_slide_will_take(tmp_path):
    result = run(tmp_path, "--seconds", "0.01")
    said = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert result.exit_code == 0
    assert said["sknic"] == __version__ and said["OpenSlide"][0].isdigit()
    assert int(said["speed"].split()[0].replace(",", "")) > 0
    assert "is writable" in said["folder"]
    assert list(tmp_path.iterdir()) == []


def test_doctor_fails_where_nothing_can_be_written(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.tempfile, "TemporaryDirectory", refuse)
    result = run(tmp_path, "--seconds", "0")
    assert result.exit_code == 1 and "cannot be written: Permission denied" in result.output


def test_doctor_says_when_files_cannot_be_locked(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_can_lock", lambda lock: False)
    result = run(tmp_path, "--seconds", "0")
    assert "one process at a time" in result.output


@pytest.mark.skipif(sys.platform == "win32", reason="no such folder there")
def test_doctor_takes_a_folder_that_is_not_there_yet(tmp_path):
    assert f"{tmp_path} is writable" in run(tmp_path / "new" / "folder", "--seconds", "0").output


def test_commands_are_listed_in_the_order_of_the_work():
    help_text = CliRunner().invoke(app, ["-h"]).output
    places = [help_text.index(panel) for panel in (" Try ", " Prepare ", " Learn ", " Use ")]
    assert places == sorted(places)
