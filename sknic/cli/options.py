"""The options that several commands share, with one wording and the defaults of the Python API."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Task(StrEnum):
    """What is learnt from a slide."""

    regression = "regression"
    classification = "classification"
    survival = "survival"


Table = Annotated[Path, typer.Argument(help="CSV with one row per slide.")]
TaskOption = Annotated[Task, typer.Option(help="What is learnt.")]
PathColumn = Annotated[str, typer.Option("--path", help="Column of slide (or grid) files, relative to the CSV.")]
PatientColumn = Annotated[
    str | None, typer.Option("--patient", help="Column of patients; a patient is never on both sides of a split.")
]
TargetColumn = Annotated[
    str | None, typer.Option("--target", help="Column of the score or class (regression, classification).")
]
EventColumn = Annotated[str, typer.Option("--event", help="Column of 0/1 events (survival).")]
TimeColumn = Annotated[str, typer.Option("--time", help="Column of times (survival).")]
Encoder = Annotated[
    Path | None, typer.Option(help="Encoder file; not needed where --path names grid or feature files (.h5).")
]
Grids = Annotated[Path | None, typer.Option(help="Folder that keeps compressed slides; OUT/grids by default.")]
SlideMpp = Annotated[
    str | None, typer.Option(help="um/px of the slides: a number, or the name of a column of the CSV.")
]
Tissue = Annotated[str, typer.Option(help="density, otsu, none, or a mask pattern such as 'masks/{stem}.png'.")]
Classes = Annotated[
    list[str] | None, typer.Option(help="Class of GeoJSON polygons that counts as tissue; may be repeated.")
]
Exclude = Annotated[list[str] | None, typer.Option(help="Class of GeoJSON polygons that is cut out; may be repeated.")]
MaxSteps = Annotated[int, typer.Option(help="Maximum number of training batches; training usually stops earlier.")]
Seed = Annotated[int, typer.Option("--random-state", help="Seed; the same seed gives the same result on one CPU.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1.")]
Jobs = Annotated[int, typer.Option("--n-jobs", help="Slides, or folds, at once.")]
