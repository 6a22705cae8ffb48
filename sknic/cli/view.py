"""`sknic view`: look at slides, grids and models in the browser."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.grids import are_grid_files, load_grids
from sknic.cli.inputs import Rows, find_rows, tables_of
from sknic.cli.model_folder import compression_of, grids_of, load_model
from sknic.cli.predict import compressor_of
from sknic.cli.settings import slide_mpp_option, tissue_option


def view(
    slides: Annotated[
        list[str],
        typer.Argument(
            help="Slides, folders, glob patterns or CSV files; or grids, to show the slides they belong to."
        ),
    ],
    path: options.PathColumn = "path",
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of the CSV to show as the truth; may be repeated. The model's target column by default."
        ),
    ] = None,
    grids: Annotated[
        list[Path] | None,
        typer.Option(
            help="Grid or feature file of a slide, or a folder of them; may be repeated. Not needed with a model "
            "folder, whose grids are used."
        ),
    ] = None,
    model: options.ModelOrNone = None,
    slide_mpp: options.SlideMpp = None,
    tissue: Annotated[
        str | None,
        typer.Option(
            help="Mask to show: density, otsu, none, or a mask pattern such as 'masks/{stem}.png'; that of the model "
            "by default, or else density."
        ),
    ] = None,
    classes: options.Classes = None,
    exclude: options.Exclude = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; by default only this machine can connect.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 chooses a free one.")] = 0,
    device: options.Device = "auto",
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in the default browser.")] = False,
):
    """Show slides in the browser, overlaid with tissue, embeddings and saliency.

    Example: `sknic view cohort.csv --target score --model model`
    """
    from sknic.viewer import open_views, serve

    rows = find_rows(slides, path)
    shown, mpp = list(dict.fromkeys(rows.paths)), slide_mpp_option(slide_mpp, tables_of(slides), path)
    load, record = (None, {}) if model is None else _opened(model, device)
    if are_grid_files(shown):
        on_slides = _grids_with_slides(shown)
        rows = Rows([on_slides[file].slide for file in rows.paths], rows.columns)
        shown, found = list(dict.fromkeys(rows.paths)), list(on_slides.values())
    elif grids or not record:
        found = _read_grids(grids or [], shown)
    else:
        found = _grids_of_model(shown, model, record, mpp, device)
    is_stated = tissue or classes or exclude
    mask = tissue_option(tissue or "density", classes, exclude) if is_stated else _mask_of(model, record)
    views = open_views(
        shown,
        found,
        load,
        truth=_truth(rows, shown, target or _known_columns(record, rows)),
        slide_mpp=mpp,
        tissue=mask,
        on_error="raise" if len(shown) == 1 else "skip",
    )
    serve(views, host=host, port=port, ready=partial(_announce, open_browser=open_browser))


def _opened(model, device):
    """A function that returns the model of a folder or file, and the settings that `sknic fit` recorded."""
    from sknic.estimators import load_estimator

    if model.is_dir():
        estimator, record = load_model(model)
        return lambda: estimator, record
    if not model.is_file():
        raise typer.BadParameter(f"no model at {model}", param_hint="--model")
    return partial(load_estimator, model, device=device), {}


def _mask_of(model, record):
    """The tissue mask by which the slides of a model were compressed; "density" without such a model."""
    compression = compression_of(model, record) if record else None
    return "density" if compression is None else compression.tissue


def _known_columns(record, rows):
    """Target columns that the model was fitted on, if the tables have all of them."""
    columns = [name for name in (record.get("columns") or {}).values() if name]
    return columns if set(columns) <= set(rows.columns) else []


def _truth(rows, paths, columns):
    """Values of these columns for each slide; for a slide in two rows, those of the last."""
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        known = ", ".join(rows.columns) or "none, because no table was given"
        raise typer.BadParameter(f"{missing[0]!r} is not a column; the columns are: {known}", param_hint="--target")
    from sknic.datasets.table import MISSING

    said = {
        path: {name: _short(text) for name in columns if (text := rows.columns[name][row]) not in (None, *MISSING)}
        for row, path in enumerate(rows.paths)
    }
    return [said.get(path, {}) for path in paths]


def _short(text):
    """Numbers with four digits; other text unchanged."""
    try:
        return f"{float(text):.4g}" if "." in str(text) else str(text)
    except ValueError:
        return str(text)


def _grids_with_slides(files):
    """Grid of each file; a grid whose slide is missing cannot be shown."""
    from sknic import Grid

    grids = {file: Grid.read(file) for file in files}
    lost = [file for file, grid in grids.items() if not (grid.slide and Path(grid.slide).exists())]
    if lost:
        raise typer.BadParameter(
            f"the slide of {lost[0]} was moved or deleted; pass the slide, and the grid as --grids"
        )
    return grids


def _grids_of_model(paths, model, record, slide_mpp, device):
    """Grids of the slides, compressed with the settings of the model; slides without a grid are shown without."""
    from sknic.compression.outcomes import by_cause

    loaded = load_grids(paths, compressor_of(paths, model, record, grids_of(model), slide_mpp, device, 1))
    for line in by_cause(paths, loaded.errors):
        typer.secho(f"warning: no grid of {line}", err=True)
    return [loaded.grids[row] for row in loaded.good]


def _read_grids(files, paths):
    """Grids from files, and from folders the grids of the shown slides, matched by path or else by name."""
    from sknic import Grid

    grids = []
    for file in files:
        if file.is_dir():
            found = [Grid.read(one) for one in sorted(file.glob("*.h5"))]
            at_path = {os.path.realpath(path) for path in paths}
            here = [grid for grid in found if grid.slide and os.path.realpath(grid.slide) in at_path]
            names = {Path(path).stem for path in paths} - {Path(grid.slide).stem for grid in here}
            grids += here + [grid for grid in found if Path(grid.slide or grid.path).stem in names]
        else:
            grids.append(Grid.read(file))
    return grids


def _announce(url, open_browser):
    typer.echo(f"The viewer is at {url}\nOnly people who know this address can open it. Ctrl-C stops it.")
    if open_browser:
        import webbrowser

        webbrowser.open(url)
