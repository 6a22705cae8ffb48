"""What the commands share: lists of slides, and the record of a run."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import typer

from sknic.files.whole import whole_file

_PACKAGES = ("sknic", "numpy", "scikit-learn", "skorch", "torch", "openslide-python", "scikit-survival", "pandas")


def find_slides(sources, column="path"):
    """Paths of slides from files, folders, glob patterns and CSV files.

    Parameters
    ----------
    sources : list of str
    column : str
        Column of a CSV file that holds the paths; relative ones start at the CSV's folder.

    Returns
    -------
    list of str
    """
    slides = []
    for source in sources:
        found = list(_expand(source, column))
        if not found:
            raise typer.BadParameter(f"no slides at {source}")
        slides += found
    return list(dict.fromkeys(slides))


def _expand(source, column):
    from sknic.datasets.slide_files import walk
    from sknic.datasets.table import TABLE_SUFFIXES, slide_paths

    path = Path(source)
    if path.suffix.lower() in TABLE_SUFFIXES:
        return slide_paths(table_of(path, [column]), column, path)
    if path.is_dir():
        return walk(path)
    if not path.exists() and any(sign in source for sign in "*?["):
        import glob

        return sorted(glob.glob(source, recursive=True))
    return [source]


def table_of(path, columns):
    """A table of text with these columns; a file that is not one, or lacks a column, is a wrong option."""
    from sknic.datasets.table import read_table
    from sknic.exceptions import DatasetError

    try:
        return read_table(path, columns)
    except DatasetError as error:
        raise typer.BadParameter(str(error)) from error


def write_run_record(folder, command, settings, name="run.json", **results):
    """Write `run.json`: what ran, with which settings and versions, on which machine, and what came out.

    Returns
    -------
    dict
        As it stands in the file.
    """
    from importlib.metadata import version

    from torch.backends.cpu import get_cpu_capability

    record = {
        "command": command,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": sys.argv[1:],
        "settings": settings,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        # What is trained depends on the instructions: AVX2 and AVX-512 round sums differently.
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "instructions": get_cpu_capability()},
        **results,
    }
    text = json.dumps(record, indent=2, default=str)
    with whole_file(Path(folder) / name) as temporary:
        temporary.write_text(text)
    return json.loads(text)
