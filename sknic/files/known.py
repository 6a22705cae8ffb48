"""What this process has learnt about files, for as long as they stay the same."""

import struct

# Files of a memory; past it the older half is forgotten.
MOST = 1 << 16


class Known:
    """One value per file, which is valid as long as size, times and inode of the file stay the same.

    A stamp of 32 bytes per file, because a cohort has thousands of files. Threads may share it.
    """

    def __init__(self):
        self._files = {}

    def get(self, path, status):
        """Return what is known about a file.

        Parameters
        ----------
        path : str
        status : os.stat_result
            State of the file as it is now.

        Returns
        -------
        object
            None if nothing is known, or the file has changed since.
        """
        known, value = self._files.get(path, (None, None))
        return value if known == stamp(status) else None

    def put(self, path, status, value):
        """Keep a value other than None, and return it.

        Parameters
        ----------
        path : str
        status : os.stat_result
            State of the file from which the value was read.
        value : object

        Returns
        -------
        object
            The value.
        """
        if len(self._files) >= MOST:
            for older in list(self._files)[: MOST // 2]:
                self._files.pop(older, None)
        self._files[path] = (stamp(status), value)
        return value

    def clear(self):
        """Forget everything."""
        self._files.clear()


def stamp(status):
    """Size, times and inode of a file from its `os.stat_result`, 32 bytes: another one is another file.

    Parameters
    ----------
    status : os.stat_result

    Returns
    -------
    bytes
    """
    return struct.pack("<qqqQ", status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
