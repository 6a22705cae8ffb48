"""A model's folder is replaced whole or not at all."""

from pathlib import Path

import pytest

from sknic.cli import model_folder
from sknic.cli.model_folder import replaced_folder


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    (folder / "grids").mkdir(parents=True)
    (folder / "grids" / "a.h5").write_text("grid")
    for name in ("model.safetensors", "run.json", "encoder.h5", "history.csv", "notes.txt"):
        (folder / name).write_text("old")
    return folder


def content(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def replace(folder):
    with replaced_folder(folder) as new:
        for name in ("model.safetensors", "run.json", "encoder.safetensors"):
            (new / name).write_text("new")


WANTED = {
    "model.safetensors": "new",
    "run.json": "new",
    "encoder.safetensors": "new",
    "notes.txt": "old",
    "grids/a.h5": "grid",
}


def test_a_new_model_takes_the_place_of_the_old_one_and_grids_stay(folder):
    replace(folder)
    assert content(folder) == WANTED
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_a_link_stays_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    replace(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and content(folder) == WANTED


def test_the_working_folder_is_filled_not_replaced(folder, monkeypatch):
    monkeypatch.chdir(folder)
    place = folder.stat().st_ino
    with replaced_folder(".") as new:
        (new / "model.safetensors").write_text("new")
        (new / "run.json").write_text("{}")
    assert Path.cwd() == folder and Path().stat().st_ino == place == folder.stat().st_ino
    assert (folder / "model.safetensors").read_text() == "new"
    assert not list(folder.parent.glob(f".{folder.name}.*"))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_model(error, folder):
    before = content(folder)
    with pytest.raises(error), replaced_folder(folder) as new:
        (new / "model.safetensors").write_text("new")
        raise error
    assert content(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("step", [1, 2])
def test_a_failure_between_two_renames_leaves_a_whole_model(step, folder, monkeypatch):
    before, rename, calls = content(folder), model_folder.os.rename, []

    def failing(source, target):
        calls.append(source)
        if len(calls) == step:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(model_folder.os, "rename", failing)
    with pytest.raises(KeyboardInterrupt):
        replace(folder)
    assert content(folder) == before


def test_a_folder_whose_parent_cannot_be_written_is_filled(folder, monkeypatch):
    mkdtemp = model_folder.tempfile.mkdtemp

    def refuse(dir, **names):
        if dir == folder.parent:
            raise PermissionError(13, "Permission denied", str(dir))
        return mkdtemp(dir=dir, **names)

    monkeypatch.setattr(model_folder.tempfile, "mkdtemp", refuse)
    replace(folder)
    assert content(folder) == WANTED
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["grids"]


def test_a_folder_that_cannot_be_renamed_is_filled(folder, monkeypatch):
    def refuse(source, target):
        raise OSError("device or resource busy")

    monkeypatch.setattr(model_folder.os, "rename", refuse)
    replace(folder)
    assert content(folder) == WANTED
