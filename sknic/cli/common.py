"""What the commands share: checks of where results go, and the record of a run."""

import json
import os
import platform
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import typer
from filelock import Timeout

from sknic.exceptions import RunFolderError
from sknic.files.locks import file_lock
from sknic.files.records import read_json
from sknic.files.whole import whole_file

_PACKAGES = ("sknic", "numpy", "scikit-learn", "skorch", "torch", "openslide-python", "scikit-survival", "pandas")


def score_line(name, estimate, patients):
    """Format a metric, its interval, and the number of patients or slides behind it.

    Parameters
    ----------
    name : str
    estimate : Estimate
    patients : sequence or None
        Patient of each slide; None if every slide counts as one.

    Returns
    -------
    str
    """
    return f"{name:18s} {estimate}   ({estimate.n} {'slides' if patients is None else 'patients'})"


def need_writable(path, *, is_folder):
    """Refuse, before any work is done, an output path that cannot be written.

    Parameters
    ----------
    path : Path
        File or folder of the result; it need not exist.
    is_folder : bool
    """
    path = Path(path)
    if path.exists() and path.is_dir() != is_folder:
        raise typer.BadParameter(
            f"--out {path} is a {'file' if is_folder else 'folder'}; expected the name of a "
            f"{'folder' if is_folder else 'file'}"
        )
    there = path if is_folder else path.parent
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise typer.BadParameter(f"--out {path} cannot be written: {os.strerror(error.errno)} ({there})") from None


@contextmanager
def alone_in(folder):
    """Refuse a folder into which another process writes, and keep others out of it until the end.

    Two evaluations in one folder would leave the predictions of one beside the metrics of the other.

    Parameters
    ----------
    folder : Path
        Folder of the result; it is made if it does not exist.

    Raises
    ------
    RunFolderError
        If another process is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / ".evaluation.lock"
    with ExitStack() as held:
        try:
            held.enter_context(file_lock(lock, wait=False, without="two runs may mix their results in one folder"))
        except Timeout:
            raise RunFolderError(
                f"another process is writing results into {folder}: wait until it has ended, or use another --out"
            ) from None
        try:
            yield
        finally:
            with suppress(OSError):  # Windows keeps a file that is open
                lock.unlink()


def need_own_folder(folder, names, table):
    """Refuse a folder in which a result would overwrite files that sknic did not write, or its own input.

    Parameters
    ----------
    folder : Path
        Folder of the result; it need not exist.
    names : sequence of str
        Files and folders that a result writes.
    table : Path
        Table that the command reads.
    """
    folder, table = Path(folder), Path(table)
    there = [name for name in names if (folder / name).exists()]
    if table.name in there and table.resolve() == (folder / table.name).resolve():
        raise typer.BadParameter(
            f"--out {folder} would overwrite {table}, the input of this command; choose another folder"
        )
    if there and command_of(folder) is None:
        raise typer.BadParameter(
            f"--out {folder} contains {there[0]!r}, which sknic did not write and would overwrite; "
            "choose another folder"
        )


def need_folder_of(command, folder):
    """Refuse a folder with the results of another command: the two would be read as one.

    Parameters
    ----------
    command : str
        Name of the command that is going to write there.
    folder : Path
        Folder of the result; it need not exist.
    """
    other = command_of(Path(folder))
    if other in (None, command) or (command == "compress" and _is_of_grids(folder)):
        return
    raise typer.BadParameter(
        f"--out {folder} has the results of `sknic {other}`, which those of `sknic {command}` would be mixed with; "
        "choose another folder"
    )


def _is_of_grids(folder):
    """Whether a run record is that of a folder of grids, which `fit` and `evaluate` write there as well."""
    settings = read_json(Path(folder) / "run.json").get("settings")
    return isinstance(settings, dict) and "task" not in settings and "patch_size" in settings


def command_of(folder, name="run.json"):
    """The command that wrote the run record of a folder; None if there is none."""
    try:
        record = read_json(folder / name)
    except (OSError, ValueError):
        return None
    return record.get("command") if isinstance(record, dict) else None


def write_run_record(folder, command, settings, name="run.json", **results):
    """Write `run.json`: the command, its settings, versions and machine, and its results.

    Returns
    -------
    dict
        The content of the file.
    """
    from importlib.metadata import version

    from sknic.learning.device import cpu_instructions

    record = {
        "command": command,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": sys.argv[1:],
        "settings": settings,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        # What is trained depends on the instructions: AVX2 and AVX-512 round sums differently.
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "instructions": cpu_instructions()},
        **results,
    }
    text = json.dumps(record, indent=2, default=str)
    with whole_file(Path(folder) / name) as temporary:
        temporary.write_text(text)
    return json.loads(text)
