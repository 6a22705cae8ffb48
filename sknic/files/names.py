"""Unique file names: one per slide, even if many slides are called HE.tiff, and one per class, whatever its name."""

import itertools
import re
from collections import Counter
from pathlib import Path


def unique_names(paths):
    """Make a short, unique name for each path.

    Parameters
    ----------
    paths : sequence of str or Path

    Returns
    -------
    dict of str to str
        Name of each path: the file's stem if no other file has it; otherwise preceded by as many folders as are needed
        to distinguish the files ("P1-HE", "P2-HE"), then with the suffix, then with a number.
    """
    paths = list(dict.fromkeys(map(str, paths)))
    parts = {path: Path(path).with_suffix("").parts for path in paths}
    names = {path: parts[path][-1] for path in paths}
    for depth in range(2, 1 + max(map(len, parts.values()), default=0)):
        for path in _shared(names):
            names[path] = "-".join(part.strip("/\\:") for part in parts[path][-depth:]).lstrip("-")
    for path in _shared(names):
        names[path] += Path(path).suffix.replace(".", "-")
    return _numbered(names)


def names_of_labels(labels):
    """Make a unique file name for each label.

    Parameters
    ----------
    labels : sequence
        Labels with any text.

    Returns
    -------
    list of str
        Names of letters, digits, ".", "_" and "-", with a number if two labels would have the same name.
    """
    names = {index: re.sub(r"[^\w.-]+", "-", str(label)).strip("-.")[:80] for index, label in enumerate(labels)}
    return list(_numbered(names).values())


def _numbered(names):
    """The names, those that are not unique with a number at the end."""
    taken = {name.casefold() for name in names.values()}
    numbers = itertools.count(1)
    for key in _shared(names):
        names[key] = next(name for n in numbers if (name := f"{names[key]}-{n}").casefold() not in taken)
    return names


def _shared(names):
    """Paths whose names are not unique; names that differ only in case are the same on Windows and macOS."""
    counts = Counter(name.casefold() for name in names.values())
    return [path for path, name in names.items() if counts[name.casefold()] > 1]
