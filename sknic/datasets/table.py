"""One reader for tables of slides: CSV of any common encoding and separator, or Excel; every cell is text."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import pandas as pd

from sknic.exceptions import DatasetError
from sknic.files.nearest import did_you_mean, no_such_file
from sknic.targets.names import UNKNOWN

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx")
# Texts that stand for an empty cell.
MISSING = frozenset(
    ("", "#N/A", "#NA", "#NULL!", "#VALUE!", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
)

# Columns that a message names.
_SHOWN = 20
_SAVE_AS_CSV = "save it as CSV (in Excel: Save As, 'CSV UTF-8')"
_SIGNATURES = {
    b"\xd0\xcf\x11\xe0": f"is an old Excel file (.xls); {_SAVE_AS_CSV}",
    b"\x89HDF": "is an HDF5 file, such as a grid, not a table",
    b"%PDF": "is a PDF, not a table",
    b"\x1f\x8b": "is compressed by gzip; unpack it first",
    b"II*\0": "is a TIFF image, not a table",
    b"MM\0*": "is a TIFF image, not a table",
    b"\x89PNG": "is an image, not a table",
    b"\xff\xd8\xff": "is an image, not a table",
    b"SQLite format": "is a database, not a table",
    b"version https://git-lfs": "is a Git LFS pointer, not the table itself; run `git lfs pull`",
}
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f"))


def read_table(path: str | Path, columns: Any = ()) -> pd.DataFrame:
    """Read a table as text.

    UTF-8 with or without a byte order mark, UTF-16 and Windows-1252 are recognized, and so are comma, semicolon and
    tab. Excel files (.xlsx) of one sheet are read if openpyxl is installed. Nothing is converted: "007" stays "007".

    Parameters
    ----------
    path : str or Path
        File of the table.
    columns : sequence of str, default=()
        Columns that the table must have.

    Returns
    -------
    DataFrame
        Cells as stripped str. The index is the row in the file: the header is row 1.

    Raises
    ------
    DatasetError
        If the file is not a table, or a column is missing; the message says what the file is, or lists its columns.
    """
    rows = _rows(Path(path))
    if not rows:
        raise DatasetError(f"{path}: the table is empty")
    header, *body = [[_clean(cell) for cell in row] for row in rows]
    while header and not header[-1] and not any(any(row[len(header) - 1 :]) for row in body):
        header.pop()  # separators at the ends of lines
    for number, row in enumerate(body, 2):
        if any(row[len(header) :]) or 0 < len(row) < len(header):
            raise DatasetError(f"{path}: row {number} has {len(row)} cells, but the header has {len(header)} columns")
    cells = [(row + [""] * len(header))[: len(header)] for row in body]
    table = pd.DataFrame(cells, columns=header, index=pd.RangeIndex(2, len(cells) + 2), dtype=object)
    table = table.loc[[any(row) for row in cells]]
    for column in columns:
        need_column(table, column, path)
    if table.empty:
        raise DatasetError(f"{path}: the table has a header but no rows")
    return table


def need_column(table: pd.DataFrame, column: str, path: str | Path) -> None:
    """Raise DatasetError, with the nearest name and all names, unless the table has this column exactly once."""
    names = list(table.columns)
    if names.count(column) == 1:
        return
    if names.count(column) > 1:
        raise DatasetError(f"{path} has {names.count(column)} columns named {column!r}; rename all but one")
    meant = did_you_mean(column, names, cutoff=0.6)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise DatasetError(f"{path} has no column {column!r}; it has {', '.join(map(repr, names[:_SHOWN]))}{more}{meant}")


def need_cells(table: pd.DataFrame, columns: Any, path: str | Path) -> None:
    """Raise DatasetError that names column and row unless these columns have a value in every row."""
    for column in columns:
        _refuse_empty(table[column], table[column].isin(MISSING), path)


def need_patients(table: pd.DataFrame, column: str, path: str | Path) -> None:
    """Raise DatasetError that names column and row unless this column has a patient in every row.

    Whatever stands for an unknown value is refused: all slides with "[Not Available]" would be of one patient. So is
    2.02E+11, to which Excel has shortened ids.
    """
    rounded = table[column].str.fullmatch(r"\d([.,]\d+)?E\+\d\d", case=False)
    if rounded.any():
        row = table.index[rounded][0]
        raise DatasetError(
            f"{path}: column {column!r}, row {row}: a spreadsheet has rounded the id to {table.loc[row, column]!r}; "
            "format the column as text there, and save again"
        )
    _refuse_empty(table[column], table[column].str.lower().isin(UNKNOWN), path)


def _refuse_empty(column, empty, path):
    if empty.any():
        row, n = column.index[empty][0], empty.sum()
        stands = f" ({column[row]!r} stands for a missing value)" if column[row] else ""
        more = f" and {n - 1} more" if n > 1 else ""
        raise DatasetError(
            f"{path}: column {column.name!r} is empty in row {row}{more}{stands}; fill in or remove the row"
        )


def typed(column: pd.Series) -> pd.Series:
    """A column as numbers or bools if every cell is one and no text is lost; otherwise as text.

    Codes for a missing value become NaN. "01", "1e400" and integers of more than 15 digits are names, not numbers.
    """
    missing = column.isin(MISSING)
    known = column[~missing]
    if known.empty:
        return column.mask(missing)
    if known.isin(["True", "False", "TRUE", "FALSE"]).all() and not missing.any():
        return known.str.casefold() == "true"
    if known.str.fullmatch(r"[+-]?(0|[1-9]\d{0,14})(\.\d+)?([eE][+-]?\d{1,2})?|[+-]?\.\d+|[+-]?inf").all():
        # Not `pandas.to_numeric` for fractions, which reads a third of them wrong in their last digit.
        is_whole = known.str.fullmatch(r"[+-]?\d+").all()
        return pd.to_numeric(column.mask(missing)) if is_whole else column.mask(missing).astype(float)
    return column.mask(missing)


def resolve_path(text: str, folder: str | Path) -> str:
    """The file that a cell names; relative paths start at the table's folder.

    Parameters
    ----------
    text : str
        Cell of a table. ``~``, backslashes, ``file://`` and either form of composed letters (NFC, NFD) are understood.
    folder : str or Path
        Folder of the table.

    Returns
    -------
    str
        The form that exists; otherwise the path as written, absolute or below the folder.

    Raises
    ------
    DatasetError
        If the cell is a number, or a Windows path that does not exist here.
    """
    written = os.path.expanduser(text.removeprefix("file://").strip("\"'"))
    forms = dict.fromkeys(
        unicodedata.normalize(form, slashes)
        for slashes in (written, written.replace("\\", "/"))
        for form in ("NFC", "NFD")
    )
    for form in (written, *forms):
        for name in _on_disk(form):
            if os.path.exists(path := os.path.join(folder, name)):
                return path
    if re.fullmatch(r"[+-]?\d+([.,]\d+)?", text):
        raise DatasetError(f"{text!r} is a number, not the name of a file; is this the right column?")
    if os.name != "nt" and re.match(r"[A-Za-z]:[\\/]|\\\\", text):
        raise DatasetError(f"{text!r} is a Windows path, which does not exist on this computer")
    name = written.replace("\\", "/") if os.name != "nt" else written
    return os.path.join(folder, next(_on_disk(name)))


def _on_disk(name):
    """A name as this computer may spell it: in the encoding of the locale, in UTF-8, or in that of old disks."""
    try:
        os.fsencode(name)
        yield name
    except UnicodeEncodeError:  # a locale without these letters, where names are read as bytes
        yield os.fsdecode(name.encode("utf-8", "surrogateescape"))
    if not name.isascii():
        yield os.fsdecode(name.encode("cp1252", "replace"))


def slide_paths(table: pd.DataFrame, column: str, path: str | Path) -> list[str]:
    """Files that a column names, one per row; DatasetError that names column and row of a cell that cannot be one."""
    need_cells(table, [column], path)
    folder, paths = Path(path).parent, []
    for row, text in table[column].items():
        try:
            paths.append(resolve_path(text, folder))
        except DatasetError as error:
            raise DatasetError(f"{path}: column {column!r}, row {row}: {error}") from None
    return paths


def _rows(path):
    """Rows of cells; the first one is the header."""
    if path.is_dir():
        inside = sorted(file.name for file in path.iterdir() if file.suffix.lower() in TABLE_SUFFIXES)
        hint = f"; did you mean {path / inside[0]}?" if len(inside) == 1 else ""
        raise DatasetError(f"{path}: expected a table, found a folder{hint}")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DatasetError(f"{path}: {no_such_file(path)}") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from error
    if data.startswith(b"PK\x03\x04"):
        return _excel_rows(path)
    text = _decode(data, path)
    separator, text = _separator(text)
    try:
        # Strict: otherwise a stray quotation mark hides all rows up to the next one.
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        rows = []
        for row in reader:
            rows.append(row)
            _refuse_rows_in_a_cell(path, reader.line_num, row, separator, len(rows[0]))
        return rows
    except csv.Error as error:
        raise DatasetError(
            f"{path}: line {reader.line_num}: a quotation mark is not closed, a cell that starts with one does not end "
            f"with it, or a cell is too long ({error})"
        ) from error


def _refuse_rows_in_a_cell(path, line, row, separator, n_columns):
    """Two stray quotation marks make one cell of all rows between them."""
    for cell in row:
        lines = cell.splitlines()[1:] if n_columns > 2 else ()
        if any(text.count(separator) >= n_columns - 1 for text in lines):
            raise DatasetError(
                f"{path}: a cell that ends in line {line} has {len(lines) + 1} lines that look like rows; is a "
                "quotation mark before it not meant as one?"
            )


def _excel_rows(path):
    try:
        import openpyxl
    except ImportError:
        raise DatasetError(f"{path}: is an Excel file; {_SAVE_AS_CSV}, or pip install openpyxl") from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        sheets = {sheet.title: [list(row) for row in sheet.values] for sheet in book.worksheets}
    except Exception as error:  # openpyxl raises whatever its parts raise
        raise DatasetError(f"{path}: is a zip archive or a damaged Excel file; {_SAVE_AS_CSV}") from error
    filled = [name for name, rows in sheets.items() if any(cell is not None for row in rows for cell in row)]
    if len(filled) != 1:
        # Excel opens the sheet that was looked at last, which may be another one tomorrow.
        raise DatasetError(
            f"{path}: {len(filled)} sheets have cells ({', '.join(filled) or 'none'}); expected one. Open the sheet of "
            f"the slides and {_SAVE_AS_CSV}"
        )
    rows = sheets[filled[0]]
    width = max(map(len, rows))  # cells without a value may be missing at the end of a row
    return [["" if cell is None else str(cell) for cell in row] + [""] * (width - len(row)) for row in rows]


def _decode(data, path):
    for signature, what in _SIGNATURES.items():
        if data.startswith(signature):
            raise DatasetError(f"{path}: {what}")
    if not data.strip(b" \t\r\n\0\xef\xbb\xbf\xff\xfe"):
        raise DatasetError(f"{path}: the file is empty")
    if re.match(rb"\s*(<!doctype|<html|<\?xml)", data[:200], re.IGNORECASE):
        raise DatasetError(f"{path}: is a web page (HTML), not a table; was it downloaded without logging in?")
    for encoding in _encodings(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            if encoding != "utf-8-sig" or not _is_mostly_utf8(text := data.decode("utf-8-sig", "surrogateescape")):
                continue
        if not re.search(r"[\x00-\x08\x0e-\x1f]", text[:100_000]):
            return text.removeprefix("\ufeff")
    raise DatasetError(f"{path}: is a binary file, not a table in UTF-8, UTF-16 or Windows-1252")


def _is_mostly_utf8(text):
    """Whether bytes that are not UTF-8 are rare: a file name from another system in a UTF-8 table."""
    strange = len(re.findall("[\udc80-\udcff]", text))
    return strange < len(re.findall("[^\x00-\x7f]", text)) - strange


def _encodings(data):
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["utf-16"]
    low, high = data[0:200:2], data[1:200:2]
    if max(low.count(0), high.count(0)) > len(low) / 2:
        return ["utf-16-le" if high.count(0) > low.count(0) else "utf-16-be"]
    return ["utf-8-sig", "cp1252"]


def _separator(text):
    """The separator that the header uses most outside quotes, and the text without Excel's line ``sep=;``."""
    first, _, rest = text.lstrip("\r\n").partition("\n")
    stated = re.fullmatch(r"\"?sep=(.)\"?\s*", first)
    if stated:
        return stated[1], rest
    bare = re.sub(r'"[^"]*"', "", first)
    separator = max(",;\t", key=bare.count)
    # One column: nothing separates, and a comma belongs to a name.
    return separator if separator in bare else "\x1f", text.lstrip("\r\n")


def _clean(cell):
    """Text without invisible differences: surrounding spaces, zero-width marks, composed or decomposed accents."""
    return unicodedata.normalize("NFC", cell.translate(_INVISIBLE)).strip()
