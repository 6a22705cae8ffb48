"""The options that several commands share, with one wording and the defaults of the Python API."""

from pathlib import Path
from typing import Annotated

import typer

Table = Annotated[Path, typer.Argument(help="CSV with one row per slide.")]


def _known_kind(name):
    from sknic.targets import kind_named

    try:
        return kind_named(name).name
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


TaskOption = Annotated[
    str,
    typer.Option(metavar="KIND", callback=_known_kind, help="regression (a score), classification or survival."),
]
PathColumn = Annotated[str, typer.Option("--path", help="Column of slide (or grid) files, relative to the CSV.")]
PatientColumn = Annotated[
    str | None,
    typer.Option(
        "--patient",
        help="Column of patients; slides of a patient stay on one side of every split. Found automatically if not "
        "given.",
    ),
]
NoPatient = Annotated[
    bool, typer.Option("--no-patient", help="Treat every row as a patient of its own; do not look for a column.")
]
TargetColumn = Annotated[str | None, typer.Option("--target", help="Column of the score or the class.")]
EventColumn = Annotated[str, typer.Option("--event", help="Column of events: 0/1, dead/alive, yes/no ...")]
EventValue = Annotated[
    str | None, typer.Option("--event-value", help="The value that stands for an event; all others are censored.")
]
TimeColumn = Annotated[str, typer.Option("--time", help="Column of survival times.")]
# The same as of SlideCompressor.
DEFAULT_ENCODER = "sknic-he-1"
Encoder = Annotated[
    str | None,
    typer.Option(
        help="Encoder file, name of a bundled encoder (see `sknic encoders`), torchscript:FILE or timm:NAME:WEIGHTS; "
        f"{DEFAULT_ENCODER} by default. Not needed for grid files."
    ),
]
Grids = Annotated[Path | None, typer.Option(help="Folder of compressed slides (grids); OUT/grids by default.")]
GridsOfModel = Annotated[
    Path | None,
    typer.Option(
        help="Folder of compressed slides (grids); by default the model's own (MODEL/grids, or the folder it was "
        "fitted with)."
    ),
]
SlideMpp = Annotated[
    str | None, typer.Option(help="um/px of the slides: a number, or the name of a column of the CSV.")
]
TissueOfGrids = Annotated[
    str | None,
    typer.Option(
        help="density, otsu, none, or a mask pattern such as 'masks/{stem}.png'; by default the same as for the grids "
        "in --grids, or else density."
    ),
]
Tissue = Annotated[str, typer.Option(help="density, otsu, none, or a mask pattern such as 'masks/{stem}.png'.")]
Classes = Annotated[
    list[str] | None, typer.Option(help="Class of GeoJSON polygons that counts as tissue; may be repeated.")
]
Exclude = Annotated[list[str] | None, typer.Option(help="Class of GeoJSON polygons that is cut out; may be repeated.")]


def _known_on_error(value):
    if value not in ("raise", "skip"):
        raise typer.BadParameter(f"{value!r}: expected raise or skip")
    return value


OnError = Annotated[
    str,
    typer.Option(
        metavar="raise|skip",
        callback=_known_on_error,
        help="What to do if slides cannot be used: raise an error, or skip these slides.",
    ),
]
Seed = Annotated[int, typer.Option("--random-state", help="Seed; the same seed gives the same result on one CPU.")]
Bootstrap = Annotated[
    int,
    typer.Option("--bootstrap", min=100, help="Number of bootstrap resamples of patients (or slides) per interval."),
]
DEFAULT_BOOTSTRAP = 1000
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")]
Jobs = Annotated[int, typer.Option("--n-jobs", help="Number of slides, or folds, to process at once.")]


def with_a_model(path):
    """The folder of a model; of a result of `sknic evaluate --save-model`, the one inside it."""
    if path is None or (path / "model.safetensors").is_file() or not (path / "model" / "run.json").is_file():
        return path
    return path / "model"


MODEL_HELP = "Folder of a model, written by `sknic fit` or `sknic evaluate --save-model`."
Model = Annotated[Path, typer.Option(callback=with_a_model, help=MODEL_HELP)]
ModelOrNone = Annotated[
    Path | None,
    typer.Option(
        callback=with_a_model,
        help=f"{MODEL_HELP} A model file also works. The view shows its predictions and saliency.",
    ),
]
