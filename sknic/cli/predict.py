"""`sknic predict`: new slides and a model folder to a table of predictions."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.cohort import load_grids, make_compressor, slide_mpp_option, tissue_option
from sknic.cli.common import find_slides, write_run_record
from sknic.exceptions import ModelFileError
from sknic.files.whole import whole_file


def predict(
    slides: Annotated[list[str], typer.Argument(help="Slides, grid files, folders, glob patterns or CSV files.")],
    model: Annotated[Path, typer.Option(help="Folder that `sknic fit` wrote.")],
    out: Annotated[Path, typer.Option(help="CSV to write.")],
    path: options.PathColumn = "path",
    grids: options.Grids = None,
    slide_mpp: options.SlideMpp = None,
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
):
    """Predict slides with a model of `sknic fit`: scores, class probabilities or risks.

    Example: `sknic predict new-slides/ --model model --out predictions.csv`
    """
    paths = find_slides(slides, path)
    estimator, record = load_model(model)
    mpp = slide_mpp_option(slide_mpp, [s for s in slides if s.lower().endswith(".csv")], path)
    X = load_grids(paths, compressor_of(model, record, grids, mpp, device, n_jobs))
    table = predictions_table(paths, estimator, X)
    with whole_file(out) as temporary:
        table.to_csv(temporary, index=False)
    settings = {"model": model.resolve(), "slide_mpp": slide_mpp, "fitted": record}
    write_run_record(out.parent, "predict", settings, f"{out.stem}.run.json", n_slides=len(table))
    typer.echo(f"wrote {len(table)} predictions to {out}")


def load_model(folder):
    """Estimator and settings of a model folder.

    Raises
    ------
    ModelFileError
        If the folder is not one that `sknic fit` wrote.
    """
    from sknic.estimators import load_estimator

    try:
        record = json.loads((folder / "run.json").read_text())["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise ModelFileError(f"{folder} is not a folder that `sknic fit` wrote: {error}") from error
    return load_estimator(folder / "model.safetensors"), record


def compressor_of(folder, record, grids, slide_mpp, device, n_jobs):
    """The compressor the model was trained behind, or None where it was trained on grid files."""
    if not record.get("encoder"):
        return None
    encoder = folder / record["encoder"]
    tissue = tissue_option(*(record.get(name) for name in ("tissue", "classes", "exclude")))
    return make_compressor(encoder, grids or folder / "grids", tissue, slide_mpp, device, n_jobs)


def predictions_table(paths, estimator, X):
    """One row per slide: its path and what the estimator says of it."""
    import pandas as pd

    from sknic.targets import kind_named

    kind = kind_named(estimator.target_kind)
    prediction = getattr(estimator, kind.prediction_method)(X)
    return pd.DataFrame({"slide": paths, **kind.predicted(prediction, getattr(estimator, "classes_", None))})
