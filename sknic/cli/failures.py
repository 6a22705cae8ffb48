"""A failure ends in one readable line and an exit code."""

import os

import typer

from sknic.exceptions import MissingMppError, ProvenanceError, SknicError

# Options that do not parse; typer has its own click inside, or the one installed, depending on its version.
UsageError = typer.BadParameter.__base__
INTERRUPTED = 130


def failure(error):
    """Describe a failure in one line.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    line : str
    code : int
        1 for a failure, 2 for invalid options, 130 for an interruption.
    """
    line, code = _line_and_code(error)
    return " ".join(line.split()), code


def _line_and_code(error):
    if isinstance(error, UsageError):
        where = error.ctx.command_path if error.ctx else "sknic"
        message = error.format_message().rstrip(".")
        return f"{where}: {message}{'' if message.endswith('?') else '.'} See {where} --help.", 2
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return f"sknic: {str(error) or 'interrupted'}", INTERRUPTED
    if isinstance(error, ProvenanceError):
        return f"sknic: {with_names(str(error))}", 1
    if isinstance(error, MissingMppError):
        return f"sknic: {error}; on the command line with --slide-mpp", 1
    if isinstance(error, SknicError | ValueError | TypeError | OSError):
        return f"sknic: {_words(error)}", 1
    # What nobody foresaw is one line too.
    return f"sknic: {type(error).__name__}: {error} (--debug shows where)", 1


def with_names(text):
    """Put the names of bundled encoders before their digests, which mean nothing to a reader.

    Parameters
    ----------
    text : str
        Message about grids of different encoders.

    Returns
    -------
    str
    """
    from sknic import load_encoder
    from sknic.encoders.catalog import bundled_names

    for name in bundled_names():
        digest = load_encoder(name, device="cpu").fingerprint()[:12]
        text = text.replace(f"encoder {digest}...", f"encoder {name} ({digest}...)").replace(
            f"not {digest}...", f"not {name} ({digest}...)"
        )
    return text


def _words(error):
    """The message of an error; system errors in words, with the file first."""
    if isinstance(error, OSError) and error.errno and error.strerror and error.filename:
        return f"{os.fsdecode(error.filename)}: {os.strerror(error.errno)}"
    return error
