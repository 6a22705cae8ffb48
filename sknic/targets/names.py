"""A column of names, such as classes or patients: none is missing, and all have the same type."""

import unicodedata

import numpy as np

# What tables of clinical data write where nothing is known, in lower case.
UNKNOWN = {
    "",
    "'--",
    "--",
    "-",
    ".",
    "?",
    "n/a",
    "na",
    "n.a.",
    "nan",
    "null",
    "none",
    "<na>",
    "nat",
    "unknown",
    "missing",
}
UNKNOWN |= {"[not available]", "[not applicable]", "[unknown]", "[discrepancy]", "[completed]", "[not evaluated]"}
UNKNOWN |= {"not available", "not applicable", "not reported", "not evaluated", "not known", "not done"}
# What cannot be a name either: an empty cell, NA, and the errors of spreadsheets.
EMPTY = {"", "nan", "na", "n/a", "<na>", "nat", "null", "'--", "#n/a", "#na", "#value!", "#ref!", "#null!", "#div/0!"}
EMPTY |= {"#name?", "#num!"}
UNKNOWN |= EMPTY
# What is not the label of a patch either, although a class of slides may be called so.
NO_LABEL = EMPTY | {"-1", "-1.0"}


def check_names(name, values):
    """Return names as an object array (n,).

    Parameters
    ----------
    name : str
        Name of the column in messages.
    values : array-like (n,)
        All text, or all something else that can be sorted.

    Returns
    -------
    object array (n,)
        The values unchanged.

    Raises
    ------
    ValueError
        If they are not one column, if one is missing (None, NaN, NaT, pandas.NA) or blank, if text is mixed with
        something else, or if two names differ only invisibly.
    """
    import pandas as pd

    if np.ndim(values) != 1:
        raise ValueError(f"{name} has shape {np.shape(values)}: expected one name for each sample, (n,)")
    column = np.empty(len(values), dtype=object)
    column[:] = list(values)
    is_blank = [isinstance(value, str) and not value.strip() for value in column]
    missing = np.flatnonzero(pd.isna(column) | np.array(is_blank, bool))
    if len(missing):
        first = missing[0]
        raise ValueError(
            f"{name}[{first}]={column[first]!r}: expected a value for each sample; "
            f"{len(missing)} of {len(column)} missing"
        )
    if len({isinstance(value, str) for value in column}) > 1:
        types = ", ".join(sorted({type(value).__name__ for value in column}))
        raise ValueError(f"{name}: expected all text or all numbers; found {types}")
    refuse_alike(name, column)
    return column


def check_patients(name, values):
    """Return patients as an object array (n,); ValueError as in `check_names`, or for a word that names nobody.

    All slides with "unknown", or with the "nan" that `astype(str)` makes of an empty cell, would be of one patient.
    """
    column = check_names(name, values)
    refuse_words(name, column, UNKNOWN)
    return column


def refuse_words(name, values, words, expected="a value for each sample"):
    """Raise ValueError if a name is, apart from case, one of some words for a missing value."""
    for value in dict.fromkeys(values):  # each name once: metrics are computed a thousand times for an interval
        if isinstance(value, str) and value.strip().lower() in words:
            row = list(values).index(value)
            raise ValueError(f"{name}[{row}]={str(value)!r} stands for a missing value; expected {expected}")


def refuse_alike(name, values, *, case=False):
    """Raise ValueError if two names look alike, differing only in spaces, the composition of accents, or case.

    Parameters
    ----------
    name : str
        Name of the column in messages.
    values : array-like (n,)
        Names; values that are not text are ignored.
    case : bool, default=False
        Whether names that differ only in case are refused as well.
    """
    spellings: dict[str, str] = {}
    for value in dict.fromkeys(str(value) for value in values if isinstance(value, str)):
        seen = "".join(sign for sign in value if unicodedata.category(sign) != "Cf")  # zero-width spaces and their like
        plain = " ".join(unicodedata.normalize("NFKC", seen).split())
        first = spellings.setdefault(plain.casefold() if case else plain, value)
        if first != value:
            raise ValueError(f"{name}: {first!a} and {value!a} {_difference(first, value)}; write them alike")


def _difference(first, second):
    if first.casefold() == second.casefold():
        return "differ only in case"
    if "".join(first.split()) == "".join(second.split()):
        return "differ only in spaces"
    return "look alike, but are composed of different characters"
