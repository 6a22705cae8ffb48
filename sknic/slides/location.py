"""The files of a slide, whatever name it was given by, and suggestions if there is none."""

import os
import stat
import unicodedata

from sknic.exceptions import UnreadableSlideError
from sknic.files.nearest import no_such_file
from sknic.slides.dicom import series_in, series_uid


def main_file(path):
    """Return the file that is opened for a slide.

    Parameters
    ----------
    path : str or Path
        A file, or the folder of one DICOM series; accents may be composed differently than in the file system.

    Returns
    -------
    str
        The file; for DICOM the first file of the series, whichever of its files was named.

    Raises
    ------
    UnreadableSlideError
        If there is no such file, or a folder is not one DICOM series.
    """
    return slide_files(path)[0]


def slide_files(path):
    """Return all files of a slide that have a header of their own; see `main_file`.

    Parameters
    ----------
    path : str or Path
        A file, or the folder of one DICOM series.

    Returns
    -------
    list of str
        The main file first; several only for DICOM.

    Raises
    ------
    UnreadableSlideError
        If there is no such file, or a folder is not one DICOM series.
    """
    return located(path)[0]


def located(path):
    """Return all files of a slide, and the state of the main one, so that the file system is asked once.

    Parameters
    ----------
    path : str or Path
        A file, or the folder of one DICOM series.

    Returns
    -------
    files : list of str
        As from `slide_files`.
    status : os.stat_result or None
        State of the first file; None for DICOM.

    Raises
    ------
    UnreadableSlideError
        If there is no such file, or a folder is not one DICOM series.
    """
    path, status = _as_on_disk(os.fspath(path))
    if stat.S_ISDIR(status.st_mode):
        return _only_series(path), None
    uid = series_uid(path, status)
    if uid is None:
        return [path], status
    return series_in(os.path.dirname(path) or ".").get(uid, [path]), None


def one_per_slide(paths):
    """Keep one file per DICOM series, and all other files.

    Parameters
    ----------
    paths : sequence of str
        Files.

    Returns
    -------
    list of str
        In the order given.
    """
    kept, seen = [], set()
    for path in paths:
        uid = series_uid(path) if path.lower().endswith(".dcm") else None
        slide = path if uid is None else (os.path.dirname(os.path.abspath(path)), uid)
        if slide not in seen:
            seen.add(slide)
            kept.append(path)
    return kept


def _only_series(folder):
    series = series_in(folder)
    if len(series) == 1:
        return next(iter(series.values()))
    found = f"a folder of {len(series)} DICOM series; name a file of one" if series else "a folder, not a slide"
    raise UnreadableSlideError(f"{folder}: is {found}")


def _as_on_disk(path):
    """The path as the file system has it, and its state; if there is none, an error that suggests what was meant."""
    try:
        return path, os.stat(path)
    except (OSError, ValueError):
        pass  # perhaps it is there with other accents
    folder, name = os.path.split(path)
    try:
        same = [other for other in os.listdir(folder or ".") if _plain(other) == _plain(name)]
    except (OSError, ValueError):
        same = []
    if len(same) == 1:  # é as one character or as two: the eye cannot tell
        path = os.path.join(folder, same[0])
        return path, os.stat(path)
    raise UnreadableSlideError(f"{path}: {no_such_file(path)}")


def _plain(name):
    return unicodedata.normalize("NFC", name)
