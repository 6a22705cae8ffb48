"""The file of a grid: HDF5 with the datasets and attributes of TRIDENT and CLAM, plus those that a grid needs.

Layout: `features (n, C)` float16, `coords (n, 2)` int64 (level-0 x and y of each patch), `cells (n, 2)` int32 (row and
column) and, with eight orientations, `oriented_features (7, n, C)` float16. Datasets are contiguous, so that they can
be read or memory-mapped without libhdf5: a cohort larger than memory streams from its files through the page cache.
What stands before them is told in `seal.py`.
"""

import json
import mmap
import os
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from sknic.exceptions import GridFileError
from sknic.files.known import Known
from sknic.files.whole import whole_file
from sknic.grids.embeddings import finite_embeddings
from sknic.grids.header import GridHeader
from sknic.grids.layout import Layout
from sknic.grids.placement import Placement
from sknic.grids.seal import block_bytes, cannot_be_read, has_seal, seal, verify

FORMAT = 1
_DATASETS = ("features", "oriented_features", "coords", "cells")
# Larger arrays are mapped, smaller ones read: a map keeps a file descriptor where Python cannot do without (3.12 and
# earlier), and a cohort has thousands of small grids.
_MAPPED_BYTES = 8 << 20

# Files that were verified in this process.
_stored = Known()


class Stored(NamedTuple):
    """What a file says of its grid: header, key of the cache (or None), and where the numbers are."""

    header: GridHeader
    key: str | None
    layout: Layout


def write_grid_file(path, header, features, cells, oriented_features=None, key=None):
    """Write a grid under a temporary name, then rename it, so that a reader sees the whole file or none.

    Parameters
    ----------
    path : str or Path
        File to write.
    header : GridHeader
        Header of the grid.
    features : array (n, C)
        Embeddings.
    cells : int array (n, 2)
        Row and column of each embedding.
    oriented_features : array (7, n, C), default=None
        Embeddings after orientations 1 to 7.
    key : str, default=None
        Digest of what the content was computed from; a cache compares it before using the file.
    """
    arrays = {"features": finite_embeddings("embeddings", features), "coords": _coords(header, cells)}
    arrays["cells"] = np.asarray(cells, np.int32)
    if oriented_features is not None:
        arrays["oriented_features"] = finite_embeddings("oriented embeddings", oriented_features)
    meta = {"format": FORMAT, "key": key, **asdict(header)}
    n_bytes = block_bytes(meta)
    with whole_file(path) as temporary:
        _write_datasets(temporary, arrays, header, meta, n_bytes)
        with open_grid_file(temporary) as file:
            places = _places(file)
        seal(temporary, {**meta, "layout": places}, n_bytes)
        _flush_to_disk(temporary)


def _write_datasets(path, arrays, header, meta, n_bytes):
    from sknic import __version__

    with h5py.File(path, "w", userblock_size=n_bytes, locking=False) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
        file.attrs["sknic_version"] = __version__
        file.attrs["sknic_grid"] = json.dumps(meta, sort_keys=True)
        file["features"].attrs["encoder"] = header.fingerprint or "unknown"
        file["coords"].attrs.update(_peer_attributes(header))


def _coords(header, cells):
    """Level-0 px (x, y) of each patch; in cells if the header does not have their size."""
    if header.stride_level0 is None:
        return np.asarray(cells, np.int64)[:, ::-1] + np.asarray(header.origin, np.int64)
    return Placement.of(header).corners(cells)


def _peer_attributes(header):
    """The attributes on `coords` that TRIDENT's and CLAM's loaders look for; unknown ones are left out."""
    patch = header.patch_size or 0
    found = {
        "name": Path(header.slide or "").stem.encode(errors="backslashreplace").decode(),
        "patch_size": patch,
        "overlap": patch - (header.stride or patch),
    }
    if header.patch_size_level0:
        downsample = header.patch_size_level0 / patch if patch else 1.0
        found |= {"patch_size_level0": round(header.patch_size_level0), "downsample": (downsample, downsample)}
        if downsample == 1:
            # CLAM reads `patch_size` px of this level, so that no level is right where they have another size.
            found["patch_level"] = 0
    for name, mpp in (("level0_magnification", header.slide_mpp), ("target_magnification", header.mpp)):
        if mpp:
            found[name] = 10.0 / mpp
    return found


def _flush_to_disk(path):
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_grid_file(path):
    """Open an HDF5 file for reading, without a lock: grids are replaced by renaming, and some file systems lack locks.

    Raises
    ------
    GridFileError
        If the file is missing, truncated or not HDF5.
    """
    try:
        return h5py.File(path, "r", locking=False)
    except (OSError, ValueError) as error:
        raise GridFileError(cannot_be_read(path, error)) from error


def read_header(path):
    """Header, key and array layout of a file that sknic wrote, after verifying its checksum.

    A process opens, reads and hashes a file only once, as long as its size, times and inode stay the same.

    Parameters
    ----------
    path : str or Path
        File of a grid.

    Returns
    -------
    Stored

    Raises
    ------
    GridFileError
        If the file is missing, damaged, foreign or of another format.
    """
    stored = read_own_header(path)
    if stored is None:
        raise GridFileError(f"{path} is not a grid file of sknic, or its first bytes are damaged")
    return stored


def read_own_header(path):
    """Like `read_header`, but None for a file that sknic did not write."""
    path = os.fspath(path)
    try:
        stored = _stored.get(path, os.stat(path))
        return _read_own_header(path) if stored is None else stored
    except OSError as error:
        raise GridFileError(cannot_be_read(path, error)) from error


def _read_own_header(path):
    with open(path, "rb") as file:
        if not has_seal(file):
            return None
        status, meta = os.fstat(file.fileno()), verify(file)
    return _stored.put(path, status, parse_header(path, meta, status.st_size))


def parse_header(path, meta, n_bytes):
    """What a file says of its grid.

    Parameters
    ----------
    path : str or Path
        File whose checksum has just been verified.
    meta : dict or None
        Its header, from `seal.verify`.
    n_bytes : int
        Its size in bytes.

    Returns
    -------
    Stored

    Raises
    ------
    GridFileError
        If it is damaged, or of another version.
    """
    try:
        meta = meta or _header_inside(path)
        if meta.pop("format") != FORMAT:
            raise GridFileError(f"{path} was written in another format of sknic; compress the slide again")
        key, places = meta.pop("key"), meta.pop("layout")
        _check_names(path, meta)
        return Stored(GridHeader(**meta), key, Layout.of(path, places, n_bytes))
    except (KeyError, TypeError, ValueError, AttributeError, OSError, RuntimeError) as error:
        raise GridFileError(f"{path} is damaged or not a grid: {error}") from error


def _header_inside(path):
    """The header of a file from an earlier version, which has it only inside HDF5."""
    with open_grid_file(path) as file:
        return {**json.loads(file.attrs["sknic_grid"]), "layout": _places(file)}


def _check_names(path, meta):
    from sknic import __version__

    unknown = sorted(set(meta) - {field.name for field in fields(GridHeader)})
    if unknown:
        with open_grid_file(path) as file:
            version = file.attrs.get("sknic_version")
        raise GridFileError(
            f"{path} was written by sknic {version}; this is {__version__}, which does not know {', '.join(unknown)}: "
            "install that version, or compress the slide again"
        )


def _places(file):
    """Position of each dataset in the file: offset, shape and type."""
    sets = {name: file[name] for name in _DATASETS if name in file}
    return {name: (each.id.get_offset(), each.shape, each.dtype.str) for name, each in sets.items()}


def read_dataset(path, place):
    """Read one dataset, or memory-map a large one.

    Parameters
    ----------
    path : str
        File of a grid.
    place : (offset, shape, dtype)
        Position of the dataset, from `Layout.place`.

    Returns
    -------
    ndarray
        In memory, or a memory map that is read on access.
    """
    offset, shape, dtype = place
    if 0 in shape:
        return np.empty(shape, dtype)
    try:
        if np.prod(shape, dtype=np.int64) * np.dtype(dtype).itemsize >= _MAPPED_BYTES:
            return _map(path, offset, shape, dtype)
        array = np.fromfile(path, dtype, int(np.prod(shape)), offset=offset)
    except (OSError, ValueError) as error:
        raise GridFileError(cannot_be_read(path, error)) from error
    if array.size != np.prod(shape):
        raise GridFileError(f"{path} is truncated: it was cut off after it had been opened")
    return array.reshape(shape)


def _map(path, offset, shape, dtype):
    with open(path, "rb") as file:
        untracked = {"trackfd": False} if sys.version_info >= (3, 13) else {}
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ, **untracked)
    return np.ndarray(shape, dtype, mapped, offset)
