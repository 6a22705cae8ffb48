"""The command line: one file per command."""

from sknic.cli.app import app, main

__all__ = ["app", "main"]
