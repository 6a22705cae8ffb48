"""Read labelled patches: a patches.csv with images or with a patches.npy, or task/class/image folders."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from sknic.datasets.cohort import shown
from sknic.datasets.rows import find_patient_column
from sknic.exceptions import DatasetError
from sknic.files.whole import whole_file
from sknic.progress import followed
from sknic.targets.names import EMPTY

TABLE = "patches.csv"
PACKED = "patches.npy"
# For `MultitaskEncoder.fit`, too, -1 is a label that is not known.
_NO_LABEL = EMPTY | {"-1", "-1.0"}
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def load_patch_folder(
    root: str | Path, out: str | Path | None = None, *, verbose: int = 1
) -> tuple[np.ndarray, pd.DataFrame]:
    """Read all patches of a folder into one array, with a table of their labels.

    Parameters
    ----------
    root : str or Path
        Folder in one of three forms: a ``patches.csv`` (columns path, task, label; optionally group, mpp, center and
        others) with images; a ``patches.csv`` with a ``patches.npy`` (uint8, n x height x width x 3) that has one
        patch per row of the table; or folders task/class/image.
    out : str or Path, default=None
        File (``.npy``) for a memory map of the images, written once and reused while the images and their order stay
        the same; ``.npy.source`` beside it says which they were. Without it the array is in memory. A ``patches.npy``
        is opened as a memory map directly, and nothing is written.
    verbose : int, default=1
        1 shows a progress bar while images are read.

    Returns
    -------
    patches : uint8 array or memory map (n, height, width, 3), RGB
    table : DataFrame
        One row per patch, in the same order: path, task, label, group (the source; without that column the patient, or
        else the path), mpp (NaN if unknown) and the other columns of ``patches.csv``.
        ``table.pivot(columns="task", values="label")`` is the y of `MultitaskEncoder`.

    Raises
    ------
    DatasetError
        If there are no patches; if images are missing, damaged or not of the same size (all are listed); or if
        ``patches.npy`` is damaged or does not have as many rows as the table.

    Examples
    --------
    >>> patches, table = load_patch_folder("patches", "patches.npy")  # doctest: +SKIP
    >>> encoder.fit(patches, table.pivot(columns="task", values="label"), groups=table["group"])  # doctest: +SKIP
    """
    root = Path(root)
    table = read_patch_table(root)
    if _is_packed(table):
        return open_packed(root, len(table)), table
    shape = (len(table), *read_image(root / table["path"].iloc[0]).shape)
    if out is None:
        patches = np.empty(shape, np.uint8)
        _fill(patches, root, table["path"], verbose)
        return patches, table
    out = Path(out)
    source = _digest_of_images(root, table["path"])
    if not _is_current(out, shape, source):
        _write_map(out, shape, root, table["path"], verbose)
        with whole_file(_source_file(out)) as temporary:
            temporary.write_text(source)
    return np.load(out, mmap_mode="r"), table


def read_patch_table(root):
    """The table of a folder of patches, without their pixels; see `load_patch_folder`."""
    root = Path(root)
    if not root.is_dir():
        raise DatasetError(f"{root}: no such folder of patches")
    table = _read_csv(root / TABLE) if (root / TABLE).is_file() else _walk(root)
    if not len(table):
        raise DatasetError(f"{root}: no patches; expected a {TABLE} or folders task/class/image")
    if (root / PACKED).is_file() and ("path" not in table or not (root / table["path"].iloc[0]).is_file()):
        open_packed(root, len(table))  # says what is wrong with it now, not patch by patch
        table = table.drop(columns="path", errors="ignore")
        table.insert(0, "path", [f"{PACKED}[{row}]" for row in range(len(table))])
    if "path" not in table:
        raise DatasetError(
            f"{root / TABLE}: expected a column path with image files, or a {PACKED} next to it with one patch per row"
        )
    if "group" not in table:
        patient = find_patient_column(table.astype(str), ("path", "task", "label", "mpp", "center"))
        table["group"] = table["path" if patient is None else patient]
    if "mpp" not in table:
        table["mpp"] = np.nan
    return table


def read_patch(root, name):
    """Pixels of one patch by its ``path`` in the table, uint8 (height, width, 3): an image, or a row of patches.npy."""
    if name.startswith(f"{PACKED}["):
        return np.asarray(open_packed(root)[int(name[len(PACKED) + 1 : -1])])
    return read_image(Path(root) / name)


def open_packed(root, n_rows=None):
    """Memory map of a folder's patches.npy; DatasetError where it is not uint8 RGB or has another number of rows."""
    path = Path(root) / PACKED
    patches = _mapped(path, path.stat().st_mtime_ns)
    if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[3] != 3:
        raise DatasetError(f"{path}: expected uint8 (n, height, width, 3), found {patches.dtype} {patches.shape}")
    if n_rows is not None and len(patches) != n_rows:
        raise DatasetError(f"{path}: {len(patches)} patches, but {TABLE} has {n_rows} rows; expected one row per patch")
    return patches


@lru_cache(maxsize=4)
def _mapped(path, _changed):
    try:
        return np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: damaged, or not an array of patches ({error})") from error


def _is_packed(table):
    return table["path"].iloc[0].startswith(f"{PACKED}[")


def read_image(path):
    """RGB pixels of one image, uint8 (height, width, 3); DatasetError if it is missing, damaged or not of 8 bits."""
    try:
        with Image.open(path) as image:
            _refuse_other_pixels(path, image)
            return np.asarray(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise DatasetError(f"{path}: missing or damaged image ({error})") from error


def _read_csv(path):
    text = {"path": str, "task": str, "label": str, "group": str}
    try:
        table = pd.read_csv(path, encoding="utf-8-sig", dtype=text, keep_default_na=False, na_values={"mpp": [""]})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be read as a table of patches ({error})") from error
    lacking = [name for name in ("task", "label") if name not in table]
    if lacking:
        raise DatasetError(f"{path}: expected the columns task and label; {lacking} missing")
    for name in ("task", "label"):
        empty = np.flatnonzero(table[name].str.strip().str.lower().isin(_NO_LABEL))
        if len(empty):
            row, value = empty[0] + 2, table[name].iloc[empty[0]]
            raise DatasetError(
                f"{path}: row {row}: {name} {value!r} stands for a missing value; remove the rows without a {name}"
            )
    return table


def _refuse_other_pixels(path, image):
    """Refuse images of which a conversion to 8-bit RGB would make white or black."""
    if image.mode.startswith(("I", "F")):
        raise DatasetError(f"{path}: its pixels are gray levels of more than 8 bits; expected an RGB image of 8 bits")
    if "A" in image.getbands() and image.getchannel("A").getextrema()[0] < 255:
        raise DatasetError(f"{path}: some pixels are transparent; save it without transparency, on a white ground")


def _walk(root):
    files = sorted(path for path in root.glob("*/*/*") if path.suffix.lower() in IMAGE_SUFFIXES)
    parts = [path.relative_to(root) for path in files]
    rows = [{"path": part.as_posix(), "task": part.parts[0], "label": part.parts[1]} for part in parts]
    return pd.DataFrame(rows, columns=["path", "task", "label"])


def _fill(patches, root, names, verbose):
    faults = []
    for position, name in enumerate(followed(names, "patches read", shown=verbose)):
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


def _source_file(out):
    """The file beside a map that says which images it was made from."""
    return out.with_name(f"{out.name}.source")


def _digest_of_images(root, names):
    """Digest of names, sizes and times of the images, in their order; an image that is missing is found later."""
    digest = hashlib.sha256()
    for name in names:
        try:
            status = os.stat(root / name)
        except OSError:
            status = None
        digest.update(f"{name}:{status and (status.st_size, status.st_mtime_ns)}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _is_current(out, shape, source):
    """Whether the map is there, has the right shape, and was made from these images in this order."""
    if not out.is_file() or not _source_file(out).is_file() or _source_file(out).read_text() != source:
        return False
    try:
        found = np.load(out, mmap_mode="r")
    except (OSError, ValueError):
        return False
    return found.shape == shape and found.dtype == np.uint8
