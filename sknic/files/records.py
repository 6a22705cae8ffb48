"""Read and write sknic's small record files, with a clear reason if one is damaged."""

import json
import math
from pathlib import Path

from sknic.files.nearest import no_such_file
from sknic.files.whole import whole_file


def read_json(path):
    """Read a file that contains one JSON object.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If the file is missing, unreadable, cut off, or something else; the message has the file and the reason.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: {no_such_file(path)}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged: byte {error.start} is not text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is damaged or cut off: it is not JSON at line {error.lineno}") from None
    except RecursionError:
        raise ValueError(f"{path} is damaged: its JSON is nested without end") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it contains no JSON object")
    return content


def write_json(path, record):
    """Write a record, whole or not at all, with null for NaN.

    Parameters
    ----------
    path : str or Path
    record : dict
    """
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(_without_nan(record), indent=2))


def _without_nan(values):
    """The same with None for NaN, which JSON does not have, at any depth."""
    if isinstance(values, dict):
        return {name: _without_nan(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_without_nan(value) for value in values]
    return None if values != values else values


def with_nan(values):
    """A dict of numbers with NaN for None."""
    return {name: math.nan if value is None else value for name, value in values.items()}
