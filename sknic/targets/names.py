"""A column of names, such as classes or patients: each is there, and all are of one type."""

import numpy as np


def check_names(name, values):
    """Return names as an object array (n,).

    Parameters
    ----------
    name : str
        What the column is called in messages.
    values : array-like (n,)
        All text, or all something else that can be sorted.

    Returns
    -------
    object array (n,)
        The values as they were given.

    Raises
    ------
    ValueError
        When one is missing (None, NaN, NaT, pandas.NA), or when text is mixed with something else.
    """
    import pandas as pd

    column = np.empty(len(values), dtype=object)
    column[:] = list(values)
    missing = np.flatnonzero(pd.isna(column))
    if len(missing):
        first = missing[0]
        raise ValueError(
            f"{name}[{first}]={column[first]!r}: expected a value for each sample; "
            f"{len(missing)} of {len(column)} missing"
        )
    if len({isinstance(value, str) for value in column}) > 1:
        types = ", ".join(sorted({type(value).__name__ for value in column}))
        raise ValueError(f"{name}: expected all text or all numbers; found {types}")
    return column
