"""`sknic evaluate`: how well can a target be learnt from these slides, and what do the models look at?"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.asked import Asked
from sknic.cli.clinical import clinical_columns
from sknic.cli.cohort import CohortOptions, usable
from sknic.cli.common import alone_in, need_folder_of, need_own_folder, need_writable, score_line, write_run_record
from sknic.cli.config import Config, write_options
from sknic.cli.grids import load_grids
from sknic.cli.grouping import grouped
from sknic.cli.model_folder import replaced_folder, slides_of, write_model
from sknic.cli.running import files_in, grids_in, saying_what_is_kept
from sknic.cli.sealed import seal_model
from sknic.cli.settings import keep_record
from sknic.cli.training import Training

# What every evaluation writes, and what only some write, so that an earlier one may have left it.
_ALWAYS = ("predictions.csv", "metrics.json", "options.toml")
_QUESTIONS = ("added_value.json", "added_value.csv", "arrangement.json")
_SOMETIMES = (*_QUESTIONS, "repeats.csv", "report.html", "history.csv", "verdict.json")
_OVERLAYS = "overlays"
_FOLDS = ".folds"


@grouped
def evaluate(
    ctx: typer.Context,
    table: options.Table,
    task: options.TaskOption,
    out: Annotated[Path, typer.Option(help="Folder for predictions, metrics, pictures and report.html.")],
    cohort: CohortOptions,
    training: Training,
    cv: Annotated[int, typer.Option(help="Number of folds.")] = 4,
    clinical: Annotated[
        str | None,
        typer.Option(
            help="Columns of clinical data, separated by commas. Measures what the slide adds to them, with CV x CV "
            "fits."
        ),
    ] = None,
    arrangement: Annotated[
        bool,
        typer.Option(
            "--arrangement",
            help="Test whether the model uses the positions of tissue: CV fits on shuffled cells, and CV fits of "
            "attention.",
        ),
    ] = False,
    repeats: Annotated[
        int,
        typer.Option(min=1, help="Number of cross-validations, each with another seed, to measure how scores vary."),
    ] = 1,
    bootstrap: options.Bootstrap = options.DEFAULT_BOOTSTRAP,
    save_model: Annotated[
        bool,
        typer.Option("--save-model", help="Keep the fold models in OUT/model, for predict, explain and view."),
    ] = False,
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
    random_state: options.Seed = 0,
    config: Config = None,
):
    """Cross-validate a slide-level model and write a report.

    Example: `sknic evaluate slides.csv --task survival --patient patient --out result`
    """
    from sknic import CrossValEnsemble
    from sknic.evaluation.folds import make_folds
    from sknic.report import report_of_run, run_of_ensemble, with_overlays
    from sknic.report.card_facts import encoder_facts
    from sknic.targets import kind_named

    need_writable(out, is_folder=True)
    need_folder_of("evaluate", out)
    need_own_folder(out, (*_ALWAYS, *_SOMETIMES, _OVERLAYS), table)
    prepared = cohort.read(table, task, out)
    others = [cohort.path, cohort.patient, *cohort.columns(task).values()]
    clinic = None if clinical is None else clinical_columns(table, clinical, others)
    targets, folder, compression = prepared.targets, prepared.folder, prepared.compression
    model = training.estimator(task, random_state=random_state, device=device)
    # What cannot be divided into folds is refused before slides are compressed.
    make_folds(cv, kind_named(task), targets.y, targets.patients, random_state)
    ctx.with_resource(alone_in(out))
    # An interrupted evaluation goes on with the next fold.
    folds = out / _FOLDS
    folds_kept = files_in(folds, "*.npz", "finished fold")
    with saying_what_is_kept(grids_in(folder), folds_kept, f"there is no new result in {out}"):
        loaded = load_grids(targets.paths, prepared.compressor(device, n_jobs))
        keep_record(folder, "evaluate", compression)
        used, X = usable(targets, task, loaded, cohort.on_error)
        typer.echo(f"{cv}-fold cross-validation of {type(model).__name__} on {len(X)} slides ...")
        ensemble = CrossValEnsemble(model, cv=cv, n_jobs=n_jobs, random_state=random_state, verbose=1, folds_dir=folds)
        ensemble.fit(X, used.y, groups=used.patients)
        learnt, errors = slides_of(used.paths, X, used.patients), loaded.failures(targets.paths)
        told = {"errors": errors, "digests": learnt["digest"], "n_resamples": bootstrap}
        run = run_of_ensemble(ensemble, used.paths, record={}, **told)
    # Only now, so that an earlier result stays whole until there is a new one.
    _remove_earlier(out)
    settings = _settings(task, cohort, compression, model, cv=cv, bootstrap=bootstrap)
    encoder = encoder_facts(compression.encoder if compression else None, X[0].fingerprint)
    record = write_run_record(out, "evaluate", settings, n_slides=len(X), skipped=errors, encoder=encoder)
    write_options(ctx, out, grids=folder)
    run = replace(run, record=record)
    # First what took hours; pictures and report can be made again.
    run.write(out)
    shutil.rmtree(folds, ignore_errors=True)
    ensemble.set_params(folds_dir=None)
    with saying_what_is_kept(grids_in(folder), f"predictions and metrics are in {out}"):
        run = with_overlays(run, ensemble, X)
        run.write_overlays(out)
        report_of_run(run).write(out / "report.html")
        _tell(run)
        if save_model:
            _save_models(out, ensemble, run, learnt, compression, settings)
        known = None if clinic is None else clinic.set_axis(targets.paths).loc[used.paths]
        asked = Asked(out, ensemble, X, used, random_state, bootstrap)
        asked.answer(run, clinical=known, arrangement=arrangement, repeats=repeats)
    typer.echo(f"wrote {out / 'report.html'}")


def _settings(task, cohort, compression, model, **measured):
    """What the run record says of the target, the measuring, the compression and the model."""
    from sknic.estimators.parameters import effective_params

    compressed = compression.record() if compression else None
    return {
        "task": task,
        "target": cohort.target or f"survival ({cohort.time}, {cohort.event})",
        **cohort.meaning(task),
        **measured,
        **(compressed or {"encoder": None, **cohort.masks}),
        "compression": compressed,
        **effective_params(model),
    }


def _tell(run):
    """Print metrics, scores of the folds, and a sentence that explains them."""
    for name, estimate in run.metrics.items():
        typer.echo(score_line(name, estimate, run.patients))
    folds = ", ".join(f"{score:.3f}" for score in run.verdict.fold_scores)
    typer.echo(f"{run.verdict.metric} of each fold: {folds}; mean {run.verdict.mean_of_folds:.3f}")
    typer.echo(str(run.verdict))


def _remove_earlier(out):
    """Remove the results of an earlier evaluation from the folder, so that two are never mixed; grids stay."""
    shutil.rmtree(out / _OVERLAYS, ignore_errors=True)
    if (out / "model" / "fold_0.safetensors").exists():  # another model there is not ours to take away
        shutil.rmtree(out / "model")
    for name in _SOMETIMES:
        (out / name).unlink(missing_ok=True)


def _save_models(out, ensemble, run, learnt, compression, settings):
    """Save the fold models, whose predictions are averaged, with their card."""
    from sknic.report.model_card import card_of_run

    folder = out / "model"
    with replaced_folder(folder) as new:
        kept = write_model(new, list(ensemble.estimators_), learnt, compression)
        write_run_record(new, "evaluate", {**settings, "encoder": kept}, encoder=run.record["encoder"])
        seal_model(new, card_of_run(run), run, out / "run.json")
    typer.echo(f"wrote the models of {len(ensemble.estimators_)} folds to {folder}")
