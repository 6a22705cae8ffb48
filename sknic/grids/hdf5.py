"""The file of a grid: HDF5 with the datasets and attributes that TRIDENT and CLAM write, plus what a grid needs.

Layout: `features (n, C)` float16, `coords (n, 2)` int64 (level-0 x and y of each patch), `cells (n, 2)` int32 (row and
column) and, with eight orientations, `oriented_features (7, n, C)` float16. Datasets are contiguous, so that they can
be memory-mapped: a cohort larger than memory streams from its files through the page cache. The first 512 bytes are an
HDF5 user block, which readers skip, with a checksum of all that follows: libhdf5 may crash on a damaged file, so it is
opened only when the checksum holds.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import h5py
import numpy as np

from sknic.exceptions import GridFileError
from sknic.files.whole import whole_file

FORMAT = 1
_SEAL = b"sknic grid, checksum of what follows the first 512 bytes: "
_SEAL_BYTES = 512
_DATASETS = ("features", "oriented_features", "coords", "cells")


@dataclass(frozen=True)
class GridHeader:
    """What a grid knows besides its numbers; lengths in cells or px, `mpp` in um per px."""

    shape: tuple[int, int]
    mpp: float | None
    patch_size: int | None
    stride: int | None
    slide: str | None = None
    slide_mpp: float | None = None
    origin: tuple[int, int] = (0, 0)
    fingerprint: str | None = None
    tissue_fraction: float | None = None

    def coords(self, cells):
        """Level-0 pixel (x, y) of the patch of each cell, int64 (n, 2)."""
        scale = self.stride or self.patch_size or 1
        if self.mpp and self.slide_mpp:
            scale = scale * self.mpp / self.slide_mpp
        return np.rint(np.asarray(cells)[:, ::-1] * scale).astype(np.int64) + np.asarray(self.origin, np.int64)

    @property
    def patch_size_level0(self):
        """Width of a patch in level-0 px."""
        size = self.patch_size or self.stride or 1
        return round(size * self.mpp / self.slide_mpp) if self.mpp and self.slide_mpp else size


def finite_embeddings(where, embeddings):
    """Embeddings as float16, or as float32 where float16 overflows.

    Parameters
    ----------
    where : str
        Name of the file or argument, for the error.
    embeddings : array (..., n, C)
        Numbers of any type.

    Returns
    -------
    float16 or float32 array (..., n, C)

    Raises
    ------
    ValueError
        If a number is NaN or infinite, or beyond float32.
    """
    embeddings = np.asarray(embeddings)
    for dtype in (np.float16, np.float32):
        with np.errstate(over="ignore"):
            cast = embeddings.astype(dtype, copy=False)
        if np.isfinite(cast).all():
            return cast
    bad = np.argwhere(~np.isfinite(cast))
    raise ValueError(
        f"{where}: {len(bad)} of {cast.size} numbers are NaN or infinite, the first of them in row {bad[0][-2]}, "
        f"column {bad[0][-1]}: expected finite numbers"
    )


def write_grid_file(path, header, features, cells, oriented_features=None, key=None):
    """Write a grid under a temporary name, then rename it: a reader sees the whole file or none.

    Parameters
    ----------
    path : str or Path
    header : GridHeader
    features : float16 array (n, C)
    cells : int32 array (n, 2), row and column
    oriented_features : float16 array (7, n, C), optional
    key : str, optional
        What the content was computed from; a cache compares it before it trusts the file.
    """
    arrays = {"features": finite_embeddings("embeddings", features), "coords": header.coords(cells)}
    arrays["cells"] = np.asarray(cells, np.int32)
    if oriented_features is not None:
        arrays["oriented_features"] = finite_embeddings("oriented embeddings", oriented_features)
    meta = json.dumps({"format": FORMAT, "key": key, **asdict(header)}, sort_keys=True)
    with whole_file(path) as temporary:
        _write_datasets(temporary, arrays, header, meta)
        _seal(temporary)
        _flush_to_disk(temporary)


def _write_datasets(path, arrays, header, meta):
    from sknic import __version__

    with h5py.File(path, "w", userblock_size=_SEAL_BYTES) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        file.attrs["sknic_version"] = __version__
        file.attrs["sknic_grid"] = meta
        file["features"].attrs["encoder"] = header.fingerprint or "unknown"
        file["coords"].attrs.update(_peer_attributes(header))


def _peer_attributes(header):
    """The attributes on `coords` that TRIDENT's and CLAM's loaders look for."""
    magnification = 10.0 / header.mpp if header.mpp else 0.0
    level0 = 10.0 / header.slide_mpp if header.slide_mpp else magnification
    return {
        "name": Path(header.slide).stem if header.slide else "",
        "patch_size": header.patch_size or 0,
        "patch_size_level0": header.patch_size_level0,
        "level0_magnification": level0,
        "target_magnification": magnification,
        "overlap": (header.patch_size or 0) - (header.stride or header.patch_size or 0),
        "patch_level": 0,
        "downsample": (1.0, 1.0),
    }


def _flush_to_disk(path):
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(path):
    checksum = _checksum(path)
    with open(path, "r+b") as file:
        file.write(_SEAL + checksum)


def _checksum(path):
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        file.seek(_SEAL_BYTES)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest().encode()


def is_own(path):
    """Whether a file was written by sknic.

    Raises
    ------
    GridFileError
        If the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(len(_SEAL)) == _SEAL
    except OSError as error:
        raise GridFileError(f"{path} cannot be read as a grid file: {error}") from error


def verify(path):
    """Compare the checksum of a file that sknic wrote with its content.

    Raises
    ------
    GridFileError
        If a byte of it has changed, or it is not a grid file.
    """
    if not is_own(path):
        raise GridFileError(f"{path} is not a grid file of sknic, or its first bytes are damaged")
    with open(path, "rb") as file:
        stored = file.read(_SEAL_BYTES)[len(_SEAL) :].rstrip(b"\0")
    if _checksum(path) != stored:
        raise GridFileError(f"{path} is damaged: its checksum does not match its content")


def open_grid_file(path):
    """Open an HDF5 file for reading.

    Raises
    ------
    GridFileError
        If the file is missing, truncated or no HDF5.
    """
    try:
        return h5py.File(path, "r")
    except (OSError, ValueError) as error:
        raise GridFileError(f"{path} cannot be read as a grid file: {error}") from error


def read_header(path):
    """Header, key, array layout of a file that sknic wrote, after its checksum.

    Returns
    -------
    header : GridHeader
    key : str or None
    layout : dict of str to (offset, shape, dtype)
        Where each dataset lies in the file, for `map_dataset`.

    Raises
    ------
    GridFileError
        If the file is missing, damaged, foreign or of another format.
    """
    verify(path)
    with open_grid_file(path) as file:
        try:
            meta = json.loads(file.attrs["sknic_grid"])
            if meta.pop("format") != FORMAT:
                raise GridFileError(f"{path} was written in another format of sknic; compress the slide again")
            key = meta.pop("key")
            meta["shape"], meta["origin"] = tuple(meta["shape"]), tuple(meta["origin"])
            layout = {name: _place(file[name]) for name in _DATASETS if name in file}
            header = GridHeader(**meta)
            _check_layout(path, layout)
        except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
            raise GridFileError(f"{path} is damaged or no grid: {error}") from error
    return header, key, layout


def _place(dataset):
    return dataset.id.get_offset(), dataset.shape, dataset.dtype.str


def _check_layout(path, layout):
    size = os.path.getsize(path)
    n_cells = layout["cells"][1][0]
    for name, (offset, shape, dtype) in layout.items():
        n_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if n_bytes and (offset is None or offset + n_bytes > size):
            raise GridFileError(f"{path} is truncated: {name} reaches past the end of the file")
        if shape[-2] != n_cells:
            raise GridFileError(f"{path} is damaged: {name} has {shape[-2]} rows, cells {n_cells}")


def map_dataset(path, place):
    """Memory-map one dataset; nothing is read before it is touched, and no file stays open."""
    offset, shape, dtype = place
    if 0 in shape:
        return np.empty(shape, dtype)
    try:
        return np.memmap(path, dtype, "r", offset, shape)
    except (OSError, ValueError) as error:
        raise GridFileError(f"{path} cannot be read: {error}") from error
