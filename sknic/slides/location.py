"""The files of a slide, whatever name it was given by, and suggestions if there is none."""

import os
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
    path = _as_on_disk(os.fspath(path))
    if os.path.isdir(path):
        series = series_in(path)
        if len(series) == 1:
            return next(iter(series.values()))
        found = f"a folder of {len(series)} DICOM series; name a file of one" if series else "a folder, not a slide"
        raise UnreadableSlideError(f"{path}: is {found}")
    uid = series_uid(path)
    return [path] if uid is None else series_in(os.path.dirname(path) or ".").get(uid, [path])


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


def _as_on_disk(path):
    """The path as the file system has it; if there is none, an error that suggests what was meant."""
    if os.path.exists(path):
        return path
    folder, name = os.path.split(path)
    try:
        same = [other for other in os.listdir(folder or ".") if _plain(other) == _plain(name)]
    except (OSError, ValueError):
        same = []
    if len(same) == 1:  # é as one character or as two: the eye cannot tell
        return os.path.join(folder, same[0])
    raise UnreadableSlideError(f"{path}: {no_such_file(path)}")


def _plain(name):
    return unicodedata.normalize("NFC", name)
