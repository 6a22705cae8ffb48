"""The folder of a model: replaced whole or not at all, and read back with the settings it was fitted with."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from sknic.exceptions import ModelFileError
from sknic.files.records import read_json

_OURS = ("model.safetensors", "history.csv", "run.json")


@contextmanager
def replaced_folder(folder):
    """Give an empty folder that takes the place of a model's folder when the block ends well, and is removed otherwise.

    What is not of a model, such as grids, moves along; the files of an earlier model do not.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    Path
    """
    folder = Path(folder).resolve()  # the folder behind a link, not the link
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = _empty_folder(folder)
    try:
        yield new
        os.chmod(new, folder.stat().st_mode if folder.is_dir() else 0o777 & ~_umask())
        _take_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _empty_folder(folder):
    """A new folder beside another one, or inside of it where that alone can be written, as in a container."""
    names = {"prefix": f".{folder.name}.", "suffix": ".part"}
    try:
        return Path(tempfile.mkdtemp(**names, dir=folder.parent))
    except OSError:
        if not folder.is_dir():
            raise
        return Path(tempfile.mkdtemp(**names, dir=folder))


def _take_place(new, folder):
    if not folder.exists():
        os.replace(new, folder)
        return
    old = new.with_name(f"{new.name}.old")
    try:
        os.rename(folder, old)
    except OSError:  # a place where a disk is mounted cannot be renamed
        _fill(new, folder)
        return
    try:
        os.rename(new, folder)
    except BaseException:
        os.rename(old, folder)
        raise
    for path in [path for path in old.iterdir() if not _is_ours(path)]:
        os.rename(path, folder / path.name)
    shutil.rmtree(old)


def _fill(new, folder):
    """The same for a folder that cannot be renamed: run.json, which makes it a model, comes last."""
    (folder / "run.json").unlink(missing_ok=True)
    for path in [path for path in folder.iterdir() if _is_ours(path)]:
        path.unlink()
    for path in sorted(new.iterdir(), key=lambda path: path.name == "run.json"):
        shutil.move(path, folder / path.name)


def _is_ours(path):
    return path.name in _OURS or (path.is_file() and path.stem == "encoder")


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def load_model(folder):
    """Estimator and settings of a model folder.

    Returns
    -------
    estimator : fitted estimator
    settings : dict
        As `sknic fit` recorded them.

    Raises
    ------
    ModelFileError
        If the folder is not one that `sknic fit` wrote.
    """
    from sknic.estimators import load_estimator

    folder = Path(folder)
    try:
        settings = read_json(folder / "run.json").get("settings")
        if not isinstance(settings, dict):
            raise ValueError("its run.json has no settings")
    except ValueError as error:
        raise ModelFileError(f"{folder} is not a folder that `sknic fit` wrote: {error}") from None
    return load_estimator(folder / "model.safetensors"), settings


def compression_of(folder, settings):
    """How the slides of the model were compressed; None where it was fitted on grid files."""
    from sknic.cli.settings import MASKS, Compression

    if not settings.get("encoder"):
        return None
    given = settings.get("compression") or {name: settings.get(name) for name in MASKS}
    given = {name: value for name, value in given.items() if name != "encoder" and value is not None}
    return Compression(str(Path(folder) / settings["encoder"]), given)
