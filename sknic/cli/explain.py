"""`sknic explain`: where did a model look?"""

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.cohort import load_grids, slide_mpp_option
from sknic.cli.common import find_slides, write_run_record
from sknic.cli.predict import compressor_of, load_model
from sknic.files.names import unique_names


class Method(StrEnum):
    """How a map is made: a function of `sknic.saliency`."""

    grad_cam = "grad_cam"
    input_gradients = "input_gradients"
    integrated_gradients = "integrated_gradients"


def explain(
    slides: Annotated[list[str], typer.Argument(help="Slides, grid files, folders, glob patterns or CSV files.")],
    model: Annotated[Path, typer.Option(help="Folder that `sknic fit` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for one overlay (.png) and one QuPath file (.geojson) per slide.")],
    path: options.PathColumn = "path",
    method: Annotated[
        Method,
        typer.Option(
            help="What speaks for the class, number or risk (grad_cam); what could change it (input_gradients); "
            "what each cell adds to it or takes from it (integrated_gradients, slower)."
        ),
    ] = Method.grad_cam,
    grids: options.Grids = None,
    slide_mpp: options.SlideMpp = None,
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
):
    """Draw saliency over the thumbnails of slides, and write it as cells that QuPath imports.

    Example: `sknic explain slides/case1.svs --model model --out maps`
    """
    from PIL import Image

    from sknic import saliency
    from sknic.exceptions import MissingMppError
    from sknic.plotting import overlay
    from sknic.slides import Slide

    paths = find_slides(slides, path)
    estimator, record = load_model(model)
    mpp = slide_mpp_option(slide_mpp, [s for s in slides if s.lower().endswith(".csv")], path)
    X = load_grids(paths, compressor_of(model, record, grids, mpp, device, n_jobs))
    make_map = getattr(saliency, method)
    out.mkdir(parents=True, exist_ok=True)
    names = unique_names(paths)
    for slide, grid in zip(paths, X):
        heat = make_map(estimator, grid)
        stem = out / names[slide]
        here = grid.slide and Path(grid.slide).exists()
        with Slide(grid.slide, mpp=grid.slide_mpp) if here else nullcontext() as open_slide:
            if open_slide is not None:
                Image.fromarray(overlay(open_slide, heat, grid)).save(f"{stem}.png")
                typer.echo(f"wrote {stem}.png")
            try:
                grid.to_geojson({method: heat}, f"{stem}.geojson", slide=open_slide)
            except MissingMppError as error:
                typer.echo(f"no GeoJSON for {slide}: {error}")
            else:
                typer.echo(f"wrote {stem}.geojson")
    settings = {"model": model.resolve(), "method": method, "slide_mpp": slide_mpp, "fitted": record}
    write_run_record(out, "explain", settings, n_slides=len(paths))
