"""The manifest of a folder of grids: the outcome of each slide; it never overwrites a file of the user."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from sknic.compression.job import Outcome
from sknic.exceptions import CacheWarning, SlideFailureWarning, warn
from sknic.files.locks import file_lock
from sknic.files.whole import whole_file

MANIFEST = "manifest.csv"
# Rows that wait at most.
AT_ONCE = 1000
COLUMNS = [*(field.name for field in fields(Outcome) if field.name != "grid"), "file"]


class Manifest:
    """The table of a cache folder that lists the outcome of each slide.

    Rows are appended as slides finish, so that they survive if the run is killed; rows of cached slides are written
    together with later ones. The newest row of a slide counts, and `tidy` removes the others. A file that sknic did not
    write is left alone, and a damaged manifest is kept under another name. A manifest that cannot be written only gives
    a warning, because no grid depends on it.

    Parameters
    ----------
    folder : Path
        Folder of the cache.
    name : str, default="manifest.csv"
        Name of the table.
    """

    def __init__(self, folder: Path, name: str = MANIFEST) -> None:
        self._folder, self._name = folder, name
        self._path: Path | None = None
        self._waiting: list[dict] = []
        self._merged: dict[str, list[str]] = {}
        self._is_broken = False

    def add(self, outcome: Outcome) -> None:
        """Append the row of a slide.

        Parameters
        ----------
        outcome : Outcome
            Outcome of the slide.
        """
        self._waiting.append(outcome.row())
        if outcome.status != "cached" or len(self._waiting) >= AT_ONCE:
            self._append_all()

    def tidy(self) -> None:
        """Append waiting rows, and keep only the newest row of each slide."""
        self._append_all()
        if self._path is not None:
            self._guarded(self._keep_newest)

    def take_in(self, others: Sequence[Path], order: Sequence[str]) -> dict[str, list[str]]:
        """Add the rows of other manifests.

        Parameters
        ----------
        others : sequence of Path
            Their files, which are not removed.
        order : sequence of str
            Slides whose rows come first.

        Returns
        -------
        dict of str to list of str
            The slide as written in the file, and its row.
        """
        self._guarded(self._take_in, others, order)
        return self._merged

    def _append_all(self):
        rows, self._waiting = self._waiting, []
        if rows:
            self._guarded(self._append, rows)

    def _guarded(self, write, *arguments):
        if self._is_broken:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with file_lock(self._folder / f".{self._name}.lock"):
                self._path = self._path or self._own_path()
                write(*arguments)
        except OSError as error:
            self._is_broken = True
            path = self._path or self._folder / self._name
            warn(f"could not write {path}: {error.strerror or error}", SlideFailureWarning)

    def _own_path(self):
        """The manifest's file; another name if a file of the user already has ours."""
        path, other = self._folder / self._name, self._folder / f"sknic-{self._name}"
        for own in (path, other):
            if _is_manifest(own):
                _put_aside_if_damaged(own)
                if own == other:
                    warn(
                        f"{path} is not a manifest of sknic and is left alone; {other.name} is written instead",
                        CacheWarning,
                    )
                return own
        raise OSError("neither this file nor the alternative next to it is a manifest of sknic")

    def _append(self, rows):
        is_new = not self._path.exists() or not self._path.stat().st_size
        with open(self._path, "a", encoding="utf-8", errors="backslashreplace", newline="") as file:
            table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if is_new:
                table.writeheader()
            table.writerows(rows)

    def _keep_newest(self):
        # Rows are read twice rather than kept, because a cohort has thousands of them.
        last, n_rows = {}, 0
        for row in _rows(self._path):
            last[row[0]] = n_rows
            n_rows += 1
        if len(last) < n_rows:
            _write(self._path, (row for i, row in enumerate(_rows(self._path)) if last[row[0]] == i))

    def _take_in(self, others, order):
        # The file that was written last has the last word.
        rows: dict[str, list[str]] = {}
        for path in sorted([self._path, *others], key=_age):
            rows |= newest_rows(path)
        order = [slide for slide in map(as_written, order) if slide in rows]
        merged = [rows[slide] for slide in dict.fromkeys([*order, *rows])]
        if merged != list(newest_rows(self._path).values()):
            _write(self._path, merged)
        self._merged = {row[0]: row for row in merged}


def newest_rows(path: Path) -> dict[str, list[str]]:
    """Return the newest row of each slide.

    Parameters
    ----------
    path : Path
        A manifest. If it is damaged, its complete rows are read; if it does not exist, there are no rows.

    Returns
    -------
    dict of str to list of str
        The slide as written in the file, and its row.
    """
    return {row[0]: row for row in _rows(path)} if path.exists() else {}


def as_written(slide: str) -> str:
    """Return the path of a slide as written in a manifest, with bytes that are not UTF-8 escaped.

    Parameters
    ----------
    slide : str
        The path.

    Returns
    -------
    str
        Text.
    """
    return slide.encode("utf-8", "backslashreplace").decode()


def _age(path):
    return (path.stat().st_mtime_ns, path.name) if path.exists() else (0, "")


def _is_manifest(path):
    """Whether a file is a manifest, the beginning of one, or does not exist."""
    try:
        with open(path, "rb") as file:
            first = file.readline().removesuffix(b"\n")
    except FileNotFoundError:
        return True
    header = ",".join(COLUMNS).encode()
    is_cut = header.startswith(first) and (not first or first.count(b",") > 1) and path.stat().st_size == len(first)
    return first.rstrip(b"\r") == header or is_cut


def _rows(path):
    """The complete rows of a manifest, one by one."""
    with open(path, encoding="utf-8", errors="backslashreplace", newline="") as file:
        lines = csv.reader(line.replace("\0", "") for line in file)
        yield from (row for row in itertools.islice(lines, 1, None) if len(row) == len(COLUMNS))


def _is_whole(path):
    """Whether a manifest is text, has one cell per column in each row, and a final line break."""
    data = path.read_bytes()
    if not data:
        return True
    lines = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8", "backslashreplace", newline=""))
    is_text = data.endswith(b"\n") and b"\0" not in data
    return is_text and next(lines) == COLUMNS and all(len(row) == len(COLUMNS) for row in lines)


def _put_aside_if_damaged(path):
    """Start a new manifest with the complete rows of a damaged one, which is kept under another name."""
    if not path.exists() or _is_whole(path):
        return
    rows = list(_rows(path))
    aside = next(new for i in range(1, 10_000) if not (new := path.with_name(f"{path.stem}-damaged-{i}.csv")).exists())
    os.rename(path, aside)
    _write(path, rows)
    warn(
        f"{path} was cut off or edited: it is kept as {aside.name}, and its {len(rows)} complete rows are copied to "
        "a new one; compress again to get a row for every slide",
        CacheWarning,
    )


def _write(path, rows):
    with whole_file(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(itertools.chain([COLUMNS], rows))
