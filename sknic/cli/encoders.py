"""`sknic encoders`: list the known encoders, or describe encoder files."""

from typing import Annotated

import typer


def encoders(
    files: Annotated[
        list[str] | None, typer.Argument(help="Encoder files, or names of bundled encoders, to describe.")
    ] = None,
):
    """List the bundled and the published encoders, or describe encoder files.

    Example: `sknic encoders` or `sknic encoders encoder_multitask-4.h5`
    """
    if files:
        for file in files:
            _describe(file)
        return
    _list()


def _list():
    import pandas as pd
    from rich.console import Console
    from rich.table import Column, Table

    from sknic.encoders.catalog import PUBLISHED_AT, list_encoders

    table = Table(Column("name", no_wrap=True), "where", "C", "license", Column("learnt", overflow="fold"))
    for name, row in list_encoders().iterrows():
        code_size = "" if pd.isna(row["code_size"]) else str(row["code_size"])
        table.add_row(name, "bundled" if row["bundled"] else "published", code_size, row["license"], row["about"])
    Console().print(table)
    typer.echo("The name of a bundled encoder can be used instead of an encoder file, also in Python.")
    typer.echo(f"The published encoders can be downloaded from {PUBLISHED_AT}; sknic reads these files as they are.")


def _describe(file):
    from sknic import load_encoder
    from sknic.encoders.catalog import encoder_path, identify

    path = encoder_path(file)
    name = identify(path)
    encoder = load_encoder(path, device="cpu")
    typer.echo(f"{file}: {f'identical to {name}' if name else 'not one of the known files'}")
    typer.echo(f"  {type(encoder).__name__}, C = {encoder.code_size}")
    typer.echo(f"  patches of {encoder.patch_size} px at {encoder.mpp} um/px")
    typer.echo(f"  fingerprint {encoder.fingerprint()}")
    for entry, value in getattr(encoder, "card_", {}).items():
        typer.echo(f"  {entry}: {_words(value)}")


def _words(value):
    """An entry of a card, as a line or as indented lines."""
    if isinstance(value, dict):
        return "".join(f"\n    {name}: {_in_line(item)}" for name, item in value.items())
    return "".join(f"\n    {item}" for item in value) if isinstance(value, list) else str(value)


def _in_line(item):
    return ", ".join(f"{name} {part}" for name, part in item.items()) if isinstance(item, dict) else str(item)
