"""What the tests of the command line share: the program, in this process or in one of its own."""

import subprocess
import sys
from types import SimpleNamespace

from typer.testing import CliRunner

from sknic.cli import app
from sknic.cli.failures import failure


def run(*arguments):
    """The program in this process; its result has `exit_code` and `output`."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def program(*arguments, **options):
    """The program in a process of its own; its result has `returncode`, `stdout` and `stderr`."""
    command = [sys.executable, "-m", "sknic.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", **options)


def failing(*arguments):
    """A failure in this process, as `main` tells it: `returncode` and `stderr`, as `program` has them."""
    try:
        app([str(argument) for argument in arguments], prog_name="sknic", standalone_mode=False)
    except Exception as error:
        line, code = failure(error)
        return SimpleNamespace(returncode=code, stderr=line)
    raise AssertionError(f"sknic {' '.join(map(str, arguments))} did not fail")


def said(result):
    """The words of a message, without the frame around them."""
    return " ".join(result.output.replace("│", " ").split())


def names(result, path):
    """Whether a message names a path, wherever its frame breaks the line."""
    return str(path) in "".join(result.output.replace("│", " ").split())
