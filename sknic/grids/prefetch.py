"""Have the embeddings of grids read from the disk while something else is computed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

from sknic.grids.storage import InFile

# Linux follows one piece of advice no further than its own read-ahead, 128 kB by default.
_ADVICE = 1 << 17
# Bytes read at once where the system takes no advice.
_BLOCK = 1 << 20


def prefetch(grids: Iterable[Any]) -> threading.Thread | None:
    """Start to read the embeddings of grids in files into the system's page cache, in a thread.

    It changes no result: who reads the grid later waits less. Grids in memory need nothing, and neither do grids with
    eight orientations of their pixels, of which a reader wants one and nobody knows yet which.

    Parameters
    ----------
    grids : iterable of Grid or other objects
        What will be read soon; anything but a Grid in a file is passed over.

    Returns
    -------
    Thread or None
        The thread; None if there is nothing to read.
    """
    storages = [getattr(grid, "_storage", None) for grid in grids]
    storages = [storage for storage in storages if isinstance(storage, InFile) and not storage.has_oriented]
    if not storages:
        return None
    thread = threading.Thread(target=_read, args=(storages,), name="sknic-prefetch", daemon=True)
    thread.start()
    return thread


def _read(storages):
    for storage in storages:
        offset, n_bytes = storage.extent
        try:
            with open(storage.path, "rb") as file:
                if hasattr(os, "posix_fadvise"):
                    _advise(file.fileno(), offset, n_bytes)
                else:
                    _read_through(file, offset, n_bytes)
        except OSError:  # whoever needs the grid says what is wrong
            return


def _advise(file, offset, n_bytes):
    for start in range(offset, offset + n_bytes, _ADVICE):
        os.posix_fadvise(file, start, min(_ADVICE, offset + n_bytes - start), os.POSIX_FADV_WILLNEED)


def _read_through(file, offset, n_bytes):
    file.seek(offset)
    while n_bytes > 0 and (block := file.read(min(_BLOCK, n_bytes))):
        n_bytes -= len(block)
