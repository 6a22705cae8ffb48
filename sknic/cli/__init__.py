"""The command line: one file a command."""

from sknic.cli.app import app, main

__all__ = ["app", "main"]
