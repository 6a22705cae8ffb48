"""Progress of long work: a bar on a terminal, short lines now and then in a pipe, a log or a batch job."""

import logging
import sys
import time

from tqdm.auto import tqdm

# A line every so often, s: rarely at first, and for a work of hours every fiftieth of it.
FIRST, SHARE, LAST = 10.0, 0.02, 600.0


class Progress:
    """Track work on many items.

    Parameters
    ----------
    total : int
        Number of items.
    what : str
        What is counted, such as "slides".
    shown : bool, default=True
        Whether anything is shown.
    every : bool, default=False
        Whether to write a line for each item, for few items that take long; otherwise a line is written now and then.
    """

    def __init__(self, total, what, *, shown=True, every=False):
        self.total, self.what, self.every = total, what, every
        self.done, self.note = 0, ""
        self.begun = self.said = time.monotonic()
        self.shown = bool(shown and total)
        self.is_watched = self.shown and _is_watched()
        self.bar = tqdm(total=total, desc=what, smoothing=0.05, leave=True) if self.is_watched else None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()

    @property
    def seconds(self):
        """Time since the start, s."""
        return max(time.monotonic() - self.begun, 1e-9)

    def advance(self, note=""):
        """Count one more item; `note` is additional text, such as a speed."""
        self.done, self.note = self.done + 1, note
        if self.bar is not None:
            self.bar.set_postfix_str(note, refresh=False)
            self.bar.update()
        if self.shown and (self.done == self.total or self.every or self._is_due()):
            self._say()

    def _is_due(self):
        whole = self.seconds / self.done * self.total
        return time.monotonic() - self.said >= max(FIRST, min(SHARE * whole, LAST))

    def _say(self):
        self.said = time.monotonic()
        if self.done == self.total:
            time_ = f" in {duration(self.seconds)}"
        else:
            time_ = f", about {duration(self.seconds / self.done * (self.total - self.done))} left"
        line = f"{self.what}: {self.done} of {self.total}{time_}{'; ' if self.note else ''}{self.note}"
        if self.is_watched:
            logging.getLogger("sknic").info(line)  # for a log beside the bar
        else:
            print(line, file=sys.stderr, flush=True)  # noqa: T201


def followed(items, what, total=None, *, shown=True, every=False):
    """Yield the items; each counts as done when the next is asked for.

    Parameters
    ----------
    items : iterable
    what, shown, every
        As in `Progress`.
    total : int, optional
        Number of items, if `items` has no length.

    Yields
    ------
    object
    """
    with Progress(len(items) if total is None else total, what, shown=shown, every=every) as progress:
        for item in items:
            yield item
            progress.advance()


def say_beside(line, write):
    """Write a line on a terminal that may show bars, which are redrawn below it.

    Parameters
    ----------
    line : str
    write : callable (str)
    """
    with tqdm.external_write_mode(file=sys.stderr):
        write(line)


def duration(seconds):
    """Return a time in a readable unit: "40 s", "12 min", "3 h 05 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"


def _is_watched():
    """Whether output goes to a terminal, or to a notebook, which draws its own bar."""
    isatty = getattr(sys.stderr, "isatty", None)
    return bool(isatty and isatty()) or "ipykernel" in sys.modules
