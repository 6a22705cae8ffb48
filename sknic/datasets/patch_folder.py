"""Read labelled patches: a patches.csv with images or with a patches.npy, or task/class/image folders."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from sknic.datasets.cohort import shown
from sknic.datasets.patch_image import read_image
from sknic.datasets.rows import find_patient_column
from sknic.datasets.slide_files import walk
from sknic.datasets.table import MISSING, need_column, need_patients, read_table, typed
from sknic.exceptions import DatasetError
from sknic.files.whole import whole_file
from sknic.grids.header import MPP_TOLERANCE
from sknic.progress import followed
from sknic.targets.names import NO_LABEL

TABLE = "patches.csv"
PACKED = "patches.npy"
# Columns whose text is left as it is: patient 007 is not 7.
_OURS = ("path", "task", "label", "group", "mpp", "center")
_ROUND_MPPS = np.array([0.25, 0.5, 1.0])
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
        If there are no patches; if images are missing, damaged, of more than 8 bits, of other colors than red, green
        and blue (CMYK, LAB), or not of the same size (all are listed); if ``patches.npy`` is damaged or does not have
        as many rows as the table; or if a label, a patient or um/px cannot be one, with its row.

    Warns
    -----
    ColorWarning
        If images have one gray channel.

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
    if out.exists() and not _source_file(out).exists():
        raise DatasetError(f"{out}: not written by sknic, and not replaced; choose another file, or remove it")
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
        table["group"] = table["path"]
    if "mpp" not in table:
        table["mpp"] = np.nan
    return table


def common_mpp(table):
    """um/px of patches, as a round number if it is within 2 % of one.

    Parameters
    ----------
    table : DataFrame
        With columns task, label and mpp, as `load_patch_folder` gives.

    Returns
    -------
    float or None
        None if it is not known of any patch.

    Raises
    ------
    DatasetError
        If they differ by more than 5 %.
    """
    known = table[table["mpp"].notna()]
    if known.empty:
        return None
    low, high, middle = known["mpp"].min(), known["mpp"].max(), known["mpp"].median()
    if high / low > 1 + MPP_TOLERANCE:
        found = known.groupby(["task", "label"])["mpp"].median().to_dict()
        raise DatasetError(f"um/px of the patches must agree within {100 * MPP_TOLERANCE:.0f} %; they are {found}")
    nearest = _ROUND_MPPS[np.argmin(np.abs(_ROUND_MPPS - middle))]
    return float(nearest if abs(nearest / middle - 1) <= 0.02 else middle)


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


def _read_csv(path):
    """The table as text, but for numbers in other columns; ``group`` is the patient's column if there is none."""
    table = read_table(path, ["task", "label"])
    for name in table.columns.intersection(["path", "group", "mpp", "center"]):
        need_column(table, name, path)
    for name in ("task", "label"):
        _refuse_no_label(path, table[name])
    group = "group" if "group" in table else find_patient_column(table, ("path", "task", "label", "mpp", "center"))
    if group is not None:
        need_patients(table, group, path)
        table["group"] = table[group]
    if "mpp" in table:
        table["mpp"] = _numbers(path, table["mpp"])
    return table.apply(lambda column: column if column.name in _OURS else typed(column)).reset_index(drop=True)


def _refuse_no_label(path, names):
    """Raise DatasetError if a task or label stands for a missing value."""
    empty = names.str.lower().isin(NO_LABEL)
    if empty.any():
        row, what = names.index[empty][0], names.name
        raise DatasetError(
            f"{path}: row {row}: {what} {names[row]!r} stands for a missing value; remove the rows without a {what}"
        )


def _numbers(path, cells):
    """um/px of a column of text; NaN if unknown."""
    numbers = pd.to_numeric(cells.mask(cells.isin(MISSING)), errors="coerce")
    wrong = ~cells.isin(MISSING) & ~(np.isfinite(numbers) & (numbers > 0))
    if wrong.any():
        row = cells.index[wrong][0]
        raise DatasetError(f"{path}: column 'mpp', row {row}: {cells[row]!r} is not a number of um/px above 0")
    return numbers


def _walk(root):
    files = [Path(path).relative_to(root) for path in walk(root, IMAGE_SUFFIXES)]
    deep = [str(file) for file in files if len(file.parts) != 3]
    if deep and len(deep) < len(files):
        raise DatasetError(f"{root}: {len(deep)} images are not in folders task/class/image, such as {shown(deep)}")
    rows = [{"path": file.as_posix(), "task": file.parts[0], "label": file.parts[1]} for file in files if not deep]
    table = pd.DataFrame(rows, columns=["path", "task", "label"], dtype=object)
    for name in ("task", "label"):
        _refuse_no_label(root, table[name])
    return table


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
    digest = hashlib.sha256(os.fsencode(root.resolve()))
    for name in names:
        try:
            status = os.stat(root / name)
        except OSError:
            status = None
        digest.update(
            f"{name}:{status and (status.st_size, status.st_mtime_ns, status.st_ctime_ns)}\n".encode(
                errors="surrogateescape"
            )
        )
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
