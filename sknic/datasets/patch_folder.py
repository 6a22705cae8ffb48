"""Read folders of labelled patches: a patches.csv beside its images, or task/class/image folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError
from tqdm.auto import tqdm

from sknic.datasets.cohort import shown
from sknic.exceptions import DatasetError
from sknic.files.whole import whole_file

TABLE = "patches.csv"
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def load_patch_folder(
    root: str | Path, out: str | Path | None = None, *, verbose: int = 1
) -> tuple[np.ndarray, pd.DataFrame]:
    """Read all patches of a folder into one array, with their labels beside it.

    Parameters
    ----------
    root : str or Path
        Folder with a ``patches.csv`` (columns path, task, label; optionally group, mpp, center and others), or else
        with folders task/class/image.
    out : str or Path, optional
        ``.npy`` file that becomes a memory map, written once and found again while it matches; without it the array
        lies in memory.
    verbose : int
        0: no progress bar.

    Returns
    -------
    patches : uint8 array or memory map (n, height, width, 3), RGB
    table : DataFrame
        One row a patch, in the same order: path, task, label, group (the source; the path itself where unknown), mpp
        (NaN where unknown) and what else ``patches.csv`` says. ``table.pivot(columns="task", values="label")`` is the y
        of `MultitaskEncoder`.

    Raises
    ------
    DatasetError
        No patches, or images that are missing, damaged or of another size than the first: all are named.

    Examples
    --------
    >>> patches, table = load_patch_folder("patches", "patches.npy")  # doctest: +SKIP
    >>> encoder.fit(patches, table.pivot(columns="task", values="label"), groups=table["group"])  # doctest: +SKIP
    """
    root = Path(root)
    table = read_patch_table(root)
    shape = (len(table), *read_image(root / table["path"].iloc[0]).shape)
    if out is None:
        patches = np.empty(shape, np.uint8)
        _fill(patches, root, table["path"], verbose)
        return patches, table
    out = Path(out)
    if not _is_current(out, shape, root / TABLE):
        _write_map(out, shape, root, table["path"], verbose)
    return np.load(out, mmap_mode="r"), table


def read_patch_table(root):
    """The table of a folder of patches, without their pixels; see `load_patch_folder`."""
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder of patches")
    table = _read_csv(root / TABLE) if (root / TABLE).is_file() else _walk(root)
    if not len(table):
        raise DatasetError(f"{root}: no patches; expected a {TABLE} or folders task/class/image")
    if "group" not in table:
        table["group"] = table["path"]
    if "mpp" not in table:
        table["mpp"] = np.nan
    return table


def read_image(path):
    """Pixels of one image, uint8 (height, width, 3), RGB; DatasetError where it is missing or damaged."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DatasetError(f"{path}: missing or damaged image ({error})") from error


def _read_csv(path):
    text = {"path": str, "task": str, "label": str, "group": str}
    try:
        table = pd.read_csv(path, dtype=text, keep_default_na=False, na_values={"mpp": [""]})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as a table of patches ({error})") from error
    lacking = [name for name in ("path", "task", "label") if name not in table]
    if lacking:
        raise DatasetError(f"{path}: expected the columns path, task and label; {lacking} are missing")
    return table


def _walk(root):
    files = sorted(path for path in root.glob("*/*/*") if path.suffix.lower() in IMAGE_SUFFIXES)
    parts = [path.relative_to(root) for path in files]
    rows = [{"path": part.as_posix(), "task": part.parts[0], "label": part.parts[1]} for part in parts]
    return pd.DataFrame(rows, columns=["path", "task", "label"])


def _fill(patches, root, names, verbose):
    faults = []
    for position, name in enumerate(tqdm(names, desc="Reading patches", unit="patch", disable=not verbose)):
        try:
            image = read_image(root / name)
        except DatasetError as error:
            faults.append(str(error))
            continue
        if image.shape == patches.shape[1:]:
            patches[position] = image
        else:
            faults.append(f"{name}: {image.shape[1]} x {image.shape[0]} px")
    if faults:
        size = f"{patches.shape[2]} x {patches.shape[1]} px"
        raise DatasetError(f"{root}: {len(faults)} of {len(names)} images are not readable {size}: {shown(faults)}")


def _write_map(out, shape, root, names, verbose):
    with whole_file(out) as temporary:
        patches = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        _fill(patches, root, names, verbose)
        patches.flush()


def _is_current(out, shape, source):
    """Whether the map is there, has the right shape, and is no older than the table it was made from."""
    if not out.is_file():
        return False
    try:
        found = np.load(out, mmap_mode="r")
    except (OSError, ValueError):
        return False
    newer = not source.is_file() or out.stat().st_mtime >= source.stat().st_mtime
    return found.shape == shape and found.dtype == np.uint8 and newer
