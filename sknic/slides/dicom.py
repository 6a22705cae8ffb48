"""DICOM: which slide a file belongs to, according to its header; all files of a series are one slide."""

import os
import struct

from sknic.files.known import Known

# A header is read so far; pixels come after the identifiers, and so do color profiles.
_HEAD_BYTES = 1 << 18
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_TRANSFER_SYNTAX, _SERIES = (0x0002, 0x0010), (0x0020, 0x000E)
_IMPLICIT = b"1.2.840.10008.1.2"
_END_OF_ITEM, _END_OF_SEQUENCE = (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF

# The UID, or "" for files that are not DICOM.
_uids = Known()


def series_uid(path, status=None):
    """Return the SeriesInstanceUID of a DICOM file.

    Parameters
    ----------
    path : str or Path
        Any file.
    status : os.stat_result, optional
        State of the file as it is now, if the caller has it.

    Returns
    -------
    str or None
        None if the file is not DICOM, or cannot be read.
    """
    path = os.fspath(path)
    try:
        status = os.stat(path) if status is None else status
        uid = _uids.get(path, status)
        if uid is None:
            uid = _uids.put(path, status, _read_uid(path) or "")
    except (OSError, ValueError):
        return None
    return uid or None


def _read_uid(path):
    with open(path, "rb") as file:
        head = file.read(132)
        head = head + file.read(_HEAD_BYTES) if head[128:132] == b"DICM" else b""
    try:
        return _find_series(head) if head else None
    except (struct.error, RecursionError):
        return None


def series_in(folder):
    """Group the DICOM files of a folder by series.

    Parameters
    ----------
    folder : str or Path
        Folder; its subfolders are not searched.

    Returns
    -------
    dict of str to list of str
        Sorted paths of each series.
    """
    found: dict[str, list[str]] = {}
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith("."))
    except OSError:
        return found
    for name in names:
        path = os.path.join(folder, name)
        if (uid := series_uid(path)) is not None:
            found.setdefault(uid, []).append(path)
    return found


def _find_series(data):
    implicit, position = False, 132
    while position + 8 <= len(data):
        tag, start, length = _element(data, position, implicit)
        if tag == _TRANSFER_SYNTAX:
            implicit = data[start : start + length].rstrip(b"\0 ") == _IMPLICIT
        if tag == _SERIES:
            return data[start : start + length].rstrip(b"\0 ").decode("ascii", "replace") or None
        if tag > _SERIES:
            return None
        position = _end(data, start, length, implicit)
    return None


def _element(data, position, implicit):
    """Tag, first byte of the value and length of the element at a position."""
    tag = struct.unpack_from("<HH", data, position)
    if tag[0] == 0xFFFE or (implicit and tag[0] != 2):
        return tag, position + 8, struct.unpack_from("<I", data, position + 4)[0]
    if data[position + 4 : position + 6] in _LONG:
        return tag, position + 12, struct.unpack_from("<I", data, position + 8)[0]
    return tag, position + 8, struct.unpack_from("<H", data, position + 6)[0]


def _end(data, start, length, implicit):
    """Where an element ends; an element of undefined length contains others up to a delimiter."""
    if length != _UNDEFINED:
        return start + length
    while start + 8 <= len(data):
        tag, begin, length = _element(data, start, implicit)
        if tag in (_END_OF_ITEM, _END_OF_SEQUENCE):
            return begin
        start = _end(data, begin, length, implicit)
    return len(data)
