"""What every long command has: `--log-file`, and an interruption that says what is kept and how to go on."""

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
    typer.Option("--log-file", metavar="FILE", help="Append what is printed to this file, too, with the time."),
]


def long_command(command: Callable) -> Callable:
    """Give a command `--log-file`, and let Ctrl-C end it in a sentence.

    Parameters
    ----------
    command : callable
        Command whose signature typer reads.

    Returns
    -------
    callable
        The command with one option more.
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
                abort = typer.Abort(f"{said}. To go on: {command_as_typed()}")
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
    """Worker processes that leave Ctrl-C, which a terminal sends to all, to the program that started them."""
    from joblib import parallel_config

    return parallel_config("loky", initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))


class _Kept(KeyboardInterrupt):
    """An interruption that says what is kept."""


def _is_ours(error):
    return isinstance(error, _Kept)


@contextmanager
def saying_what_is_kept(*kept: Callable[[], str] | str):
    """Let Ctrl-C end in a sentence on what is kept.

    Parameters
    ----------
    *kept : str, or callable () -> str
        What there is to say; a callable is asked when it comes to that, and may have nothing to say.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        said = [part for one in kept if (part := one if isinstance(one, str) else one())]
        raise _Kept(f"interrupted{': ' if said else ''}{'; '.join(said)}") from error


def files_in(folder, pattern, what):
    """What to say of files that are kept, when it comes to that.

    Parameters
    ----------
    folder : Path
    pattern : str
        Glob pattern of their names.
    what : str
        What one of them is, such as "drawn slide".

    Returns
    -------
    callable () -> str
        Empty where there are none.
    """

    def said():
        n_files = sum(1 for _ in Path(folder).glob(pattern))
        return f"{n_files} {what}{'s are' if n_files > 1 else ' is'} kept in {folder}" if n_files else ""

    return said


def grids_in(folder):
    """`files_in` of the grids of a folder."""
    return files_in(folder, "*.h5", "compressed slide")
