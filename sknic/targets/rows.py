"""Rows are paired by position: values of pandas with the same rows in another order are refused, and masked ones."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from sknic.targets.cells import refuse_masked

# What the columns of a table of predicted classes are called by, before the class.
PROBABILITY = "probability "
# What a target is called by; other columns may be ordered as they like.
_TARGETS = ("y", "y_true")


def check_paired(**columns: Any) -> None:
    """Refuse columns whose rows cannot be paired: masked values, and labels of pandas that were sorted alone.

    As everywhere in scikit-learn, row 0 of one belongs to row 0 of the other, whatever the indices are. If they have
    the same labels in another order, that is not what was meant; nor is it if names of slides or patients that both
    have stand in other places, because each lacks another row. The same holds for columns, and for an index that
    names the slides of X. Of a masked array, numpy would use the values under the mask, and the order of categories
    would be that of the alphabet.

    Parameters
    ----------
    **columns : object
        Values with one row per slide, by the name they have in messages; what has no index is left out.

    Raises
    ------
    ValueError
        If two indices, or the columns of two tables, have the same labels in another order, if a value is masked, or if
        the two categories of a target have another order than the sorted one, which decides what is positive.
    """
    for name, values in columns.items():
        refuse_masked(values, name)
        if name in _TARGETS:
            _refuse_order_of_categories(values, name)
    indices = {name: list(values.index) for name, values in columns.items() if hasattr(values, "iloc")}
    _refuse_other_order(indices, "index", "row", "sort one by the index of the other")
    _refuse_other_rows(indices)
    of_columns = {name: list(values.columns) for name, values in columns.items() if _is_frame(values)}
    _refuse_other_order(of_columns, "columns", "column", "select the columns of one in the order of the other")
    # Where X itself has no index, the names of its slides are compared with the indices of the others.
    for names in () if "X" in indices or not indices else _names_of_slides(columns.get("X")):
        of_slides = {"X": names, **{name: list(map(str, index)) for name, index in indices.items()}}
        _refuse_other_order(of_slides, "slides", "row", "sort one by the slides of the other")
        _refuse_other_rows(of_slides)


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
        if _is_frame(values) and len(values.columns) > 1 and len(np.shape(y_true)) == 1:
            classes = list(map(str, _sorted(y_true)))
            # A table of predictions of sknic calls them "probability a".
            found = [column.removeprefix(PROBABILITY) for column in map(str, values.columns)]
            if sorted(found) == sorted(classes) and found != classes:
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
    """Whether it is a table of pandas or polars, whose columns have names."""
    return hasattr(values, "columns") and hasattr(values, "dtypes") and len(getattr(values, "shape", ())) == 2


def _sorted(labels):
    """The different labels in the order of a model's classes; of labels that cannot be compared, in that of text."""
    different = set(labels)
    try:
        return sorted(different)
    except TypeError:
        return sorted(different, key=str)


def _refuse_order_of_categories(values, name):
    """Refuse two ordered categories of pandas, such as low < high, where sorting makes the other one positive."""
    dtype = getattr(values, "dtype", None)
    if getattr(dtype, "ordered", False) and hasattr(dtype, "categories"):
        order = list(map(str, dtype.categories))
        if len(order) == 2 and order != list(map(str, _sorted(dtype.categories))):
            raise ValueError(
                f"{name} has the ordered categories {' < '.join(order)}, but classes are sorted, and the last one is "
                "positive: pass .astype(str) if that is right, or names in the right order, such as 0-low and 1-high"
            )


def _refuse_other_rows(indices):
    """Refuse names that two indices share, in other places: each index lacks rows of the other."""
    texts = {
        name: labels for name, labels in indices.items() if labels and all(isinstance(label, str) for label in labels)
    }
    if len(texts) < 2:
        return
    (first, expected), *others = texts.items()
    for name, found in others:
        places = {label: place for place, label in reversed(list(enumerate(found)))}
        for place, label in enumerate(expected):
            if label in places and place < len(found) and found[place] != label:
                raise ValueError(
                    f"{label!r} is row {place} of {first} and row {places[label]} of {name}, so they are not the same "
                    "rows. They are paired by position; take the rows of both from one list of names, or pass arrays "
                    "(.to_numpy()) if the order is right"
                )


def _refuse_other_order(labels, what, one, remedy):
    if len(labels) < 2:
        return
    # As text, because "1" and 1 are one slide.
    (first, expected), *others = ((name, list(map(str, values))) for name, values in labels.items())
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
