"""Where compressed slides are stored, and when a stored grid is still valid."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from sknic.exceptions import CacheError, GridFileError
from sknic.files.identity import file_identity
from sknic.files.locks import file_lock
from sknic.grids import hdf5, seal
from sknic.grids.grid import Grid
from sknic.grids.header import GridHeader
from sknic.grids.storage import InFile

# Half-written files as `whole_file` names them; hidden .part files of other programs are not ours.
_OURS = re.compile(r"\..+\.(h5|csv|json)\.[a-z0-9_]{8}\.part")


@dataclass(frozen=True)
class CacheEntry:
    """One file of a cache folder.

    Attributes
    ----------
    path : Path
        The file.
    n_bytes : int
        Size of the file in bytes.
    status : str
        "ours"; "orphan", a complete grid whose slide was moved or deleted; "damaged", changed since sknic wrote it;
        "foreign", not a grid file of this version of sknic; "unreadable" if the system refuses to read it.
    header : GridHeader or None
        Header of a complete grid.
    error : str or None
        Reason why the file is not a complete grid.
    """

    path: Path
    n_bytes: int
    status: str
    header: GridHeader | None
    error: str | None


class GridCache:
    """A folder of grid files, named after the slide and a digest of what they were computed from.

    Parameters
    ----------
    folder : str or Path
        Folder of the grids, created when the first is stored. "auto" is the platform's cache folder of the user.

    Notes
    -----
    A grid is returned only if the file is intact (checksum) and its key, which covers slide, encoder and settings, is
    the requested one. Files appear by renaming, so that a killed process leaves nothing that could be read.
    """

    def __init__(self, folder: str | Path) -> None:
        if str(folder) == "auto":
            import platformdirs

            folder = Path(platformdirs.user_cache_dir("sknic")) / "grids"
        self.folder = Path(os.path.abspath(os.path.expanduser(folder)))

    @staticmethod
    def key(
        slide_path: str | Path, fingerprint: str, settings: dict[str, Any], status: os.stat_result | None = None
    ) -> str:
        """Compute a digest of everything that determines a grid.

        Parameters
        ----------
        slide_path : str or Path
            The slide.
        fingerprint : str
            Fingerprint of the encoder.
        settings : dict
            Settings of the compression, as JSON can hold them.
        status : os.stat_result, default=None
            State of the slide's file, if the caller has just asked for it.

        Returns
        -------
        str
            Hexadecimal digest.
        """
        parts = [hdf5.FORMAT, file_identity(slide_path, status), fingerprint, settings]
        return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()

    def path(self, slide_path: str | Path, key: str) -> Path:
        """Name the file of a slide's grid.

        Parameters
        ----------
        slide_path : str or Path
            The slide.
        key : str
            Key returned by `key`.

        Returns
        -------
        Path
            The file, which need not exist.
        """
        return self.folder / f"{_short(Path(slide_path).stem)}-{key[:16]}.h5"

    def get(self, slide_path: str | Path, key: str) -> Grid | None:
        """Return the stored grid.

        Parameters
        ----------
        slide_path : str or Path
            The slide.
        key : str
            Key returned by `key`.

        Returns
        -------
        Grid or None
            None if there is no valid grid.
        """
        path = os.fspath(self.path(slide_path, key))
        try:
            stored = hdf5.read_header(path)
        except GridFileError:
            return None
        return Grid._of(InFile(path, stored)) if stored.key == key else None

    def put(self, slide_path: str | Path, key: str, grid: Grid) -> Grid:
        """Store a grid.

        Parameters
        ----------
        slide_path : str or Path
            The slide.
        key : str
            Key returned by `key`.
        grid : Grid
            The grid.

        Returns
        -------
        Grid
            The same grid, now stored in the file.

        Raises
        ------
        CacheError
            If the folder cannot be written: read-only, full, or not a folder.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return grid.write(self.path(slide_path, key), key=key)
        except OSError as error:
            raise self._cannot_write(error) from error

    def refresh(self, slide_path: str | Path, key: str) -> Grid:
        """Record the current path of a stored grid's slide.

        Parameters
        ----------
        slide_path : str or Path
            The slide.
        key : str
            Key returned by `key`.

        Returns
        -------
        Grid
            The grid of the file.

        Raises
        ------
        CacheError
            If the folder cannot be written.
        """
        path = self.path(slide_path, key)
        stored = InFile(str(path))
        header = replace(stored.header, slide=os.path.abspath(slide_path))
        try:
            hdf5.write_grid_file(path, header, stored.embeddings, stored.cells, stored.oriented, key)
        except OSError as error:
            raise self._cannot_write(error) from error
        return Grid.read(path)

    def _cannot_write(self, error):
        reason = os.strerror(error.errno) if error.errno else str(error)
        return CacheError(f"cannot write to cache_dir {self.folder}: {reason}")

    @contextmanager
    def lock(self, slide_path: str | Path, key: str) -> Iterator[None]:
        """Hold the slide's lock, so that two processes never compute the same grid at once.

        The operating system releases the lock of a process that dies.

        Parameters
        ----------
        slide_path : str or Path
            The slide.
        key : str
            Key returned by `key`.

        Raises
        ------
        CacheError
            If the folder cannot be written.
        """
        locks = self.folder / ".locks"
        try:
            locks.mkdir(parents=True, exist_ok=True)
            lock = file_lock(locks / f"{self.path(slide_path, key).name}.lock")
            lock.__enter__()
        except OSError as error:
            raise self._cannot_write(error) from error
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def entries(self) -> list[CacheEntry]:
        """List the `.h5` files of the folder, and verify the checksums of sknic's own files.

        Returns
        -------
        list of CacheEntry
            What each file is.
        """
        return [_entry(path) for path in sorted(self.folder.glob("*.h5")) if os.path.lexists(path)]

    def remove_leftovers(self) -> int:
        """Delete what killed processes have left: half-written files and unused locks.

        Returns
        -------
        int
            Number of files that were deleted.
        """
        locks = self.folder / ".locks"
        parts = [path for path in self.folder.glob(".*.part") if _OURS.fullmatch(path.name)]
        leftovers = [*parts, *locks.glob("*.tries"), *locks.glob("*.lock")]
        removed = 0
        for path in leftovers:
            if _is_idle(path) if path.suffix == ".lock" else _is_abandoned(path):
                path.unlink(missing_ok=True)
                removed += 1
        return removed


def _entry(path):
    n_bytes = path.lstat().st_size
    try:
        own = seal.is_own(path)
    except GridFileError as error:
        return CacheEntry(path, n_bytes, "unreadable", None, str(error))
    if not own:
        return CacheEntry(path, n_bytes, "foreign", None, f"{path} is not a grid file of sknic")
    try:
        with open(path, "rb") as file:
            meta = seal.verify(file)
    except GridFileError as error:
        return CacheEntry(path, n_bytes, "damaged", None, str(error))
    except OSError as error:
        return CacheEntry(path, n_bytes, "unreadable", None, f"{path} cannot be read: {error}")
    try:
        header = hdf5.parse_header(path, meta, os.path.getsize(path)).header
    except GridFileError as error:
        # The seal is whole: another version wrote it, so it is not damaged.
        return CacheEntry(path, n_bytes, "foreign", None, str(error))
    return CacheEntry(path, n_bytes, "orphan" if _is_gone(header.slide) else "ours", header, None)


def _short(stem):
    # File systems limit the bytes of a name, not its characters.
    # Encoded again, for a locale of ASCII has no name for what these bytes say.
    return os.fsdecode(os.fsencode(stem)[:80].decode(errors="ignore").encode())


def _is_gone(slide):
    # A relative path means something only in the folder where it was given.
    return slide is not None and os.path.isabs(slide) and not os.path.exists(slide)


def _is_abandoned(part_path):
    # Another process may be writing a fresh one right now; no write of a grid takes an hour.
    try:
        return time.time() - part_path.stat().st_mtime > 3600
    except FileNotFoundError:  # it has just become a grid
        return False


def _is_idle(lock_path):
    lock = FileLock(lock_path, blocking=False)
    try:
        lock.acquire()
    except OSError:  # held by another process, or in a folder that cannot be written
        return False
    lock.release()
    return True
