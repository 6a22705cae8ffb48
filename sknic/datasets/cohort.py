"""Cohort: paths of slides with a table of their targets; and how synthetic cohorts are written and resumed."""

from __future__ import annotations

import hashlib
import html
import json
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from sknic.datasets.pyramid import read_description
from sknic.datasets.table import need_cells, need_column, need_patients, read_table, slide_paths, typed
from sknic.exceptions import DatasetError
from sknic.files.names import unique_names
from sknic.files.whole import whole_file
from sknic.progress import followed
from sknic.targets import Survival

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

TABLE = "cohort.csv"
_HEADER = b"path,slide,patient,"
_SLIDE_SUFFIXES = (".tiff", ".svs")


@dataclass(frozen=True, repr=False)
class Cohort:
    """Slides and a table of what is known about them.

    Attributes
    ----------
    paths : list of str
        Slide files, in the order of the table's rows.
    table : DataFrame
        One row per slide, at least ``slide`` and ``patient``; targets such as ``score``, ``pattern``, ``time`` (days)
        and ``event``.
    groups : dict of str to list of str
        In a mosaic cohort, the sources of its patches per part; empty otherwise.
    missing : list of str
        Slides or patients named by a table for which no slide file was found.
    tissue : list of uint8 array (rows, columns)
        Contents of each cell of each slide, only for a cohort that has just been made: 0 glass, 1 normal tissue, 2
        stroma, 3 tumour, 4 proliferating tumour; empty otherwise.
    """

    paths: list[str]
    table: pd.DataFrame
    groups: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    tissue: list[np.ndarray] = field(default_factory=list)

    # Lists with one value per slide, or empty.
    _by_slide: ClassVar[tuple[str, ...]] = ("paths", "tissue")

    def __post_init__(self):
        # A table of its own, whose index counts the slides, so that one that is sorted later can be told.
        object.__setattr__(self, "table", self.table.reset_index(drop=True))
        self._need_order()

    def __len__(self):
        return len(self.paths)

    def _need_order(self):
        """Raise DatasetError if the rows of the table are no longer those of the slides, in their order."""
        if len(self.table) != len(self.paths):
            raise DatasetError(f"the table has {len(self.table)} rows for {len(self.paths)} slides; expected one each")
        if not self.table.index.equals(pd.RangeIndex(len(self.paths))):
            raise DatasetError(
                "the index of the table has changed; sort or filter a copy, and take slides with `select`"
            )

    def __repr__(self):
        patients = f" of {self.table['patient'].nunique()} patients" if "patient" in self.table else ""
        absent = f", {len(self.missing)} missing" if self.missing else ""
        return f"<{type(self).__name__}: {len(self)} slides{patients}{absent}; {', '.join(map(str, self.table))}>"

    def _repr_html_(self):
        return f"<p>{html.escape(repr(self))}</p>{self.table.to_html(max_rows=8)}"

    @property
    def patients(self) -> np.ndarray:
        """Patient of each slide, object array (n_slides,): the groups of a split."""
        return self.column("patient").to_numpy(object)

    @property
    def score(self) -> np.ndarray:
        """Score of each slide, float array (n_slides,)."""
        return self.column("score").to_numpy(float)

    @property
    def survival(self) -> np.ndarray:
        """Outcome of each slide's patient as scikit-survival expects it: structured array of event and time.

        Known words for events are understood; DatasetError names the row of an empty cell, an unknown word, or a time
        that cannot be one.
        """
        table = pd.DataFrame({name: self.column(name) for name in ("event", "time")})
        table.index = pd.RangeIndex(2, len(table) + 2)  # rows as in a file with a header
        try:
            return Survival().from_table(table, {"event": "event", "time": "time"})[0]
        except ValueError as error:
            raise DatasetError(str(error)) from error

    def column(self, name: str) -> pd.Series:
        """Return a column of the table.

        Parameters
        ----------
        name : str
            Name of the column.

        Returns
        -------
        Series (n_slides,)
            One value per slide.

        Raises
        ------
        DatasetError
            If there is no such column, or more than one (the message lists the columns), or if the table was sorted in
            place.
        """
        self._need_order()
        need_column(self.table, name, "this cohort")
        return self.table[name]

    def select(self, rows: ArrayLike) -> Self:
        """Return the cohort restricted to some slides.

        Parameters
        ----------
        rows : bool array (n_slides,) or int array
            Mask, or positions (their order is kept). A mask that is a Series has the index of the table.

        Returns
        -------
        Cohort
            Those slides.

        Raises
        ------
        DatasetError
            If a mask has another length or order than the table, or is of 0 and 1 instead of bools.
        """
        chosen = self._chosen(rows)
        lists = {name: getattr(self, name) for name in self._by_slide}
        parts: dict[str, Any] = {
            name: [values[row] for row in chosen] if values else [] for name, values in lists.items()
        }
        return replace(self, table=self.table.iloc[chosen], **parts)

    def _chosen(self, rows):
        """Positions of the chosen slides, int array."""
        self._need_order()
        mask = np.asarray(rows)
        if mask.dtype == bool:
            is_sorted = isinstance(rows, pd.Series) and not rows.index.equals(self.table.index)
            if len(mask) != len(self) or is_sorted:
                raise DatasetError(f"the mask does not have the {len(self)} rows of the table in their order")
        elif len(mask) == len(self) > 2 and set(mask.tolist()) == {0, 1}:
            raise DatasetError("rows has only 0 and 1, which are two positions; expected a mask of bools")
        return np.arange(len(self))[mask if mask.size else mask.astype(int)]


def read_cohort(csv: str | Path) -> Cohort:
    """Read a cohort from a table of slides.

    Parameters
    ----------
    csv : str or Path
        Table with a column ``path`` (relative paths start at the table's folder) and any targets; ``slide`` defaults
        to the file's stem, and to "P1-HE" and "P2-HE" for files of one name. ``patient`` defaults to a column that
        looks like patients, such as "Patient ID" or "case"; then to TCGA barcodes in the names of the files; then to
        the slide. Both are read as text; a target column becomes numbers or bools if every cell is one, and text
        otherwise.

    Returns
    -------
    Cohort

    Raises
    ------
    DatasetError
        If the table has no ``path``, if slides are missing (all of them are listed), or if one is in two rows.
    """
    table = read_table(csv, ["path"])
    paths = slide_paths(table, "path", csv)
    missing = [path for path in paths if not os.path.exists(path)]
    if missing:
        raise DatasetError(f"{csv}: {len(missing)} of {len(paths)} slides are missing: {shown(missing)}")
    if "slide" in table:
        need_cells(table, ["slide"], csv)
    _refuse_repeated(table, paths, csv)
    patients = _patients(table, paths, csv)
    table = table.drop(columns="path").reset_index(drop=True)
    table = table.apply(lambda column: column if column.name in ("slide", "patient") else typed(column))
    if "slide" not in table:
        names = unique_names(paths)
        table.insert(0, "slide", [names[path] for path in paths])
    if "patient" not in table:
        alone = table["slide"] if table["slide"].is_unique else paths
        table.insert(1, "patient", alone if patients is None else patients)
    return Cohort(paths, table)


def _refuse_repeated(table, paths, csv):
    """Raise DatasetError if a slide is in two rows, which may be on both sides of a split."""
    from sknic.datasets.rows import refuse_repeated_slides

    others = table.drop(columns="path").itertuples(index=False, name=None)
    refuse_repeated_slides(paths, table.index, list(others), csv)


def _patients(table, paths, csv):
    """Patient of each slide, from the column that names it or the files' TCGA barcodes; None if neither does."""
    from sknic.datasets.rows import find_patient_column, refuse_other_barcodes, tcga_patients

    column = "patient" if "patient" in table else find_patient_column(table, ("path", "slide"))
    if column is None:
        return tcga_patients(paths)
    need_column(table, column, csv)
    need_patients(table, column, csv)
    refuse_other_barcodes(paths, table[column], table.index, csv)
    return table[column].tolist()


def write_slides(write, recipes, out_dir, suffix, n_jobs, verbose, title):
    """Write one slide per recipe, skip those that already exist, and remove slides without a recipe.

    Parameters
    ----------
    write : callable(recipe, path, digest)
        Writes one slide and keeps `digest` as its description.
    recipes : dict of str to dict
        For each slide name, everything that determines its pixels, as plain JSON values.
    out_dir : Path
    suffix : str
    n_jobs : int or None
        As in joblib.
    verbose : int
        0: no progress bar.
    title : str
        Title of the progress bar.

    Returns
    -------
    paths : list of str
    """
    paths = {name: os.path.join(out_dir, name + suffix) for name in recipes}
    digests = {name: recipe_digest(recipe) for name, recipe in recipes.items()}
    due = [name for name, path in paths.items() if read_description(path) != digests[name]]
    _refuse_files_of_others([paths[name] for name in due], Path(out_dir) / TABLE)
    results = Parallel(n_jobs=n_jobs, return_as="generator_unordered")(
        delayed(write)(recipes[name], paths[name], digests[name]) for name in due
    )
    for _ in followed(results, title, len(due), shown=verbose):
        pass
    _remove_stale(Path(out_dir), set(paths.values()))
    return list(paths.values())


def _refuse_files_of_others(slides, table):
    """Raise DatasetError if a file that would be replaced is not of an earlier cohort; its slides may be damaged."""
    if table.exists() and table.read_bytes().startswith(_HEADER):
        return
    others = [path for path in slides if os.path.exists(path) and not _is_ours(path)] + [str(table)] * table.exists()
    if others:
        raise DatasetError(f"not written by sknic, and not replaced: {shown(others)}; choose another folder")


def _is_ours(path):
    """Whether sknic has written a slide: its description is the digest of a recipe."""
    return re.fullmatch("[0-9a-f]{24}", read_description(path) or "") is not None


def _remove_stale(out_dir, paths):
    """Remove the slides of an earlier, larger cohort: written by sknic, named like ours, and in no table."""
    for file in out_dir.glob("slide_[0-9]*.*"):
        if file.suffix in _SLIDE_SUFFIXES and str(file) not in paths and _is_ours(file):
            file.unlink()


def write_table(cohort, out_dir):
    """Write the cohort's table next to its slides, so that `read_cohort` finds everything again."""
    table = cohort.table.copy()
    table.insert(0, "path", [os.path.relpath(path, out_dir) for path in cohort.paths])
    with whole_file(Path(out_dir) / TABLE) as temporary:
        table.to_csv(temporary, index=False)


def recipe_digest(recipe):
    """Short name of a recipe: the same recipe, the same name, on every machine."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:24]


def shown(names, most=10):
    """Some of the names and the number of the others, for a message."""
    names = [str(name) for name in names]
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
