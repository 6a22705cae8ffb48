"""Workers that end with the process that started them; joblib's own would wait forever if it was killed."""

import os
import threading
import time

# s between two looks.
INTERVAL = 2.0

_watched: set[int] = set()


def leave_with(parent):
    """End this process soon after its parent has ended; does nothing if `parent` is not its parent.

    Parameters
    ----------
    parent : int
        Process that started the run.
    """
    if os.getppid() != parent or parent in _watched:
        return
    _watched.add(parent)
    threading.Thread(target=_wait, args=(parent,), name="sknic-orphan-watch", daemon=True).start()


def _wait(parent):
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os._exit(1)
