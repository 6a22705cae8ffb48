"""What the tests of the command line share: the program, in this process or in one of its own."""

import subprocess
import sys

from typer.testing import CliRunner

from sknic.cli import app


def run(*arguments):
    """The program in this process; its result has `exit_code` and `output`."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)


def program(*arguments, **options):
    """The program in a process of its own; its result has `returncode`, `stdout` and `stderr`."""
    command = [sys.executable, "-m", "sknic.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, errors="replace", **options)


def said(result):
    """The words of a message, without the frame around them."""
    return " ".join(result.output.replace("│", " ").split())


def names(result, path):
    """Whether a message names a path, wherever its frame breaks the line."""
    return str(path) in "".join(result.output.replace("│", " ").split())
