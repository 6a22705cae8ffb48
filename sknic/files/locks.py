"""Locks between processes, if the file system supports them."""

import errno
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from sknic.exceptions import CacheWarning, warn

# How file systems say that they have no locks.
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def file_lock(path, *, wait=True, without="two runs on it may compress the same slide twice"):
    """Hold a lock between processes; on a file system without locks, only warn.

    Parameters
    ----------
    path : str or Path
        File of the lock.
    wait : bool, default=True
        Whether to wait until another process releases it.
    without : str
        What may happen on a file system without locks, for the warning.

    Raises
    ------
    filelock.Timeout
        If another process holds it, and this one is not to wait.
    OSError
        If the folder cannot be written.
    """
    lock = FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _NO_LOCKS:
            raise
        warn(f"the file system of {Path(path).parent} does not support locks: {without}", CacheWarning)
        yield
        return
    try:
        yield
    finally:
        lock.release()
