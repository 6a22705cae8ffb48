"""`--log-file`: copy what a command prints to a file, line by line with the time."""

import logging
import os
import re
import shlex
import sys
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import typer

_COLORS = re.compile(r"\x1b\[[0-9;]*m")


class Log(logging.Handler):
    """A file that lines are appended to.

    Parameters
    ----------
    path : Path
        File; folders that are not there are made.
    """

    def __init__(self, path):
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("a", encoding="utf-8", errors="backslashreplace", buffering=1)

    def note(self, text):
        """Append one line."""
        self.file.write(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {_COLORS.sub('', text).rstrip()}\n")

    def emit(self, record):
        """Append a message that sknic prints next to a progress bar; the bar itself is not logged."""
        self.note(record.getMessage())

    def close(self):
        """Close the file."""
        self.file.close()
        super().close()


class _Copied:
    """A stream whose complete lines are also appended to a log, except lines that a progress bar overwrites."""

    def __init__(self, stream, log):
        self._stream, self._log, self._line = stream, log, ""

    def write(self, text):
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if line.strip() and "\r" not in line.rstrip("\r"):
                self._log.note(line)
        return self._stream.write(text)

    def __getattr__(self, name):
        return getattr(self._stream, name)


@contextmanager
def copied_to(path):
    """Append all that is printed inside the block to a file.

    Parameters
    ----------
    path : Path or None
        None copies nothing.

    Yields
    ------
    callable (str)
        Appends a line that is printed elsewhere.

    Raises
    ------
    typer.BadParameter
        If the file cannot be written.
    """
    if path is None:
        yield lambda line: None
        return
    log, logger = _opened(path), logging.getLogger("sknic")
    streams, level = (sys.stdout, sys.stderr), logger.level
    sys.stdout, sys.stderr = (_Copied(stream, log) for stream in streams)
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    log.note(f"$ {command_as_typed()}")
    try:
        yield log.note
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)
        sys.stdout, sys.stderr = streams
        log.close()


def command_as_typed():
    """The command line of this run, quoted for a shell."""
    program = "python -m sknic.cli" if Path(sys.argv[0]).name == "__main__.py" else "sknic"
    return f"{program} {shlex.join(sys.argv[1:])}"


def _opened(path):
    try:
        return Log(path)
    except OSError as error:
        raise typer.BadParameter(f"--log-file {path} cannot be written: {os.strerror(error.errno)}") from error
