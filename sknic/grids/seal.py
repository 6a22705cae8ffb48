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
    digest = checksum(path)
    with open(path, "r+b") as file:
        file.write(_SEAL + digest)


def sealed_header(path):
    """The header that `seal` wrote; None if the file has none."""
    with open(path, "rb") as file:
        file.seek(SEAL_BYTES)
        line = file.readline()
    return json.loads(line) if line.startswith(b"{") else None


def checksum(path):
    """Digest of what follows the seal, as stored in the seal."""
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        file.seek(SEAL_BYTES)
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
        raise GridFileError(cannot_be_read(path, error)) from error


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
        stored = file.read(SEAL_BYTES)[len(_SEAL) :].rstrip(b"\0")
    if checksum(path) != stored:
        raise GridFileError(f"{path} is damaged: its checksum does not match its content")


def cannot_be_read(path, error):
    """Why a file cannot be opened, in our words."""
    if isinstance(error, FileNotFoundError):
        return f"{path}: {no_such_file(path)}"
    if getattr(error, "errno", None):
        return f"{path} cannot be read as a grid file: {os.strerror(error.errno)}"
    what = "is a damaged HDF5 file" if h5py.is_hdf5(path) else "is not an HDF5 file, as grids and features are"
    return f"{path} {what}, or was cut off"
