"""Find slide files below a folder, and report which of the slides in a table are missing."""

import os
from pathlib import Path

from sknic.datasets.cohort import shown
from sknic.exceptions import DatasetError, SlideFailureWarning, warn
from sknic.files.records import read_json
from sknic.slides import one_per_slide

SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".dcm", ".czi")
# Folders that systems make: wastebaskets, indices and previews.
_NOT_OURS = {"$recycle.bin", "system volume information", "__macosx", "@eadir", "lost+found"}


def walk(folder, suffixes=SUFFIXES):
    """Files with these suffixes below a folder, links to folders followed.

    Hidden files and folders (`._case.tiff`, `.Trash-1000`) are left out, and so are overlays of `sknic explain`.
    A folder that cannot be read is named in a warning.

    Parameters
    ----------
    folder : str or Path
    suffixes : sequence of str, default=SUFFIXES
        Lower case, with the dot.

    Returns
    -------
    list of str
        Sorted; a folder reached by several links is searched once, and a DICOM series is represented by one file.
    """
    found, unreadable, seen = [], [], set()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=lambda e: unreadable.append(e.filename)):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back, or to a folder that was walked
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        maps = _overlays(place, files)
        paths = (os.path.join(place, name) for name in files if name not in maps and not _is_hidden(name))
        found += [path for path in paths if path.lower().endswith(tuple(suffixes)) and os.path.isfile(path)]
    if unreadable:
        message = f"{len(unreadable)} folders could not be read, and their slides are left out: {shown(unreadable)}"
        warn(message, SlideFailureWarning)
    return one_per_slide(sorted(found))


def _overlays(folder, files):
    """Pictures at full resolution that `sknic explain` has written to a folder, which are not slides."""
    try:
        is_of_maps = "run.json" in files and read_json(os.path.join(folder, "run.json")).get("command") == "explain"
    except ValueError:
        return set()
    stems = {name.removesuffix(".png") for name in files if name.endswith(".png")} if is_of_maps else set()
    return {f"{stem}.ome.tiff" for stem in stems}


def _is_hidden(name):
    return name.startswith(".") or name.casefold() in _NOT_OURS


def slide_files(slides_dir):
    """Paths of all slides below a folder; DatasetError if there are none."""
    root = Path(slides_dir)
    if not root.is_dir():
        raise DatasetError(f"slides_dir={str(slides_dir)!r}: no such folder")
    files = walk(root)
    if not files:
        raise DatasetError(f"slides_dir={str(slides_dir)!r}: no slides; expected files of {', '.join(SUFFIXES)}")
    return files


def report_missing(missing, on_missing, wanted, slides_dir):
    """Raise or warn about slides that a table names but the folder does not have."""
    if on_missing not in ("raise", "skip"):
        raise ValueError(f"on_missing={on_missing!r}: expected 'raise' or 'skip'")
    if not missing:
        return
    message = f"{len(missing)} of {wanted} slides are not in {slides_dir}: {shown(missing)}"
    if on_missing == "raise" or len(missing) == wanted:
        raise DatasetError(message + ("; on_missing='skip' leaves them out" if len(missing) < wanted else ""))
    warn(message, SlideFailureWarning)
