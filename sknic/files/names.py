"""Names of files: one per slide, though many slides are called HE.tiff, and one per class, whatever it is called."""

import re
from pathlib import Path


def unique_names(paths):
    """A short name for each path, and never one name for two.

    Parameters
    ----------
    paths : sequence of str or Path

    Returns
    -------
    dict of str to str
        Path to name: the file's stem where no other file has it; otherwise with as many folders before it as tell the
        files apart ("P1-HE", "P2-HE"), then with the suffix, then with a number.
    """
    paths = list(dict.fromkeys(map(str, paths)))
    parts = {path: Path(path).with_suffix("").parts for path in paths}
    names = {path: parts[path][-1] for path in paths}
    for depth in range(2, 1 + max(map(len, parts.values()), default=0)):
        for path in _shared(names):
            names[path] = "-".join(part.strip("/\\:") for part in parts[path][-depth:]).lstrip("-")
    for path in _shared(names):
        names[path] += Path(path).suffix.replace(".", "-")
    for number, path in enumerate(_shared(names), 1):
        names[path] += f"-{number}"
    return names


def names_of_labels(labels):
    """A name of a file for each label, and never one name for two.

    Parameters
    ----------
    labels : sequence
        Their texts may hold anything.

    Returns
    -------
    list of str
        Letters, digits, ".", "_" and "-" are kept; with a number where two labels would have one name.
    """
    names = {index: re.sub(r"[^\w.-]+", "-", str(label)).strip("-.")[:80] for index, label in enumerate(labels)}
    for number, index in enumerate(_shared(names), 1):
        names[index] += f"-{number}"
    return list(names.values())


def _shared(names):
    """Paths whose name another one has, too; letters of either case are one name on Windows and macOS."""
    folded = [name.casefold() for name in names.values()]
    return [path for path, name in zip(names, folded) if folded.count(name) > 1]
