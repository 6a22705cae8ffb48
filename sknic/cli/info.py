"""`sknic info`: what a slide is."""

from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.cohort import tissue_option
from sknic.files.names import unique_names


def info(
    slides: Annotated[list[Path], typer.Argument(help="Slides.")],
    mpp: Annotated[float | None, typer.Option(help="um/px of level 0, where the metadata lack it.")] = None,
    tissue: options.Tissue = "density",
    classes: options.Classes = None,
    exclude: options.Exclude = None,
    thumbnail: Annotated[Path | None, typer.Option(help="Also write a picture with the tissue outlined.")] = None,
):
    """Show size, um/px, levels and tissue of slides."""
    from rich.console import Console
    from rich.table import Table

    from sknic.slides import Slide, tissue_mask

    names = unique_names(slides)
    for path in slides:
        with Slide(path, mpp=mpp) as slide:
            mask = tissue_mask(slide, tissue_option(tissue, classes, exclude))
            width, height = slide.dimensions
            table = Table(show_header=False, title=str(path))
            table.add_row("size", f"{width:,} x {height:,} px, {width * height / 1e9:.3f} gigapixels")
            table.add_row("um/px", f"{slide.mpp:.4g} ({slide.mpp_source})")
            table.add_row("objective", f"{slide.objective_power:g}x" if slide.objective_power else "not stated")
            table.add_row("levels, um/px", ", ".join(f"{level:.4g}" for level in slide.level_mpps))
            table.add_row("format", slide.properties.get("openslide.vendor", "unknown"))
            table.add_row("tissue", f"{mask.mask.mean():.1%} of the slide" if mask else "no mask")
            Console().print(table)
            if thumbnail is not None and mask:
                several = len(slides) > 1
                target = thumbnail.with_name(f"{names[str(path)]}-{thumbnail.name}") if several else thumbnail
                _write_thumbnail(slide, mask, target)


def _write_thumbnail(slide, mask, target):
    import numpy as np
    from PIL import Image
    from skimage.segmentation import find_boundaries
    from skimage.transform import resize

    image, _ = slide.thumbnail(1024)
    outline = find_boundaries(resize(mask.mask.astype(float), image.shape[:2]) > 0.5)
    Image.fromarray(np.where(outline[..., None], (0, 160, 80), image).astype(np.uint8)).save(target)
    typer.echo(f"wrote {target}")
