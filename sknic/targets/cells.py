"""Read cells of a table and values of y strictly, because a cast is not a check."""

import re

import numpy as np

from sknic.targets.names import EMPTY, UNKNOWN, check_names

_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d.*)?$")
_CODES = (-9, -99, -999, -9999, 999, 9999, 99999)
# What float32, in which networks compute, can hold.
LARGEST = float(np.finfo(np.float32).max)
_MOMENTS = "{}: expected numbers; found dates or durations. Use numbers in a unit of your choice, such as days"
_COMMA = re.compile(r"[+-]?\d[\d.,\s]*,\d+([.,]\d+)*$")


def text_of(table, column):
    """The cells of a column as stripped text, object array (n,); codes for missing values are refused with their row.

    Raises
    ------
    ValueError
    """
    return _filled(table, column, UNKNOWN)


def names_of(table, column):
    """The cells of a column of names, object array (n,), and the names that often stand for a missing value.

    "unknown", "-" and "+/-" are names like any other; only empty cells, NA and the errors of spreadsheets are refused.

    Raises
    ------
    ValueError
    """
    values = _filled(table, column, EMPTY)
    return values, sorted({value for value in values if value.lower() in UNKNOWN})


def _filled(table, column, missing):
    values = np.array([_text(value) for value in table[column]], object)
    for row, value in zip(table.index, values):
        if value.lower() in missing:
            stands = f"{value!r} stands for a missing value" if value else "the cell is empty"
            raise ValueError(f"column {column!r}, row {row}: {stands}; fill it in or leave the row out")
    return values


def numbers_of(table, column):
    """The cells of a column as finite numbers, float (n,).

    Raises
    ------
    ValueError
        With column, row, value and what is wrong with it.
    """
    cells = zip(table.index, text_of(table, column))
    return np.array([_number(text, f"column {column!r}, row {row}: {text!r}") for row, text in cells])


def _text(value):
    if value is None or value != value:  # NaN, NaT
        return ""
    return str(value).strip()


def _number(text, where):
    try:
        number = float(text.replace("_", "x"))  # Python's 1_000
    except ValueError:
        if _DATE.match(text):
            raise ValueError(f"{where} is a date; expected a number") from None
        if _COMMA.match(text):
            raise ValueError(
                f"{where} has a comma; write numbers with a decimal point, and thousands without a separator"
            ) from None
        raise ValueError(f"{where} is not a number; expected numbers") from None
    if not np.isfinite(number):
        raise ValueError(f"{where} is not a finite number")
    if abs(number) > LARGEST:
        raise ValueError(f"{where} is beyond {LARGEST:g}, which float32 cannot represent; choose another unit")
    return number


def as_numbers(y, name="y"):
    """Convert a user's values to an array of finite numbers: text is read as in a table, anything else is refused.

    Parameters
    ----------
    y : array-like of numbers, bools (all of them) or text, shape (n,) or (n, k)
    name : str, default="y"
        What the values are called in messages.

    Returns
    -------
    ndarray of float or int, shape (n,) or (n, k)

    Raises
    ------
    ValueError
        With the first value that is not a finite number: missing, masked, a date, complex, or beyond float32; or when
        bools are mixed with numbers.
    """
    refuse_bools_among_numbers(y, name)
    array = as_array(y, name)
    if array.dtype.kind in "OSU":
        flat = [_one_number(value, f"{name}[{_place(i, array)}]") for i, value in enumerate(array.ravel())]
        array = np.array(flat, float).reshape(array.shape)
    if array.dtype.kind == "b":
        array = array.astype(float)
    wrong = np.flatnonzero(~np.isfinite(array) | (np.abs(array.astype(float)) > LARGEST))
    if len(wrong):
        value, where = array.ravel()[wrong[0]], f"{name}[{_place(wrong[0], array)}]"
        if np.isfinite(value):
            raise ValueError(f"{where}={value:g}: expected numbers that float32 can represent; choose another unit")
        raise ValueError(f"{name}: expected finite numbers; {where} contains NaN or infinity")
    return array


def _place(position, array):
    """Row of a flat position, or row and column if there are several columns."""
    if array.ndim <= 1:
        return str(position)
    return ", ".join(map(str, np.unravel_index(position, array.shape)))


def _one_number(value, where):
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, str):
        return _number(value.strip(), f"{where}={str(value)!r}")
    if isinstance(value, complex | np.complexfloating):
        raise ValueError(f"{where}={value!r}: expected a real number")
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{where}={repr(value)[:40]} ({type(value).__name__}): expected a number") from None


def refuse_bools_among_numbers(y, name):
    """Raise ValueError if bools are mixed with numbers, because numpy would convert True to 1.0."""
    values = np.asarray(y, object if isinstance(y, list | tuple) else None).ravel()
    if values.dtype.kind != "O":
        return
    is_bool = [isinstance(value, bool | np.bool_) for value in values]
    if any(is_bool) and not all(is_bool):
        row = is_bool.index(True)
        raise ValueError(f"{name}[{row}]={values[row]!r} is a bool among numbers; expected numbers only")


def as_array(y, name="y"):
    """Convert a user's values to an array; missing values, dates, durations and complex numbers are refused.

    Raises
    ------
    ValueError
    """
    if hasattr(y, "toarray"):
        raise ValueError(f"{name} is a sparse {type(y).__name__}: expected a dense array; pass {name}.toarray()")
    refuse_masked(y, name)
    try:
        array = np.asarray(y)
    except ValueError:
        raise ValueError(f"{name}: expected one value per sample; found values of different lengths") from None
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}")
    if array.dtype.kind in "mM":
        raise ValueError(_MOMENTS.format(name))
    if isinstance(y, list | tuple) and array.dtype.kind in "US" and array.ndim == 1:
        check_names(name, y)  # numpy has made text of everything, so look at what was given
    if array.dtype.kind == "O":
        flat = check_names(name, array.ravel())
        if any(map(_is_moment, flat)):
            raise ValueError(_MOMENTS.format(name))
    return array


def _is_moment(value):
    is_numpys = isinstance(value, np.timedelta64 | np.datetime64)
    return is_numpys or any(hasattr(value, method) for method in ("total_seconds", "isoformat", "to_timestamp"))


def refuse_masked(y, name):
    """Raise ValueError for a masked value, whose hidden number numpy would return."""
    if isinstance(y, list | tuple):
        masked = [value is np.ma.masked for value in y]
    else:
        masked = np.ma.getmaskarray(y).ravel() if isinstance(y, np.ma.MaskedArray) else ()
        masked = [any(value) if isinstance(value, np.void) else value for value in masked]
    if any(masked):
        raise ValueError(f"{name}[{masked.index(True)}] is masked; expected a value for each sample")


def note_of_codes(column, y):
    """Describe numbers in a column that may stand for a missing value, such as 999 far from the rest; "" if none.

    Parameters
    ----------
    column : str
    y : float array (n,)

    Returns
    -------
    str
    """
    codes = [code for code in _CODES if (y == code).any() and _stands_apart(code, y[y != code])]
    rows = ", ".join(f"{code:g} ({(y == code).sum()})" for code in codes)
    note = f"{column}: {rows} counts as a number; leave these rows out if it stands for a missing value"
    return note if codes else ""


def _stands_apart(code, others):
    """Whether a code is far from all other numbers, or the only negative one."""
    return len(others) > 0 and (np.abs(others - code).min() > 3 * np.ptp(others) or code < 0 <= others.min())


def few(values, limit=5):
    """The first of some values, for a message."""
    shown = ", ".join(map(repr, values[:limit]))
    return shown + (", ..." if len(values) > limit else "")
