"""Rows are paired by position: values of pandas with the same rows in another order are refused, and masked ones."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

from sknic.targets.cells import refuse_masked


def check_paired(**columns: Any) -> None:
    """Refuse columns whose rows cannot be paired: masked values, and labels of pandas that were sorted alone.

    As everywhere in scikit-learn, row 0 of one belongs to row 0 of the other, whatever the indices are. If they have
    the same labels in another order, that is not what was meant. The same holds for columns, and for an index that
    names the slides of X. Of a masked array, numpy would use the values under the mask.

    Parameters
    ----------
    **columns : object
        Values with one row per slide, by the name they have in messages; what has no index is left out.

    Raises
    ------
    ValueError
        If two indices, or the columns of two tables, have the same labels in another order, or if a value is masked.
    """
    for name, values in columns.items():
        refuse_masked(values, name)
    indices = {name: list(values.index) for name, values in columns.items() if hasattr(values, "iloc")}
    _refuse_other_order(indices, "index", "row", "sort one by the index of the other")
    of_columns = {name: list(values.columns) for name, values in columns.items() if _is_frame(values)}
    _refuse_other_order(of_columns, "columns", "column", "select the columns of one in the order of the other")
    # Where X itself has no index, the names of its slides are compared with the indices of the others.
    for names in () if "X" in indices or not indices else _names_of_slides(columns.get("X")):
        texts = {name: list(map(str, index)) for name, index in indices.items()}
        _refuse_other_order({"X": names, **texts}, "slides", "row", "sort one by the slides of the other")


def check_order_of_classes(y_true: Any, **scores: Any) -> None:
    """Refuse tables of one score per class whose columns are the classes, but not in sorted order.

    Parameters
    ----------
    y_true : array-like (n,)
        Label of each slide.
    **scores : object
        Predictions, by the name they have in messages; only tables are looked at.

    Raises
    ------
    ValueError
        If the columns of a table are in another order.
    """
    for name, values in scores.items():
        if _is_frame(values) and len(values.columns) > 1 and not _is_frame(y_true):
            classes = sorted(set(map(str, list(y_true))))
            found = list(map(str, values.columns))
            if sorted(found) == classes and found != classes:
                raise ValueError(f"{name} has the columns {found}; expected the classes in sorted order, {classes}")


def names_of_columns(y: Any) -> list[str] | None:
    """Names of the columns of a table of several targets, as `check_columns` takes them; None for anything else."""
    return list(map(str, y.columns)) if _is_frame(y) and len(y.columns) > 1 else None


def check_columns(y: Any, names: list[str] | None) -> None:
    """Raise ValueError if the columns of y are those that a model was fitted on, in another order."""
    found = names_of_columns(y)
    if names and found and found != names and sorted(found) == sorted(names):
        raise ValueError(f"y has the columns {found}; the model was fitted on {names}. Select them in that order")


def _is_frame(values):
    return hasattr(values, "iloc") and hasattr(values, "columns")


def _refuse_other_order(labels, what, one, remedy):
    if len(labels) < 2:
        return
    (first, expected), *others = labels.items()
    for name, found in others:
        if len(found) == len(expected) and found != expected and Counter(found) == Counter(expected):
            place = next(place for place, pair in enumerate(zip(expected, found)) if pair[0] != pair[1])
            raise ValueError(
                f"{first} and {name} have the same {what} in another order: {one} {place} is {expected[place]} in "
                f"{first} and {found[place]} in {name}. They are paired by position; {remedy}, or pass arrays "
                "(.to_numpy()) if the order is right"
            )


def _names_of_slides(X):
    """Paths, file names and stems of the slides in X, paths or grids that know theirs; nothing for other input."""
    paths = [item if isinstance(item, str | os.PathLike) else getattr(item, "slide", None) for item in _items(X)]
    if not paths or None in paths:
        return []
    return [[form(os.fspath(path)) for path in paths] for form in (str, os.path.basename, lambda path: Path(path).stem)]


def _items(X):
    return X if isinstance(X, list | tuple) or getattr(X, "ndim", None) == 1 else ()
