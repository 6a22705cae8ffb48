"""`sknic explain`: show where a model looks."""

import os
import warnings
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.common import need_folder_of, need_writable, write_run_record
from sknic.cli.grids import load_grids, reason_of
from sknic.cli.inputs import find_slides, tables_of
from sknic.cli.maps import clear_maps, names_of_maps, need_own_maps, write_gallery, write_map
from sknic.cli.model_folder import grids_of, load_model, networks_digest
from sknic.cli.predict import compressor_of
from sknic.cli.running import files_in, grids_in, saying_what_is_kept
from sknic.cli.settings import slide_mpp_option
from sknic.exceptions import SknicError
from sknic.progress import followed


class Method(StrEnum):
    """How a map is made: a function of `sknic.saliency`."""

    grad_cam = "grad_cam"
    input_gradients = "input_gradients"
    integrated_gradients = "integrated_gradients"


def explain(
    slides: Annotated[list[str], typer.Argument(help="Slides, grid files, folders, glob patterns or CSV files.")],
    model: options.Model,
    out: Annotated[Path, typer.Option(help="Folder for an overlay (.png) and QuPath files (.geojson) per slide.")],
    path: options.PathColumn = "path",
    method: Annotated[
        Method,
        typer.Option(
            help="grad_cam shows what speaks for the class, number or risk; input_gradients what could change it; "
            "integrated_gradients (slower) how much each cell adds to it or subtracts from it."
        ),
    ] = Method.grad_cam,
    target: Annotated[
        str | None, typer.Option("--class", help="Class to explain; the predicted class by default.")
    ] = None,
    top: Annotated[
        int, typer.Option(min=0, help="Number of most salient cells to write to NAME.top.geojson as annotations.")
    ] = 20,
    gallery: Annotated[
        int,
        typer.Option(
            min=0, help="Number of most and of least convincing cells of all slides to show as patches; 0 for none."
        ),
    ] = 0,
    per_slide: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of cells per slide in the gallery.")
    ] = None,
    ome_tiff: Annotated[
        bool, typer.Option("--ome-tiff", help="Also write each overlay at full resolution, as pyramidal OME-TIFF.")
    ] = False,
    grids: options.GridsOfModel = None,
    slide_mpp: options.SlideMpp = None,
    on_error: options.OnError = "raise",
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
):
    """Draw saliency over thumbnails of the slides, and write the cells as files for QuPath.

    Example: `sknic explain slides/ --model model --out maps --gallery 12`
    """
    from sknic import saliency
    from sknic.compression.outcomes import by_cause
    from sknic.estimators.familiarity import warn_of_unfamiliar
    from sknic.targets import kind_of

    need_writable(out, is_folder=True)
    need_folder_of("explain", out)
    paths = find_slides(slides, path)
    estimator, record = load_model(model)
    explained, picks_one = _class_of(estimator, target), kind_of(estimator, None).picks_one
    mpp = slide_mpp_option(slide_mpp, tables_of(slides), path)
    folder = grids or grids_of(model)
    compressor = compressor_of(paths, model, record, folder, mpp, device, n_jobs)
    make_map, names = getattr(saliency, method), names_of_maps(out, paths)
    need_own_maps(out, names)
    with saying_what_is_kept(grids_in(folder), files_in(out, "*.png", "map")):
        loaded = load_grids(paths, compressor)
        out.mkdir(parents=True, exist_ok=True)
        settings = {"model": model.resolve(), "networks": networks_digest(model), "method": method, "class": target}
        kept = clear_maps(out, names, settings)
        # At once, so that an interrupted run knows its own maps when it goes on, and once more when all are drawn.
        about = {**settings, "slide_mpp": slide_mpp, "fitted": record}
        slide_of = {name: os.path.abspath(path) for path, name in names.items()}
        write_run_record(out, "explain", about, n_slides=len(paths), maps=kept | slide_of)
        errors, unfamiliar = list(loaded.errors), []
        for row in followed(loaded.good, "maps"):
            grid, slide = loaded.grids[row], paths[row]
            try:
                said, is_far = _predicted(estimator, grid)
                unfamiliar += [Path(slide).name] * is_far
                # The predicted class is handed on, so that the map does not predict it once more.
                label = said["prediction"][0] if explained is None and picks_one else explained
                heat, title = make_map(estimator, grid, label), f"{Path(slide).name}: {_words(said, explained)}"
                write_map(out / names[slide], grid, heat, method, title, top=top, ome_tiff=ome_tiff)
            except (SknicError, ValueError) as error:
                errors[row] = reason_of(error)
        n_maps = len(errors) - sum(map(bool, errors))
        typer.echo(f"wrote the {'map of one slide' if n_maps == 1 else f'maps of {n_maps} slides'} to {out}")
        maps = kept | {names[path]: os.path.abspath(path) for path, error in zip(paths, errors) if not error}
        write_run_record(out, "explain", about, n_slides=len(paths), maps=maps)
        if gallery:
            explainable = [loaded.grids[row] for row, error in enumerate(errors) if not error]
            classes = [explained] if explained is not None else getattr(estimator, "classes_", [None])
            write_gallery(out, explainable, partial(make_map, estimator), classes, gallery, per_slide)
    warn_of_unfamiliar(unfamiliar)
    for line in by_cause(paths, errors):
        typer.secho(f"no map of {line}", err=True)
    if any(errors) and (on_error == "raise" or all(errors)):
        raise typer.Exit(1)


def _class_of(estimator, text):
    """The class that the user named."""
    if text is None:
        return None
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise typer.BadParameter("the model does not predict classes", param_hint="--class")
    found = [label for label in classes if str(label) == text.strip()]
    if not found:
        raise typer.BadParameter(f"{text!r}: expected one of {', '.join(map(str, classes))}", param_hint="--class")
    return found[0]


def _predicted(estimator, grid):
    """Columns of the prediction of one slide, and whether it looks unlike those of the training."""
    from sknic.estimators.familiarity import FAR
    from sknic.evaluation.run_once import run_once
    from sknic.exceptions import UnfamiliarSlidesWarning
    from sknic.targets.kinds import predicted_columns

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnfamiliarSlidesWarning)  # once for all slides, at the end
        model, outputs = run_once(estimator, [grid])
    distances = getattr(outputs, "distances", None)
    return predicted_columns(model, outputs), distances is not None and distances[0] > FAR


def _words(said, explained):
    """The prediction for a slide, in one line."""
    from sknic.targets.rows import PROBABILITY

    shown = said["prediction"][0] if explained is None and "prediction" in said else explained
    words = {name: column[0] for name, column in said.items() if shown is None or name.startswith("prediction")}
    if (probability := f"{PROBABILITY}{shown}") in said:
        words[probability] = said[probability][0]
    if explained is not None:
        words["explained"] = explained
    return ", ".join(f"{name} {_short(value)}" for name, value in words.items())


def _short(value):
    import numpy as np

    return f"{value:.3g}" if isinstance(value, (float, np.floating)) else str(value)
