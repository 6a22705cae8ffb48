"""The `sknic` program: its commands, and the one readable line that every failure ends in."""

import sys
from typing import Annotated

import typer

from sknic import __version__
from sknic.cli.cache import cache
from sknic.cli.compress import compress
from sknic.cli.demo import demo
from sknic.cli.evaluate import evaluate
from sknic.cli.explain import explain
from sknic.cli.fit import fit
from sknic.cli.info import info
from sknic.cli.predict import predict
from sknic.cli.report import report
from sknic.cli.train_encoder import train_encoder
from sknic.cli.view import view
from sknic.exceptions import SknicError

app = typer.Typer(
    name="sknic",
    help="Neural image compression of whole-slide images, as scikit-learn estimators.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(info)
app.command()(train_encoder)
app.command()(compress)
app.command()(cache)
app.command()(fit)
app.command()(evaluate)
app.command()(predict)
app.command()(explain)
app.command()(report)
app.command()(view)


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
    """Options before the command."""


def main():
    """Run the program; a failure is one line on stderr and exit code 1, or a traceback with `--debug`."""
    try:
        app()
    except (SknicError, ValueError, TypeError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        typer.secho(f"sknic: {error}", err=True, fg="red")
        sys.exit(1)
