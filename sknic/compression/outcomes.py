"""What became of many slides: the manifest on disk, and the sentences that say it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import pandas as pd

from sknic.compression.job import Outcome
from sknic.exceptions import CompressionError, SlideFailureWarning, TissueWarning, warn
from sknic.files.locks import file_lock
from sknic.files.whole import whole_file

MANIFEST = "manifest.csv"
OTHER_MANIFEST = "sknic-manifest.csv"
COLUMNS = [*(field.name for field in fields(Outcome) if field.name != "grid"), "file"]
# Slides that a message names when many have one fault.
N_NAMED = 3


class Manifest:
    """The table of a cache folder that says what became of each slide.

    Rows are appended as slides are ready, so that a run that is killed leaves them; the newest row of a slide counts,
    and `tidy` removes the others. What cannot be written is one warning: no grid depends on it.

    Parameters
    ----------
    folder : Path
        Folder of the cache.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._is_broken = False

    def add(self, outcome: Outcome) -> None:
        """Append the row of a slide.

        Parameters
        ----------
        outcome : Outcome
            What became of the slide.
        """
        self._guarded(self._append, pd.DataFrame([outcome.row()], columns=COLUMNS))

    def tidy(self) -> None:
        """Keep the newest row of each slide."""
        if self._path is not None:
            self._guarded(self._keep_newest)

    def _guarded(self, write, *arguments):
        if self._is_broken:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with file_lock(self._folder / f".{MANIFEST}.lock"):
                self._path = self._path or self._own_path()
                write(*arguments)
        except (OSError, pd.errors.ParserError) as error:
            self._is_broken = True
            path = self._path or self._folder / MANIFEST
            warn(f"could not write {path}: {error}", SlideFailureWarning)

    def _own_path(self):
        """The manifest's file; another name where a file of the user's has ours."""
        for name in (MANIFEST, OTHER_MANIFEST):
            if _is_manifest(self._folder / name):
                return self._folder / name
        raise OSError("it and the file beside it are not manifests of sknic")

    def _append(self, rows):
        is_new = not self._path.exists() or not self._path.stat().st_size
        with open(self._path, "a", encoding="utf-8", errors="backslashreplace", newline="") as file:
            rows.to_csv(file, index=False, header=is_new, lineterminator="\n")

    def _keep_newest(self):
        rows = pd.read_csv(self._path, keep_default_na=False, dtype=str)
        newest = rows.drop_duplicates("slide", keep="last")
        if len(newest) < len(rows):
            with whole_file(self._path) as temporary:
                newest.to_csv(temporary, index=False)


def _is_manifest(path):
    """Whether a file is a manifest, empty, or not there."""
    try:
        first = pd.read_csv(path, nrows=1, keep_default_na=False)
    except (FileNotFoundError, pd.errors.EmptyDataError):
        return True
    except (UnicodeDecodeError, pd.errors.ParserError):
        return False
    return list(first.columns) == COLUMNS


def speak_up(outcomes: Sequence[Outcome], on_error: str) -> None:
    """Warn of slides without tissue, and raise or warn of slides that failed.

    Parameters
    ----------
    outcomes : sequence of Outcome
        One per slide; a slide may stand there twice.
    on_error : {"raise", "skip"}
        Answer to slides that failed.

    Raises
    ------
    CompressionError
        With "raise", when slides failed; its `failures` says why, its `grids` holds the others.
    """
    slides = {outcome.slide: outcome for outcome in outcomes}
    failed, empty = (
        [outcome for outcome in slides.values() if outcome.status == status] for status in ("failed", "no tissue")
    )
    of_all = f"of {len(slides)} slide{'s' if len(slides) != 1 else ''}"
    if empty:
        warn(f"{len(empty)} {of_all} without tissue:\n{by_cause(empty)}", TissueWarning)
    if not failed:
        return
    message = f"{len(failed)} {of_all} could not be compressed:\n{by_cause(failed)}"
    if on_error == "raise":
        failures = {outcome.slide: outcome.error for outcome in failed}
        raise CompressionError(message, failures, [outcome.grid for outcome in outcomes])
    warn(f"{message}\nTheir grids are empty.", SlideFailureWarning)


def by_cause(outcomes: Sequence[Outcome]) -> str:
    """Return what went wrong, one line per cause.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Those that have an error.

    Returns
    -------
    str
        Lines of two spaces, the slides and the cause; many slides with one cause are counted, and a few are named.
    """
    causes: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        causes.setdefault(_without_names(outcome), []).append(outcome)
    return "\n".join(f"  {_named(those)}: {those[0].error}" for those in causes.values())


def counts(outcomes: Sequence[Outcome]) -> str:
    """Return how many slides ended how.

    Parameters
    ----------
    outcomes : sequence of Outcome
        One per slide.

    Returns
    -------
    str
        Such as "24 slides: 20 done, 2 no tissue, 2 failed".
    """
    of_status = Counter(outcome.status for outcome in outcomes)
    order = ("done", "cached", "no tissue", "failed")
    parts = ", ".join(f"{of_status[status]} {status}" for status in order if of_status[status])
    return f"{len(outcomes)} slide{'s' if len(outcomes) != 1 else ''}: {parts}"


def _without_names(outcome):
    """The cause with the slide's own names taken out, so that equal causes are equal texts."""
    stem = os.path.splitext(os.path.basename(outcome.slide))[0]
    text = outcome.error.replace(outcome.slide, "*")
    return text.replace(stem, "*") if len(stem) > 2 else text


def _named(outcomes):
    names = [outcome.slide for outcome in outcomes]
    if len(names) <= N_NAMED:
        return ", ".join(names)
    return f"{len(names)} slides ({', '.join(names[:N_NAMED])} and {len(names) - N_NAMED} more)"
