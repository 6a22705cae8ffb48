"""Names of files that are made from slides: one per slide, though many slides are called HE.tiff."""

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


def _shared(names):
    """Paths whose name another one has, too; letters of either case are one name on Windows and macOS."""
    folded = [name.casefold() for name in names.values()]
    return [path for path, name in zip(names, folded) if folded.count(name) > 1]
