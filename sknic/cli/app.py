"""The `sknic` program: its commands, and how it ends."""

import sys
import warnings
from typing import Annotated

import typer

from sknic import __version__
from sknic.cli.cache import cache
from sknic.cli.compress import compress
from sknic.cli.demo import demo
from sknic.cli.doctor import doctor
from sknic.cli.encoders import encoders
from sknic.cli.evaluate import evaluate
from sknic.cli.explain import explain
from sknic.cli.failures import INTERRUPTED, UsageError, failure
from sknic.cli.fit import fit
from sknic.cli.info import info
from sknic.cli.make_cohort import make_cohort
from sknic.cli.predict import predict
from sknic.cli.report import report
from sknic.cli.running import long_command
from sknic.cli.train_encoder import train_encoder
from sknic.cli.verify import verify
from sknic.cli.view import view

# Those that may take minutes to days.
LONG = (demo, make_cohort, train_encoder, compress, fit, evaluate, predict, explain)

app = typer.Typer(
    name="sknic",
    help="Neural image compression of whole-slide images, as scikit-learn estimators.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
_RULES = (
    "**Rules.** Patients, classes and paths are text: 007 is not 7. Slides of one patient stay together; without "
    "--patient a column whose name or values look like patients, or TCGA barcodes in the file names, are used and "
    "printed, unless --no-patient is given. Events are 1/0, true/false, yes/no, dead/alive and the like, printed as "
    "they were understood; other words, and 1 in a column such as 'alive', need --event-value. A slide has one row. "
    "Grids of different encoders, um/px, patch sizes or strides do not mix; files that do not name their encoder count "
    "as coming from one unknown encoder."
)
# In the order of the work.
for panel, commands in {
    "Try": (demo, make_cohort, doctor),
    "Prepare": (info, encoders, train_encoder, compress, cache),
    "Learn": (fit, evaluate, report),
    "Use": (predict, explain, view, verify),
}.items():
    for command in commands:
        epilog = _RULES if command in (fit, evaluate) else None
        app.command(rich_help_panel=panel, epilog=epilog)(long_command(command) if command in LONG else command)


def _show_version(value: bool):
    if value:
        typer.echo(f"sknic {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
):
    """Options of every command; `main` has already removed `--debug`, which may be anywhere on the line."""


def main():
    """Run the program; a failure ends in one line on stderr and its own exit code, or in a traceback with `--debug`.

    Codes are 0 for success, 1 for a failure, 2 for invalid options, 130 for an interruption.
    """
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    _print_anything()
    try:
        code = app(arguments, prog_name="sknic", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        if "--debug" in sys.argv:
            raise
        line, code = failure(error)
        if arguments or not isinstance(error, UsageError):  # `sknic` alone shows its help
            typer.secho(line, err=True, fg="red")
    else:
        if code == INTERRUPTED:  # typer has caught it
            typer.secho("sknic: interrupted", err=True, fg="red")
    sys.exit(code)


def _print_anything():
    """Names that the terminal cannot show are shown escaped; warnings are one line, without the place in our code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Line by line, because a log is read while it grows.
            stream.reconfigure(errors="backslashreplace", line_buffering=True)
    warnings.showwarning = _show_warning


def _show_warning(message, *_):
    from sknic.progress import say_beside

    say_beside(f"warning: {message}", lambda line: typer.secho(line, err=True, fg="yellow"))
