"""`sknic compress`: compress slides to a folder of grids."""

from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.common import need_folder_of, need_writable, write_run_record
from sknic.cli.inputs import find_slides, tables_of
from sknic.cli.running import grids_in, saying_what_is_kept
from sknic.cli.settings import (
    MASKS,
    NUMBERS,
    Compression,
    absolute,
    absolute_masks,
    kept_settings,
    recorded_settings,
    say,
    slide_mpp_option,
    tissue_option,
)
from sknic.cli.stated_mpp import mpp_by_slide


def compress(
    slides: Annotated[list[str], typer.Argument(help="Slides, folders, glob patterns or CSV files.")],
    out: Annotated[Path, typer.Option(help="Folder for the grids and manifest.csv.")],
    encoder: Annotated[
        str,
        typer.Option(
            help="Name of a bundled encoder, encoder file (.safetensors, or a published Keras .h5), torchscript:FILE "
            "or timm:NAME:WEIGHTS."
        ),
    ] = options.DEFAULT_ENCODER,
    path: options.PathColumn = "path",
    mpp: Annotated[
        list[float] | None,
        typer.Option(
            help="um/px of the patches; the encoder's by default. Given twice, the finest first, grids also get the "
            "channels of the coarser one."
        ),
    ] = None,
    patch_size: Annotated[
        int | None, typer.Option(help="Side of a patch in px at --mpp; the encoder's by default.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="Distance between patches in px at --mpp; --patch-size by default.")
    ] = None,
    tissue: options.Tissue = "density",
    classes: options.Classes = None,
    exclude: options.Exclude = None,
    min_tissue: Annotated[float, typer.Option(help="Share of a patch that must be tissue.")] = 0.6,
    slide_mpp: Annotated[
        str | None, typer.Option(help="um/px of the slides: a number, or the name of a column of the CSV.")
    ] = None,
    orientations: Annotated[int, typer.Option(help="1, or 8 to encode rotated and mirrored patches too.")] = 1,
    precision: Annotated[
        str,
        typer.Option(help="float32, bfloat16, float16, or fast: bfloat16 if the machine supports it natively."),
    ] = "float32",
    on_error: Annotated[str, typer.Option(help="raise or skip; in both cases every slide is tried.")] = "raise",
    n_jobs: Annotated[
        str, typer.Option("--n-jobs", help="Number of slides to process at once; auto chooses by the work ahead.")
    ] = "1",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")] = "auto",
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only part I of N, for one job of an array; every slide is in one part."),
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge the manifests of all parts; compresses nothing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the slides that would be compressed and those that cannot be.")
    ] = False,
):
    """Compress slides to grids; if interrupted, resume where it stopped.

    Example: `sknic compress slides/ --out grids`
    """
    from sknic.compression import SlideCompressor

    paths = find_slides(slides, path)
    if merge:
        if shard or dry_run:
            raise typer.BadParameter("--merge cannot be combined with --shard or --dry-run")
        _close(_merged(out, paths), out, on_error)
        return
    part, tissue = _shard(shard), absolute_masks(tissue, paths)
    compressor = SlideCompressor(
        encoder,
        mpp=mpp[0] if mpp and len(mpp) == 1 else mpp or None,
        patch_size=patch_size,
        stride=stride,
        tissue=tissue_option(tissue, classes, exclude),
        min_tissue=min_tissue,
        slide_mpp=slide_mpp_option(slide_mpp, tables_of(slides), path),
        orientations=orientations,
        precision=precision,
        cache_dir=out,
        on_error=on_error,
        device=device,
        n_jobs=_jobs(n_jobs),
        verbose=1,
    )
    if dry_run:
        _show_plan(compressor.plan(part.slides(paths)))
        return
    need_writable(out, is_folder=True)
    need_folder_of("compress", out)
    compressor.fit(paths)
    # As `fit` and `evaluate` read them again.
    masks = {"tissue": tissue, "classes": classes, "exclude": exclude}
    earlier = (recorded_settings(out) or {}).get("slide_mpp")
    stated = mpp_by_slide(compressor.slide_mpp, paths, earlier)
    settings = {**compressor.get_params(deep=False), **masks, "encoder": absolute(encoder), "slide_mpp": stated}
    _say_what_changes(settings, out)
    write_run_record(out, "compress", settings, n_slides=len(paths))
    with saying_what_is_kept(grids_in(out)):
        outcomes = compressor.compress(paths, shard=shard)
    _close(outcomes, out, on_error)


def _say_what_changes(settings, out):
    """Say which settings differ from those of the grids that are there: `fit` and `evaluate` read the newest ones."""
    given = {name: settings[name] for name in (*NUMBERS, *MASKS) if settings[name] is not None}
    say(Compression(settings["encoder"], given), kept_settings(out), out)


def _shard(text):
    from sknic.compression.shards import Shard

    try:
        return Shard.parse("1/1" if text is None else text)
    except ValueError as error:
        raise typer.BadParameter(f"--{error}") from error


def _jobs(text):
    try:
        return text if text == "auto" else int(text)
    except ValueError as error:
        raise typer.BadParameter(f"--n-jobs {text}: expected a whole number or auto") from error


def _merged(out, paths):
    from sknic.compression.shards import merge

    if not out.is_dir():
        raise typer.BadParameter(f"--out {out} is not a folder; expected the folder of the shards")
    return merge(out, paths)


def _close(outcomes, out, on_error):
    """Print the outcomes of the slides, and fail if none can be used."""
    from sknic.compression.outcomes import counts, speak_up

    typer.echo(f"{counts(outcomes)}; {sum(outcome.n_cells for outcome in outcomes):,} tissue cells, in {out}")
    speak_up(outcomes, on_error)
    if not any(outcome.is_usable for outcome in outcomes):
        raise typer.Exit(1)


def _show_plan(plan):
    """Print the slides that would be compressed or cannot be; of those in the cache only the number."""
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    columns = (Column(name, overflow="fold") for name in ("slide", "status", "um/px", "cells", "reason"))
    table = Table(*columns)
    for row in plan[plan.status != "cached"].itertuples():
        mpp = "" if row.mpp is None or row.mpp != row.mpp else f"{row.mpp:.4g}"
        # Text, for square brackets in a name are not markup.
        table.add_row(Text(row.slide), row.status, mpp, f"{row.n_cells:,}", Text(row.reason))
    if table.rows:
        Console().print(table)
    n_bad = (plan.status == "cannot").sum()
    typer.echo(f"{len(plan)} slides: {plan.status.value_counts().to_dict()}, {plan.n_cells.sum():,} cells")
    if n_bad:
        raise typer.Exit(1)
