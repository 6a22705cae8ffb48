"""What all long commands share: `--log-file`, and a message on Ctrl-C that tells what is kept and how to continue."""

import functools
import inspect
import signal
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from sknic.cli.failures import failure
from sknic.cli.log import command_as_typed, copied_to

LogFile = Annotated[
    Path | None,
    typer.Option("--log-file", metavar="FILE", help="Also append everything that is printed to this file, with times."),
]


def long_command(command: Callable) -> Callable:
    """Add `--log-file` to a command, and let Ctrl-C end it with a message.

    Parameters
    ----------
    command : callable
        Command whose signature typer reads.

    Returns
    -------
    callable
        The command with the additional option.
    """

    @functools.wraps(command)
    def run(*, log_file: Path | None = None, **given: Any) -> Any:
        with copied_to(log_file) as note, _deaf_workers():
            try:
                return command(**given)
            except KeyboardInterrupt as error:
                if sys.stderr.isatty():
                    typer.echo(err=True)  # the terminal has written ^C
                said = str(error) if _is_ours(error) else "interrupted"
                # typer would end the program without a word.
                abort = typer.Abort(f"{said}. To continue: {command_as_typed()}")
                note(failure(abort)[0])
                raise abort from error
            except Exception as error:
                if not isinstance(error, typer.Exit):
                    note(failure(error)[0])
                raise

    signature = inspect.signature(command)
    option = inspect.Parameter("log_file", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=LogFile)
    parameters = [*signature.parameters.values(), option]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _deaf_workers():
    """Worker processes that ignore Ctrl-C, which a terminal sends to all, so that only the main program handles it."""
    from joblib import parallel_config

    return parallel_config("loky", initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))


class _Kept(KeyboardInterrupt):
    """An interruption whose message tells what is kept."""


def _is_ours(error):
    return isinstance(error, _Kept)


@contextmanager
def saying_what_is_kept(*kept: Callable[[], str] | str):
    """Let Ctrl-C end with a message that tells what is kept.

    Parameters
    ----------
    *kept : str, or callable () -> str
        Parts of the message. A callable is called at the interruption, and may return an empty text.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        said = [part for one in kept if (part := one if isinstance(one, str) else one())]
        raise _Kept(f"interrupted{': ' if said else ''}{'; '.join(said)}") from error


def files_in(folder, pattern, what):
    """Message on the files that are kept at an interruption.

    Parameters
    ----------
    folder : Path
    pattern : str
        Glob pattern of their names.
    what : str
        What one of them is called, such as "compressed slide".

    Returns
    -------
    callable () -> str
        Returns an empty text if there are none.
    """

    def said():
        n_files = sum(1 for _ in Path(folder).glob(pattern))
        return f"{n_files} {what}{'s are' if n_files > 1 else ' is'} kept in {folder}" if n_files else ""

    return said


def grids_in(folder):
    """`files_in` for the grids in a folder."""
    return files_in(folder, "*.h5", "compressed slide")
