"""Files that a reader sees whole or not at all."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path):
    """Give a temporary path next to `path`, which becomes `path` if the block succeeds and is removed otherwise.

    Missing folders are created.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    Path
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:  # named by the file that is wanted, not by the temporary one
        raise OSError(error.errno, error.strerror, str(path)) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def umask():
    """Permission bits that new files of this process lack; `os.umask` returns them only while it sets others."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
