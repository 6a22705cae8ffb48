"""`sknic fit`: slides and their targets to a model folder."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.cohort import make_estimator, read_targets, steps_of, usable
from sknic.cli.common import need_writable, saying_what_is_kept, write_run_record
from sknic.cli.grids import load_grids
from sknic.cli.model_folder import replaced_folder
from sknic.cli.settings import choose, keep_record, slide_mpp_option


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
    tissue: options.TissueOfGrids = None,
    classes: options.Classes = None,
    exclude: options.Exclude = None,
    on_error: options.OnError = "raise",
    max_steps: options.MaxSteps = 1500,
    max_epochs: options.MaxEpochs = None,
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
    random_state: options.Seed = 0,
):
    """Train a slide-level model on all slides of a table.

    Example: `sknic fit slides.csv --task regression --target score --patient patient --out model`
    """
    need_writable(out, is_folder=True)
    columns = {"target": target, "event": event, "time": time}
    targets = read_targets(
        table, task, columns, path=path, patient=patient, no_patient=no_patient, event_value=event_value
    )
    mpp = slide_mpp_option(slide_mpp, [table], path)
    folder = grids or out / "grids"
    masks = {"tissue": tissue, "classes": classes, "exclude": exclude}
    compression = choose(targets.paths, encoder, masks, folder, mpp)
    compressor = compression.compressor(folder, device, n_jobs) if compression else None
    model = make_estimator(task, steps_of(max_steps, max_epochs), random_state, device, verbose=1)
    with saying_what_is_kept(folder, f"there is no new model in {out}"):
        loaded = load_grids(targets.paths, compressor)
        keep_record(folder, "fit", compression)
        used, X = usable(targets, task, loaded, on_error)
        model.fit(X, used.y, groups=used.patients)
        with replaced_folder(out) as new:
            kept = _write_model(new, model, compression)
            record = compression.record() if compression else {}
            settings = {"task": task, **record, "encoder": kept, "compression": record or None}
            results = {"n_slides": len(X), "skipped": loaded.failures(targets.paths)}
            write_run_record(new, "fit", {**settings, **model.get_params(deep=False)}, **results)
    typer.echo(f"wrote {out / 'model.safetensors'}, trained on {len(X)} slides in {model.history_[-1]['step']} steps")


def _write_model(folder, model, compression):
    """Write the model and its encoder; returns the name of the encoder's file, None where it was fitted on grids."""
    import pandas as pd

    from sknic.encoders.catalog import encoder_path

    model.save(folder / "model.safetensors")
    pd.DataFrame(model.history_).to_csv(folder / "history.csv", index=False)
    if compression is None:
        return None
    encoder = encoder_path(compression.encoder)
    kept = folder / f"encoder{encoder.suffix}"
    shutil.copyfile(encoder, kept)
    return kept.name
