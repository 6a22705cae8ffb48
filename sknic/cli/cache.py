"""`sknic cache`: list, verify and clean a folder of grids."""

from pathlib import Path
from typing import Annotated

import typer


def cache(
    folder: Annotated[Path, typer.Argument(help="Folder given as cache_dir or --out; 'auto' for the platform's.")],
    prune: Annotated[
        bool, typer.Option("--prune", help="List damaged grids and leftovers to delete; --yes deletes them.")
    ] = False,
    orphans: Annotated[
        bool, typer.Option("--orphans", help="With --prune: also grids whose slide was moved or deleted.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --prune: delete what it lists.")] = False,
):
    """List a folder of compressed slides and verify every checksum; optionally prune it."""
    from sknic.grids import GridCache

    if (yes or orphans) and not prune:
        raise typer.BadParameter("--yes and --orphans only work together with --prune; give --prune as well")
    grids = GridCache(folder)
    if not grids.folder.is_dir():
        raise typer.BadParameter(f"{grids.folder} is not a folder")
    entries = grids.entries()
    for entry in entries:
        if entry.header and entry.status == "orphan":
            typer.secho(f"{entry.path.name}: its slide {entry.header.slide} does not exist", err=True)
        elif entry.error:
            typer.secho(f"{entry.path.name}: {entry.status}: {entry.error}", err=True)
    damaged = [entry for entry in entries if entry.status == "damaged"]
    _show(entries)
    if prune:
        gone = [entry for entry in entries if orphans and entry.status == "orphan"]
        for entry in [*damaged, *gone]:
            typer.echo(f"{'delete' if yes else 'would delete (--yes)'} {entry.path.name}")
            if yes:
                entry.path.unlink(missing_ok=True)
        if yes:
            typer.echo(f"{grids.remove_leftovers()} leftovers removed")
    elif damaged:
        raise typer.Exit(1)


def _show(entries):
    from collections import Counter

    from rich.console import Console
    from rich.table import Table

    table = Table("encoder", "um/px", "patch", "stride", "grids", "MB")
    counts, sizes = Counter(), Counter()
    for entry in entries:
        if entry.header:
            header = entry.header
            key = ((header.fingerprint or "")[:12], header.mpp, header.patch_size, header.stride)
            counts[key] += 1
            sizes[key] += entry.n_bytes
    for key in sorted(counts, key=str):
        table.add_row(*map(str, key), str(counts[key]), f"{sizes[key] / 1e6:.1f}")
    Console().print(table)
    n_damaged = sum(entry.status == "damaged" for entry in entries)
    typer.echo(f"{len(entries)} files, {sum(e.n_bytes for e in entries) / 1e6:.1f} MB, {n_damaged} damaged")
