"""`sknic view`: look at slides, grids and models in the browser."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.settings import tissue_option


def view(
    slides: Annotated[list[Path], typer.Argument(help="Slides to show, and nothing but these.")],
    grid: Annotated[
        list[Path] | None, typer.Option(help="Grid or feature file of a slide, or a folder of them; may be repeated.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Folder that `sknic fit` wrote, or its model file: shows where it looked.")
    ] = None,
    slide_mpp: Annotated[float | None, typer.Option(help="um/px of level 0, where the metadata lack it.")] = None,
    tissue: options.Tissue = "density",
    classes: options.Classes = None,
    exclude: options.Exclude = None,
    host: Annotated[str, typer.Option(help="Address to listen at; the default is this machine alone.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    device: options.Device = "auto",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the default browser.")] = False,
):
    """Zoom into slides in the browser, with tissue, embeddings and saliency laid over them.

    Example: `sknic view slide.svs --grid grids --model model`
    """
    from sknic.viewer import open_views, serve

    load = None if model is None else partial(_load_model, _model_file(model), device)
    grids = _read_grids(grid or [], {path.stem for path in slides})
    views = open_views(slides, grids, load, slide_mpp=slide_mpp, tissue=tissue_option(tissue, classes, exclude))
    serve(views, host=host, port=port, ready=partial(_announce, open_browser=open_browser))


def _model_file(model):
    path = model / "model.safetensors" if model.is_dir() else model
    if not path.is_file():
        raise typer.BadParameter(f"no model at {path}", param_hint="--model")
    return path


def _load_model(path, device):
    from sknic.estimators import load_estimator

    return load_estimator(path, device=device)


def _read_grids(paths, stems):
    """Grids of the files; of a folder, those of the slides that are shown."""
    from sknic import Grid

    grids = []
    for path in paths:
        if path.is_dir():
            found = [Grid.read(file) for file in sorted(path.glob("*.h5"))]
            grids += [grid for grid in found if Path(grid.slide or grid.path).stem in stems]
        else:
            grids.append(Grid.read(path))
    return grids


def _announce(url, open_browser):
    typer.echo(f"The viewer is at {url}\nOnly who knows this address can open it. Ctrl-C ends it.")
    if open_browser:
        import webbrowser

        webbrowser.open(url)
