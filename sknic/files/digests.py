"""Digests of the files in a folder, which reveal any change."""

import hashlib
from pathlib import Path

from sknic.files.records import read_json, write_json

DIGESTS = "digests.json"


def digest_of(path):
    """SHA-256 of a file, hexadecimal.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_digests(folder):
    """Write the digest of every file that is in a folder now.

    Parameters
    ----------
    folder : str or Path
    """
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != DIGESTS)
    _write(folder, {path.relative_to(folder).as_posix(): digest_of(path) for path in files})


def renew_digest(folder, name):
    """Update the digest of one file after an intended change.

    Parameters
    ----------
    folder : str or Path
    name : str
        File, relative to the folder.
    """
    _write(Path(folder), {**read_digests(folder), name: digest_of(Path(folder) / name)})


def read_digests(folder):
    """Digest of each file, by its name relative to the folder.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    dict of str to str

    Raises
    ------
    ValueError
        If there are no digests, or their file is damaged.
    """
    path = Path(folder) / DIGESTS
    files = read_json(path).get("sha256")
    if not isinstance(files, dict) or not files:
        raise ValueError(f"{path} is damaged: it contains no digests")
    return files


def seal_of(folder):
    """A single digest of all digests, to be recorded elsewhere: it changes if somebody changes a file and its digest.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    str
        Hexadecimal.
    """
    lines = (f"{digest}  {name}\n" for name, digest in sorted(read_digests(folder).items()))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def changed_files(folder, is_ours):
    """List files that differ from their digest, and files without a digest.

    Parameters
    ----------
    folder : str or Path
    is_ours : callable (Path) -> bool
        Whether a file or folder directly inside belongs to what was sealed.

    Returns
    -------
    dict of str to str
        What is wrong with each file, by name; empty if all files are as they were written.
    """
    folder, known = Path(folder), read_digests(folder)
    found = {}
    for name, digest in known.items():
        path = folder / name
        if not path.is_file():
            found[name] = "is missing"
        elif digest_of(path) != digest:
            found[name] = "is not as it was written"
    ours = [path for path in folder.iterdir() if path.name != DIGESTS and is_ours(path)]
    files = [path for top in ours for path in ([top] if top.is_file() else top.rglob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in files]
    return found | {name: "was added" for name in names if name not in known}


def _write(folder, files):
    write_json(folder / DIGESTS, {"sha256": files})
