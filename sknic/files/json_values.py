"""Values as JSON can store them: numbers and arrays of numpy, pandas and torch become Python's."""

from __future__ import annotations

from typing import Any


def json_value(value: Any) -> Any:
    """Convert numbers and arrays of other libraries, also within dicts, lists and tuples; the rest stays as it is.

    Parameters
    ----------
    value : object
        A parameter of an estimator, for instance.

    Returns
    -------
    object
        Equal value of Python's own types.
    """
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [*map(json_value, value)] if isinstance(value, list) else tuple(map(json_value, value))
    return value
