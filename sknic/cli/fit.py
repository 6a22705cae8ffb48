"""`sknic fit`: slides and their targets to a model folder."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.cohort import load_grids, make_compressor, make_estimator, read_targets, slide_mpp_option, tissue_option
from sknic.cli.common import write_run_record


def fit(
    table: options.Table,
    task: options.TaskOption,
    out: Annotated[Path, typer.Option(help="Folder of the model; `sknic predict` reads it.")],
    path: options.PathColumn = "path",
    patient: options.PatientColumn = None,
    no_patient: options.NoPatient = False,
    target: options.TargetColumn = None,
    event: options.EventColumn = "event",
    event_value: options.EventValue = None,
    time: options.TimeColumn = "time",
    encoder: options.Encoder = None,
    grids: options.Grids = None,
    slide_mpp: options.SlideMpp = None,
    tissue: options.Tissue = "density",
    classes: options.Classes = None,
    exclude: options.Exclude = None,
    max_steps: options.MaxSteps = 3200,
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
    random_state: options.Seed = 0,
):
    """Train a slide-level model on all slides of a table.

    Example: `sknic fit slides.csv --task regression --target score --patient patient --encoder E --out model`
    """
    import pandas as pd

    columns = {"target": target, "event": event, "time": time}
    targets = read_targets(
        table, task, columns, path=path, patient=patient, no_patient=no_patient, event_value=event_value
    )
    mpp = slide_mpp_option(slide_mpp, [table], path)
    where = tissue_option(tissue, classes, exclude)
    compressor = make_compressor(encoder, grids or out / "grids", where, mpp, device, n_jobs) if encoder else None
    X = load_grids(targets.paths, compressor)
    model = make_estimator(task, max_steps, random_state, device, verbose=1)
    model.fit(X, targets.y, groups=targets.patients)
    out.mkdir(parents=True, exist_ok=True)
    model.save(out / "model.safetensors")
    pd.DataFrame(model.history_).to_csv(out / "history.csv", index=False)
    if encoder:
        kept = out / f"encoder{encoder.suffix}"
        if kept.resolve() != encoder.resolve():
            shutil.copyfile(encoder, kept)
    masks = {"tissue": tissue, "classes": classes, "exclude": exclude}
    settings = {"task": task, **masks, "encoder": f"encoder{encoder.suffix}" if encoder else None}
    write_run_record(out, "fit", {**settings, **model.get_params(deep=False)}, n_slides=len(X))
    typer.echo(f"wrote {out / 'model.safetensors'}, trained on {len(X)} slides in {model.history_[-1]['step']} steps")
