"""Cells of a table and values of a y, read strictly: a cast is not a check."""

import re

import numpy as np

from sknic.targets.names import check_names

# What tables of clinical data write where nothing is known.
_MISSING = {"", "'--", "--", "-", ".", "?", "n/a", "na", "nan", "null", "<na>", "nat", "unknown", "missing"}
_MISSING |= {"[not available]", "[not applicable]", "[unknown]", "[discrepancy]", "[completed]", "[not evaluated]"}
_MISSING |= {
    "not available",
    "not applicable",
    "not reported",
    "not evaluated",
    "not known",
    "#n/a",
    "#value!",
    "#ref!",
}
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d.*)?$")
_COMMA = re.compile(r"[+-]?\d{1,3}([.\s]\d{3})*,\d+$|[+-]?\d+,\d+$")


def text_of(table, column):
    """The cells of a column as stripped text, object array (n,); a missing cell is refused with its row.

    Raises
    ------
    ValueError
    """
    values = np.array([_text(value) for value in table[column]], object)
    for row, value in zip(table.index, values):
        if value.lower() in _MISSING:
            raise ValueError(
                f"column {column!r}, row {row}: {value!r} stands for a missing value; fill it in or leave the row out"
            )
    return values


def numbers_of(table, column):
    """The cells of a column as finite numbers, float (n,).

    Raises
    ------
    ValueError
        With column, row, value and what is wrong with it.
    """
    return np.array([_number(value, column, row) for row, value in zip(table.index, text_of(table, column))])


def _text(value):
    if value is None or value != value:  # NaN, NaT
        return ""
    return str(value).strip()


def _number(text, column, row):
    where = f"column {column!r}, row {row}: {text!r}"
    try:
        number = float(text)
    except ValueError:
        if _DATE.match(text):
            raise ValueError(f"{where} is a date; expected a number") from None
        if _COMMA.match(text):
            raise ValueError(f"{where} has a decimal comma; write numbers with a decimal point") from None
        raise ValueError(f"{where} is not a number") from None
    if "_" in text or not np.isfinite(number):
        raise ValueError(f"{where} is not a finite number")
    return number


def as_array(y, name="y"):
    """An array of what a user passed, with missing values refused; dates, durations and complex numbers too.

    Raises
    ------
    ValueError
    """
    array = np.asarray(y)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} holds {array.dtype}")
    if array.dtype.kind in "mM":
        what = "durations" if array.dtype.kind == "m" else "dates"
        raise ValueError(f"{name} holds {what} ({array.dtype}); give numbers, in a unit of your choice such as days")
    if isinstance(y, list | tuple) and array.dtype.kind in "US" and array.ndim == 1:
        check_names(name, y)  # numpy has made text of everything, so look at what was given
    if array.dtype.kind == "O":
        flat = check_names(name, array.ravel())
        if any(hasattr(value, "total_seconds") or hasattr(value, "isoformat") for value in flat[:1]):
            raise ValueError(f"{name} holds dates or durations; give numbers, in a unit of your choice such as days")
    return array


def few(values, limit=5):
    """The first of some values, for a message."""
    shown = ", ".join(map(repr, values[:limit]))
    return shown + (", ..." if len(values) > limit else "")
