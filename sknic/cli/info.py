"""`sknic info`: describe slides."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.settings import tissue_option
from sknic.files.names import unique_names


def info(
    slides: Annotated[list[Path], typer.Argument(help="Slides.")],
    slide_mpp: Annotated[float | None, typer.Option(help="um/px of level 0, if the metadata do not have it.")] = None,
    tissue: options.Tissue = "density",
    classes: options.Classes = None,
    exclude: options.Exclude = None,
    thumbnail: Annotated[Path | None, typer.Option(help="Also write a picture with the tissue outlined.")] = None,
):
    """Show size, um/px, levels and tissue of slides."""
    from sknic.exceptions import SknicError

    names = unique_names(slides)
    tally: Counter[str] = Counter()
    for path in slides:
        try:
            target = thumbnail and _beside(thumbnail, path, names)
            found = _describe(path, slide_mpp, tissue_option(tissue, classes, exclude), target)
        except (SknicError, OSError) as error:
            if len(slides) == 1:
                raise
            typer.secho(f"sknic: {error}", err=True, fg="red")
            found = "cannot be read"
        tally[found] += 1
    if len(slides) > 1:
        typer.echo(f"{len(slides)} slides: {', '.join(f'{n} {found}' for found, n in tally.items())}")
    if tally["cannot be read"]:
        raise typer.Exit(1)


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
    return thumbnail.with_name(f"{names[str(path)]}-{thumbnail.name}") if len(names) > 1 else thumbnail


def _write_thumbnail(slide, mask, target):
    import numpy as np
    from PIL import Image
    from skimage.segmentation import find_boundaries
    from skimage.transform import resize

    image, _ = slide.thumbnail(1024)
    outline = find_boundaries(resize(mask.mask.astype(float), image.shape[:2]) > 0.5)
    Image.fromarray(np.where(outline[..., None], (0, 160, 80), image).astype(np.uint8)).save(target)
    typer.echo(f"wrote {target}")
