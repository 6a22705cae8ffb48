"""Counts attempts per slide, so that one that keeps killing its worker is abandoned, whichever backend retries it."""

import hashlib
import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sknic.exceptions import WorkerDiedError

# Engines such as Dask start a task again when its worker died, and the next worker dies as well.
MAX_TRIES = 2


@dataclass(frozen=True)
class Tries:
    """Counts in files that all workers can see; the count of a worker that dies stays.

    Parameters
    ----------
    folder : Path
        The cache's folder.
    run : str
        Name of the run; attempts of earlier runs do not count.
    """

    folder: Path
    run: str

    @contextmanager
    def counted(self, slide_path):
        """Register an attempt at the slide for the duration of the block.

        Raises
        ------
        WorkerDiedError
            If `MAX_TRIES` attempts were started in this run and none has finished.
        """
        file = self._file(slide_path)
        begun = self._begun(file)
        if begun >= MAX_TRIES:
            file.unlink(missing_ok=True)
            raise WorkerDiedError(f"{slide_path}: {begun} worker processes died while they compressed it")
        if not self._write(file, begun + 1):
            yield
            return
        try:
            yield
        finally:
            file.unlink(missing_ok=True)

    def _file(self, slide_path):
        digest = hashlib.blake2b(os.fsencode(slide_path), digest_size=8).hexdigest()
        return self.folder / ".locks" / f"{digest}.tries"

    def _begun(self, file):
        try:
            run, begun = file.read_text().split()
        except (OSError, ValueError):
            return 0
        return int(begun) if run == self.run and begun.isdigit() else 0

    def _write(self, file, begun):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{self.run} {begun}")
        except OSError:  # a read-only cache still serves what it has
            return False
        return True
