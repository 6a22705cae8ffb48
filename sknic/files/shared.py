"""Which of several files have been given the same thing, although they are different files."""

from __future__ import annotations

import os
from collections.abc import Mapping


def first_shared(things: Mapping[str, str]) -> tuple[str, str] | None:
    """Find two different files with the same thing.

    Parameters
    ----------
    things : mapping of str to str
        Path of a file -> what it has been given, such as the path of its mask.

    Returns
    -------
    tuple of two str, or None
        Their paths. Two paths that lead to one file are not a pair.
    """
    first: dict[str, str] = {}
    for path, thing in things.items():
        other = first.setdefault(thing, path)
        if other != path and os.path.realpath(other) != os.path.realpath(path):
            return other, path
    return None
