"""`sknic info`: describe slides, or grids of slides."""

from collections import Counter
from functools import cache
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.grids import are_grid_files
from sknic.cli.inputs import find_slides
from sknic.cli.settings import fingerprint_of, tissue_option
from sknic.files.names import unique_names

_BAD = "cannot be read"


def info(
    slides: Annotated[
        list[str], typer.Argument(help="Slides or grids (.h5): files, folders, glob patterns or CSV files.")
    ],
    path: options.PathColumn = "path",
    slide_mpp: Annotated[float | None, typer.Option(help="um/px of level 0, if the metadata do not have it.")] = None,
    tissue: options.Tissue = "density",
    classes: options.Classes = None,
    exclude: options.Exclude = None,
    thumbnail: Annotated[Path | None, typer.Option(help="Also write a picture with the tissue outlined.")] = None,
):
    """Show size, um/px, levels and tissue of slides, or what compressed slides contain.

    Example: `sknic info slides/`
    """
    paths = find_slides(slides, path)
    if are_grid_files(paths):
        describe, what = _describe_grid, "grids"
    else:
        names, mask = unique_names(paths), tissue_option(tissue, classes, exclude)
        what = "slides"

        def describe(one):
            return _describe(one, slide_mpp, mask, thumbnail and _beside(thumbnail, one, names))

    tally = _describe_all(paths, describe)
    if len(paths) > 1:
        typer.echo(f"{len(paths)} {what}: {', '.join(f'{n} {found}' for found, n in tally.items())}")
    if tally[_BAD]:
        raise typer.Exit(1)


def _describe_all(paths, describe):
    """Describe one file after the other; how often each thing was found. One bad file costs itself."""
    from sknic.exceptions import SknicError

    tally: Counter[str] = Counter()
    for path in paths:
        try:
            found = describe(path)
        except (SknicError, OSError) as error:
            if len(paths) == 1:
                raise
            typer.secho(f"sknic: {error}", err=True, fg="red")
            found = _BAD
        tally[found] += 1
    return tally


def _describe_grid(path):
    """Print what a grid contains; returns how it was compressed."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sknic import Grid

    grid = Grid.read(path)
    encoder = _encoder_of(grid.fingerprint)
    table = Table(show_header=False, title=Text(str(path)))
    table.add_row("slide", Text(str(grid.slide or "not recorded")))
    table.add_row("cells", f"{grid.n_cells:,} with tissue of {grid.shape[0]} x {grid.shape[1]}")
    table.add_row("embedding", f"{grid.code_size} numbers per cell, {grid.embeddings.dtype}")
    table.add_row("orientations", str(len(grid.orientations)))
    table.add_row("um/px", "not recorded" if grid.mpp is None else f"{grid.mpp:.4g}")
    table.add_row("patch, stride", f"{grid.patch_size} px, {grid.stride} px")
    table.add_row("encoder", encoder)
    if grid.header.damage:
        table.add_row("damage", Text(str(grid.header.damage)))
    Console().print(table)
    scale = "" if grid.mpp is None else f" at {grid.mpp:.3g} um/px"
    return f"of {encoder}{scale}" if grid.n_cells else "without tissue"


@cache
def _encoder_of(fingerprint):
    """Name of a bundled encoder, or what is known instead."""
    from sknic.encoders.catalog import bundled_names

    names = [name for name in bundled_names() if fingerprint_of(name) == fingerprint]
    unnamed = f"the encoder with fingerprint {fingerprint[:12]}" if fingerprint else "an unknown encoder"
    return names[0] if names else unnamed


def _describe(path, mpp, tissue, thumbnail):
    """Print a description of a slide; returns "with tissue", "no tissue" or "no mask"."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from sknic.slides import Slide, tissue_mask

    with Slide(path, mpp=mpp) as slide:
        mask = tissue_mask(slide, tissue)
        width, height = slide.dimensions
        table = Table(show_header=False, title=Text(str(path)))
        table.add_row("size", f"{width:,} x {height:,} px, {width * height / 1e9:.3f} gigapixels")
        table.add_row("um/px", f"{slide.mpp:.4g} ({slide.mpp_source})")
        table.add_row("objective", f"{slide.objective_power:g}x" if slide.objective_power else "not stated")
        table.add_row("levels, um/px", ", ".join(f"{level:.4g}" for level in slide.level_mpps))
        table.add_row("format", slide.properties.get("openslide.vendor", "unknown"))
        found = "no mask" if mask is None else "with tissue" if mask.mask.any() else "no tissue"
        table.add_row("tissue", f"{mask.mask.mean():.1%} of the slide" if found == "with tissue" else found)
        Console().print(table)
        if thumbnail is not None and mask:
            _write_thumbnail(slide, mask, thumbnail)
    return found


def _beside(thumbnail, path, names):
    """File for a slide's picture: the given one, or with several slides one per slide in the same folder."""
    return thumbnail.with_name(f"{names[path]}-{thumbnail.name}") if len(names) > 1 else thumbnail


def _write_thumbnail(slide, mask, target):
    import numpy as np
    from PIL import Image
    from skimage.segmentation import find_boundaries
    from skimage.transform import resize

    image, _ = slide.thumbnail(1024)
    outline = find_boundaries(resize(mask.mask.astype(float), image.shape[:2]) > 0.5)
    Image.fromarray(np.where(outline[..., None], (0, 160, 80), image).astype(np.uint8)).save(target)
    typer.echo(f"wrote {target}")
