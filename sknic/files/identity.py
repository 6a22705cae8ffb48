"""Identify large files without reading them completely."""

import hashlib
import os
import time

from sknic.files.known import Known

_SAMPLES, _SAMPLE_BYTES = 16, 16384
# s in which a file may change and keep its time stamp: FAT and old network file systems count in steps of two.
_COARSEST_STAMP = 2.0
# Formats that keep their pixels beside the file that is opened: in a folder of its name, or in files that it names.
_WITH_FOLDER, _INDEX = ".mrxs", (".vms", ".vmu")
_INDEX_BYTES = 1 << 20  # of an index no more is read, which is text of a few kB

_digests = Known()


def file_identity(path, status=None):
    """Compute a digest that identifies a file without reading gigabytes.

    It covers the size, the time of modification in whole seconds (copies lose the fraction) and sixteen samples of the
    content; not the name, so that a moved slide is the same slide. A MIRAX slide, which keeps its pixels in a folder of
    the same name beside the file, has the folder's listing in it too, and a Hamamatsu index the files that it names.

    A process reads the samples only once, as long as size, times and inode of the file stay the same. A file that was
    changed in the last two seconds is always read again, because these may not have changed yet.

    Parameters
    ----------
    path : str or Path
    status : os.stat_result, optional
        State of the file as it is now, if the caller has it: on a network file system each question takes its time.

    Returns
    -------
    str
        Hexadecimal digest.
    """
    path = os.fspath(path)
    status = os.stat(path) if status is None else status
    sampled = path, status.st_size, int(status.st_mtime)
    folder, suffix = os.path.splitext(path)
    if suffix.lower() == _WITH_FOLDER and os.path.isdir(folder):
        return _with_listing(_sampled(*sampled), (entry.path for entry in os.scandir(folder))).hexdigest()
    if suffix.lower() in _INDEX:
        return _with_listing(_sampled(*sampled), _named_in(path)).hexdigest()
    if time.time() - max(status.st_mtime, status.st_ctime) <= _COARSEST_STAMP:
        return _sampled(*sampled).hexdigest()
    return _digests.get(path, status) or _digests.put(path, status, _sampled(*sampled).hexdigest())


def _sampled(path, size, seconds):
    digest = hashlib.blake2b(f"{size}:{seconds}".encode(), digest_size=16)
    with open(path, "rb") as file:
        for i in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_BYTES) * i // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE_BYTES))
    return digest


def _with_listing(digest, paths):
    for path in sorted(paths, key=os.path.basename):
        status = os.stat(path)
        digest.update(os.fsencode(os.path.basename(path)) + f":{status.st_size}:{int(status.st_mtime)}".encode())
    return digest


def _named_in(index):
    """The files beside an index that stand in it as "key=file"."""
    folder = os.path.dirname(index)
    with open(index, "rb") as file:
        lines = file.read(_INDEX_BYTES).decode("utf-8", "surrogateescape").splitlines()
    names = {line.partition("=")[2].strip() for line in lines} - {""}
    return [path for name in names if "\0" not in name and os.path.isfile(path := os.path.join(folder, name))]
