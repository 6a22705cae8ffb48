"""Options in a file: `--config` reads them, and every run writes its own, so that it can be repeated."""

import inspect
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from sknic import __version__
from sknic.cli.settings import absolute
from sknic.files.nearest import did_you_mean
from sknic.files.whole import whole_file

NAME = "options.toml"
# Begins the line that says which sknic wrote a file; files written by hand have none.
_WRITER = "# Written by sknic"
# The places of results and logs are chosen for each run.
_NOT_KEPT = ("out", "log_file")
# Options of `evaluate` that a file of it may bring to `fit`.
_OF_EVALUATE = ("cv", "clinical", "arrangement", "repeats", "bootstrap", "save_model")
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def read_options(ctx: typer.Context, path: Path | None) -> Path | None:
    """Read options from a TOML file; those on the command line take precedence. A callback of `--config`.

    Parameters
    ----------
    ctx : typer.Context
        Context of the command.
    path : Path or None
        File with one line per option.

    Returns
    -------
    Path or None
        The path.

    Raises
    ------
    typer.BadParameter
        If the file cannot be read, or contains an unexpected key or value.
    """
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
        found = tomllib.loads(text)
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise typer.BadParameter(f"{path} is not a TOML file: {error}") from error
    _say_of_another_version(path, text)
    types = _types_of(ctx.command.callback)
    options = {key.replace("-", "_"): value for key, value in found.items()}
    others = [key for key in options if key in _OF_EVALUATE and key not in types]
    if others:
        typer.echo(f"{path}: {', '.join(others)}: ignored, because {ctx.info_name} has no such option")
    options = {key: value for key, value in options.items() if key not in others}
    for key, value in options.items():
        if key not in types:
            hint = did_you_mean(key, types) or f"; expected some of {', '.join(sorted(types))}"
            raise typer.BadParameter(f"{path}: {key} is not an option of {ctx.info_name}{hint}")
        _check_type(path, key, value, *types[key])
    ctx.default_map = {**(ctx.default_map or {}), **options}
    return path


def _say_of_another_version(path, text):
    """Options that a file does not state have the defaults of the sknic that reads it."""
    writer = re.search(rf"^{_WRITER} (\S+)", text, re.MULTILINE)
    if writer is None and not text.startswith("# sknic "):
        return  # the user's own
    version = "an earlier sknic" if writer is None else f"sknic {writer[1]}"
    if writer is None or writer[1] != __version__:
        typer.echo(
            f"{path} was written by {version}; this is {__version__}, whose defaults replace the options that are not "
            "in the file. Compare the settings in run.json of both runs"
        )


def _types_of(command):
    """Option -> type of its values (bool, int, float or str), and whether it is a list of them."""
    found = {}
    for name, parameter in inspect.signature(command).parameters.items():
        hint = parameter.annotation
        if name in ("ctx", "config"):
            continue
        kinds = [kind for kind in get_args(get_args(hint)[0]) or (get_args(hint)[0],) if kind is not type(None)]
        is_list = get_origin(kinds[0]) is list
        kind = get_args(kinds[0])[0] if is_list else kinds[0]
        found[name] = (kind if kind in _WORDS else str, is_list)
    return found


def _check_type(path, key, value, kind, is_list):
    """Texts stay texts and numbers numbers: nothing is cast without a word."""
    if is_list and not isinstance(value, list):
        raise typer.BadParameter(f"{path}: {key} = {value!r}: expected a list")
    for one in value if is_list else [value]:
        fits = isinstance(one, int | float) if kind is float else isinstance(one, kind)
        if not fits or (isinstance(one, bool) and kind is not bool):
            raise typer.BadParameter(f"{path}: {key} = {one!r}: expected {_WORDS[kind]}")


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        is_eager=True,
        callback=read_options,
        metavar="FILE.toml",
        help=f"Read options from a file, such as the {NAME} of another run; the command line takes precedence.",
    ),
]


def write_options(ctx: typer.Context, folder: Path, **others: Any) -> None:
    """Write the options of a run to `options.toml` in its folder.

    Parameters
    ----------
    ctx : typer.Context
        Context of the command.
    folder : Path
        Folder of the results.
    **others
        Options whose values were decided by the command, such as the folder of the grids.
    """
    values = {**ctx.params, **others}
    encoder = values.get("encoder")
    if encoder:
        values["encoder"] = absolute(encoder)  # a name stays a name
    lines = [f"# sknic {ctx.info_name} --config {NAME} --out FOLDER repeats this run.", f"{_WRITER} {__version__}"]
    for name in _types_of(ctx.command.callback):
        if name not in _NOT_KEPT and values[name] not in (None, [], ()):
            lines.append(f"{name} = {_toml(values[name])}")
    with whole_file(Path(folder) / NAME) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value):
    """A value as TOML: a JSON string is a TOML string but for DEL, and numbers, booleans and lists are alike."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(one) for one in value)}]"
    if isinstance(value, Path):
        value = str(value.absolute())  # a relative path means nothing from another folder
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return re.sub("\x7f", r"\\u007f", text)
