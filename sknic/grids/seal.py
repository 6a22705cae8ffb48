"""The start of a grid's file, before the HDF5 part: a checksum of what follows, and the header as JSON.

It is in HDF5's user block, which readers skip: the checksum in the first 512 bytes, the header from there on. libhdf5
may crash on a damaged file, so files with a wrong checksum are not passed to it; and it takes longer to open a small
file than to hash it, so the header is read without it. Files of earlier versions have no header here.
"""

import hashlib
import json
import os

import h5py

from sknic.exceptions import GridFileError
from sknic.files.nearest import no_such_file

SEAL_BYTES = 512
_SEAL = b"sknic grid, checksum of what follows the first 512 bytes: "
# Bytes that "layout" may add to a header before its length is known.
_LAYOUT_BYTES = 512


def block_bytes(header):
    """Size of the user block that holds the seal and a header: a power of two, as HDF5 requires."""
    needed = SEAL_BYTES + len(json.dumps(header)) + _LAYOUT_BYTES
    return 1 << (needed - 1).bit_length()


def seal(path, header, n_bytes):
    """Write the header and the checksum into the user block of a file that is otherwise complete.

    Parameters
    ----------
    path : str or Path
        The file.
    header : dict
        Values that JSON can store; left out if it does not fit.
    n_bytes : int
        Size of the user block.
    """
    content = json.dumps(header, sort_keys=True).encode() + b"\n"
    with open(path, "r+b") as file:
        if SEAL_BYTES + len(content) <= n_bytes:
            file.seek(SEAL_BYTES)
            file.write(content)
        digest = checksum(file)
        file.seek(0)
        file.write(_SEAL + digest)


def checksum(file):
    """Digest of what follows the seal in an open file, as stored in the seal."""
    file.seek(SEAL_BYTES)
    return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest().encode()


def is_own(path):
    """Whether a file was written by sknic.

    Raises
    ------
    GridFileError
        If the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return has_seal(file)
    except OSError as error:
        raise GridFileError(cannot_be_read(path, error)) from error


def has_seal(file):
    """Whether an open file was written by sknic."""
    file.seek(0)
    return file.read(len(_SEAL)) == _SEAL


def verify(file):
    """Compare the checksum of an open file that sknic wrote with its content, and read its header.

    Returns
    -------
    dict or None
        The header that `seal` wrote, None if there was no room for it.

    Raises
    ------
    GridFileError
        If a byte of it has changed, or it is not a grid file.
    """
    if not has_seal(file):
        raise GridFileError(f"{file.name} is not a grid file of sknic, or its first bytes are damaged")
    file.seek(0)
    stored = file.read(SEAL_BYTES)[len(_SEAL) :].rstrip(b"\0")
    line = file.readline()
    if checksum(file) != stored:
        raise GridFileError(f"{file.name} is damaged: its checksum does not match its content")
    return json.loads(line) if line.startswith(b"{") else None


def cannot_be_read(path, error):
    """Why a file cannot be opened, in our words."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: {no_such_file(path)}"
    if getattr(error, "errno", None):
        return f"{path} cannot be read as a grid file: {os.strerror(error.errno)}"
    what = "is a damaged HDF5 file" if h5py.is_hdf5(path) else "is not an HDF5 file, as grids and features are"
    return f"{path} {what}, or was cut off"
