"""`sknic fit`: train a model on slides and their targets."""

from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.cohort import CohortOptions, usable
from sknic.cli.common import need_folder_of, need_own_folder, need_writable, write_run_record
from sknic.cli.config import Config, write_options
from sknic.cli.grids import load_grids
from sknic.cli.grouping import grouped
from sknic.cli.model_folder import model_files, replaced_folder, slides_of, write_model
from sknic.cli.running import grids_in, saying_what_is_kept
from sknic.cli.sealed import seal_model
from sknic.cli.settings import keep_record
from sknic.cli.training import Training


@grouped
def fit(
    ctx: typer.Context,
    table: options.Table,
    task: options.TaskOption,
    out: Annotated[Path, typer.Option(help="Folder for the model, to be used by `sknic predict`.")],
    cohort: CohortOptions,
    training: Training,
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
    random_state: options.Seed = 0,
    config: Config = None,
):
    """Train a slide-level model on all slides of a table.

    Example: `sknic fit slides.csv --task regression --target score --patient patient --out model`
    """
    from sknic.estimators.parameters import effective_params
    from sknic.report.card_facts import encoder_facts
    from sknic.report.model_card import card_of_fit
    from sknic.targets import kind_named

    need_writable(out, is_folder=True)
    need_folder_of("fit", out)
    need_own_folder(out, model_files(out), table)
    if (out / "model.safetensors").exists():
        typer.echo(f"the model in {out} will be replaced")
    prepared = cohort.read(table, task, out)
    targets, folder, compression = prepared.targets, prepared.folder, prepared.compression
    model = training.estimator(task, random_state=random_state, device=device, verbose=1)
    kind_named(task).check(targets.y)  # before slides are compressed
    with saying_what_is_kept(grids_in(folder), f"there is no new model in {out}"):
        loaded = load_grids(targets.paths, prepared.compressor(device, n_jobs))
        keep_record(folder, "fit", compression)
        used, X = usable(targets, task, loaded, cohort.on_error)
        model.fit(X, used.y, groups=used.patients)
        with replaced_folder(out) as new:
            learnt = slides_of(used.paths, X, used.patients)
            kept = write_model(new, [model], learnt, compression)
            compressed = compression.record() if compression else None
            settings = {
                "task": task,
                **cohort.meaning(task),
                **(compressed or {}),
                "encoder": kept,
                "compression": compressed,
            }
            errors = loaded.failures(targets.paths)
            encoder = encoder_facts(compression.encoder if compression else None, X[0].fingerprint)
            results = {"n_slides": len(X), "skipped": errors, "encoder": encoder}
            record = write_run_record(new, "fit", {**settings, **effective_params(model)}, **results)
            write_options(ctx, new, grids=folder)
            slides = learnt.assign(**kind_named(task).truth(used.y))
            seal_model(new, card_of_fit(task, slides, record, errors))
    typer.echo(f"wrote {out / 'model.safetensors'}, trained on {len(X)} slides in {model.history_[-1]['step']} steps")
