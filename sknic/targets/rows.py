"""Rows are paired by position: values of pandas whose indices have the same rows in another order are refused."""

from __future__ import annotations

from collections import Counter
from typing import Any


def check_same_order(**columns: Any) -> None:
    """Refuse values of pandas that name the same rows in different orders, such as labels that were sorted alone.

    As everywhere in scikit-learn, row 0 of one belongs to row 0 of the other, whatever the indices are. If they have
    the same labels in another order, that is not what was meant.

    Parameters
    ----------
    **columns : object
        Values with one row per slide, by the name they have in messages; what has no index is left out.

    Raises
    ------
    ValueError
        If two indices have the same labels in another order.
    """
    indexed = {name: values.index for name, values in columns.items() if hasattr(values, "iloc")}
    if len(indexed) < 2:
        return
    (first, index), *others = indexed.items()
    for name, other in others:
        if len(other) == len(index) and not other.equals(index) and Counter(other) == Counter(index):
            row = next(row for row, pair in enumerate(zip(index, other)) if pair[0] != pair[1])
            raise ValueError(
                f"{first} and {name} have the same index in another order: row {row} is {index[row]} in {first} and "
                f"{other[row]} in {name}. Rows are paired by position; sort one by the index of the other, or pass "
                "arrays (.to_numpy()) if the order is right"
            )
