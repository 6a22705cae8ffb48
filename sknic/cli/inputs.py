"""The input of a command: slides as files, folders, patterns and tables, with one row per requested slide."""

import glob
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer


@dataclass(frozen=True)
class Rows:
    """The requested slides, in order.

    Attributes
    ----------
    paths : list of str
        File of each row. A slide in two rows of a table is listed twice.
    columns : dict of str to list
        Columns of the tables by name, with one value per row; None for rows that are not from a table.
    """

    paths: list[str]
    columns: dict[str, list]


def find_rows(sources, column="path"):
    """Read files, folders, glob patterns and tables.

    Parameters
    ----------
    sources : list of str
        Files, folders, patterns, or tables, whose rows are kept in order.
    column : str, default="path"
        Column of a table that contains the paths; relative paths start at the table's folder.

    Returns
    -------
    Rows
    """
    from sknic.slides import one_per_slide

    paths: list[str] = []
    columns: dict[str, list] = {}
    for source in sources:
        found, said = _expand(source, column)
        if not said:
            found = [path for path in one_per_slide([*paths, *found]) if path not in paths]
        elif not found:
            raise typer.BadParameter(f"no slides at {source}")
        for name in dict.fromkeys([*columns, *said]):
            values = columns.setdefault(name, [None] * len(paths))
            values += said.get(name, [None] * len(found))
        paths += found
    if not paths:
        raise typer.BadParameter(f"no slides at {', '.join(sources)}")
    return Rows(paths, columns)


def find_slides(sources, column="path"):
    """Paths of slides from files, folders, glob patterns and tables, each once."""
    return list(dict.fromkeys(find_rows(sources, column).paths))


def tables_of(sources):
    """The sources that are tables."""
    from sknic.datasets.table import TABLE_SUFFIXES

    return [source for source in sources if Path(source).suffix.lower() in TABLE_SUFFIXES]


def table_of(path, columns):
    """Read a table of text with these columns; any other file, or a missing column, is reported as a wrong option."""
    from sknic.datasets.table import read_table
    from sknic.exceptions import DatasetError

    try:
        return read_table(path, columns)
    except DatasetError as error:
        raise typer.BadParameter(str(error)) from error


def _as_on_disk(source):
    """The path with accents as the file system stores them: é as one character or as two."""
    forms = [source, *(unicodedata.normalize(form, source) for form in ("NFC", "NFD"))]
    return next((form for form in forms if os.path.exists(form)), source)


def _expand(source, column) -> tuple[list[str], dict[str, Any]]:
    """Paths of a source, and the columns of its table."""
    from sknic.datasets.slide_files import walk
    from sknic.datasets.table import slide_paths

    source = _as_on_disk(source)
    path = Path(source)
    if tables_of([source]):
        table = table_of(path, [column])
        return slide_paths(table, column, path), _columns(table)
    if path.is_dir():
        # A folder of grids is as good as one of slides.
        found = walk(path) or walk(path, (".h5", ".hdf5"))
        if not found:
            raise typer.BadParameter(f"no slides and no grids in the folder {source}")
        return found, {}
    if not path.exists() and any(sign in source for sign in "*?["):
        found = sorted(glob.glob(source, recursive=True))
        if not found:
            raise typer.BadParameter(f"no slides at {source}")
        return found, {}
    return [source], {}


def _columns(table):
    """The columns that have a name; a repeated name gets a number."""
    found: dict[str, list] = {}
    for position, name in enumerate(table.columns):
        if name:
            again = 1 + sum(other == name for other in table.columns[:position])
            found[name if again == 1 else f"{name} ({again})"] = list(table.iloc[:, position])
    return found
