"""`sknic explain`: where did a model look?"""

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.common import write_run_record
from sknic.cli.grids import load_grids, reason_of
from sknic.cli.inputs import find_slides, tables_of
from sknic.cli.model_folder import load_model
from sknic.cli.predict import compressor_of
from sknic.cli.settings import slide_mpp_option
from sknic.exceptions import SknicError
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
    target: Annotated[
        str | None, typer.Option("--class", help="Class to explain; the one that is predicted, by default.")
    ] = None,
    grids: options.Grids = None,
    slide_mpp: options.SlideMpp = None,
    on_error: options.OnError = "raise",
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
):
    """Draw saliency over the thumbnails of slides, and write it as cells that QuPath imports.

    Example: `sknic explain slides/case1.svs --model model --out maps`
    """
    from sknic import saliency
    from sknic.compression.outcomes import by_cause

    paths = find_slides(slides, path)
    estimator, record = load_model(model)
    explained = _class_of(estimator, target)
    mpp = slide_mpp_option(slide_mpp, tables_of(slides), path)
    loaded = load_grids(paths, compressor_of(paths, model, record, grids or model / "grids", mpp, device, n_jobs))
    make_map = getattr(saliency, method)
    out.mkdir(parents=True, exist_ok=True)
    names, errors = unique_names(paths), list(loaded.errors)
    for row in loaded.good:
        grid, slide = loaded.grids[row], paths[row]
        try:
            said = _predicted(estimator, grid)
            # The predicted class is handed on, so that the map does not predict it once more.
            label = said["prediction"][0] if explained is None and hasattr(estimator, "classes_") else explained
            heat = make_map(estimator, grid, label)
            _write(out / names[slide], slide, grid, heat, method, _words(said, explained))
        except (SknicError, ValueError) as error:
            errors[row] = reason_of(error)
    settings = {"model": model.resolve(), "method": method, "class": target, "slide_mpp": slide_mpp, "fitted": record}
    write_run_record(out, "explain", settings, n_slides=len(paths))
    for line in by_cause(paths, errors):
        typer.secho(f"no map of {line}", err=True)
    if any(errors) and (on_error == "raise" or all(errors)):
        raise typer.Exit(1)


def _class_of(estimator, text):
    """The label that the user spelt."""
    if text is None:
        return None
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise typer.BadParameter("the model predicts no classes", param_hint="--class")
    found = [label for label in classes if str(label) == text.strip()]
    if not found:
        raise typer.BadParameter(f"{text!r}: expected one of {', '.join(map(str, classes))}", param_hint="--class")
    return found[0]


def _predicted(estimator, grid):
    """Columns of the prediction of one slide."""
    from sknic.targets import kind_named

    kind = kind_named(estimator.target_kind)
    return kind.predicted(getattr(estimator, kind.prediction_method)([grid]), getattr(estimator, "classes_", None))


def _words(said, explained):
    """What the model says of a slide, in a line."""
    shown = said["prediction"][0] if explained is None and "prediction" in said else explained
    words = {name: column[0] for name, column in said.items() if shown is None or name.startswith("prediction")}
    if (probability := f"probability {shown}") in said:
        words[probability] = said[probability][0]
    if explained is not None:
        words["explained"] = explained
    return ", ".join(f"{name} {_short(value)}" for name, value in words.items())


def _short(value):
    import numpy as np

    return f"{value:.3g}" if isinstance(value, (float, np.floating)) else str(value)


def _write(stem, slide, grid, heat, method, words):
    """Picture and tiles of one slide."""
    from sknic.exceptions import MissingMppError
    from sknic.slides import Slide

    here = grid.slide and Path(grid.slide).exists()
    with Slide(grid.slide, mpp=grid.slide_mpp) if here else nullcontext() as open_slide:
        _draw(f"{stem}.png", grid, heat, open_slide, f"{Path(slide).name}: {words}")
        try:
            grid.to_geojson({method: heat}, f"{stem}.geojson", slide=open_slide)
        except MissingMppError as error:
            typer.echo(f"no GeoJSON for {slide}: {error}")
        else:
            typer.echo(f"wrote {stem}.geojson")


def _draw(path, grid, heat, open_slide, title):
    import matplotlib.pyplot as plt

    from sknic.plotting import SaliencyDisplay

    with plt.rc_context({"backend": "agg"}):
        figure, ax = plt.subplots(figsize=(8, 6), layout="constrained")
        SaliencyDisplay.from_grid(grid, heat, slide=open_slide, ax=ax, title=title, max_size=2048)
        figure.savefig(path, dpi=200)
        plt.close(figure)
    typer.echo(f"wrote {path}")
