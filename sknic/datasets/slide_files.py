"""Find the slide files that a table names, and say plainly which are not there."""

import warnings
from pathlib import Path

import pandas as pd

from sknic.datasets.cohort import shown
from sknic.exceptions import DatasetError, SlideFailureWarning

SUFFIXES = (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".dcm", ".czi")


def slide_files(slides_dir):
    """All slide files below a folder: stem to path, sorted by stem; DatasetError where there is none."""
    root = Path(slides_dir)
    if not root.is_dir():
        raise DatasetError(f"slides_dir={str(slides_dir)!r}: no such folder")
    files = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not files:
        raise DatasetError(f"slides_dir={str(slides_dir)!r}: no slides; expected files of {', '.join(SUFFIXES)}")
    return {path.name[: -len(path.suffix)]: str(path) for path in files}


def read_table(path, columns, text):
    """A CSV with at least these columns, those in `text` read as str; DatasetError where that is not to be had."""
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(text, str), encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as a CSV table ({error})") from error
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise DatasetError(f"{path}: expected the columns {list(columns)}; {lacking} are missing")
    return table


def report_missing(missing, on_missing, wanted, slides_dir):
    """Raise or warn about slides that a table names and the folder lacks."""
    if on_missing not in ("raise", "skip"):
        raise ValueError(f"on_missing={on_missing!r}: expected 'raise' or 'skip'")
    if not missing:
        return
    message = f"{len(missing)} of {wanted} slides are not in {slides_dir}: {shown(missing)}"
    if on_missing == "raise" or len(missing) == wanted:
        raise DatasetError(message + ("; on_missing='skip' goes on without them" if len(missing) < wanted else ""))
    warnings.warn(message, SlideFailureWarning, stacklevel=3)
