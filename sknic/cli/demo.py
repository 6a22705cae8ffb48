"""`sknic demo`: the whole method on a synthetic cohort, in a few minutes on two cores."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.common import write_run_record
from sknic.cli.running import files_in, grids_in, saying_what_is_kept

# Patients with the growth pattern "replacement" die twelve times as fast: forty slides can show such an effect, but not
# that of a real marker.
LOG_HAZARD = (2.5, 0.0)
# A quarter of the default: the demo has to end within minutes, and grids this small are learnt in that.
MAX_STEPS = 400


def demo(
    out: Annotated[Path, typer.Option(help="Folder for slides, encoder, grids, predictions and pictures.")] = Path(
        "sknic-demo"
    ),
    n_slides: Annotated[int, typer.Option(help="Number of slides in the cohort.")] = 40,
    n_patches: Annotated[int, typer.Option(help="Number of labelled patches to train the encoder on.")] = 1600,
    device: options.Device = "auto",
    random_state: options.Seed = 0,
):
    """Draw a cohort, train an encoder, compress, and cross-validate a score, a class and a survival model."""
    started = time.perf_counter()
    with saying_what_is_kept(files_in(out / "slides", "slide_*", "slide"), grids_in(out / "grids")):
        cohort = _step("Drawing slides", _draw_cohort, out, n_slides, random_state)
        encoder = _step("Training a multitask encoder", _train_encoder, out, n_patches, device, random_state)
        compressor = _step("Compressing slides", _compress, out, cohort, encoder, device)
        runs = {
            task: _step(
                f"Cross-validating {task}", _cross_validate, out, cohort, compressor, task, device, random_state
            )
            for task in _learnt()
        }
        _draw_pictures(out, cohort, compressor, runs)
        _show_table(runs)
        write_run_record(out, "demo", {"n_slides": n_slides, "n_patches": n_patches, "random_state": random_state})
        for run in runs.values():
            typer.echo(str(run.verdict))
    typer.echo(f"{(time.perf_counter() - started) / 60:.1f} minutes. Look at:")
    for path in (out / "results.png", out / "slide.png", *(out / task / "report.html" for task in _learnt())):
        typer.echo(f"  {path}")
    typer.echo(f"  sknic view {cohort.paths[0]} --grids {out / 'grids'}")


def _learnt():
    """The targets to learn: columns of the cohort and a title, by kind of target."""
    from sknic.targets import Classification, Regression, Survival

    return {
        Regression.name: (["tumour_fraction"], "tumour fraction"),
        Classification.name: (["pattern"], "growth pattern"),
        Survival.name: (["event", "time"], "survival"),
    }


def _step(title, function, *arguments):
    started = time.perf_counter()
    typer.secho(f"{title} ...", bold=True)
    result = function(*arguments)
    typer.echo(f"  {time.perf_counter() - started:.0f} s")
    return result


def _draw_cohort(out, n_slides, random_state):
    from joblib.externals.loky import get_reusable_executor

    from sknic.datasets import make_histology_cohort

    cohort = make_histology_cohort(
        n_slides,
        out / "slides",
        max_slides_per_patient=2,
        log_hazard=LOG_HAZARD,
        random_state=random_state,
        n_jobs=os.cpu_count(),
        verbose=1,
    )
    # joblib replaces, with a warning, a worker that grows by 300 MB, as one that drew slides would when it loads torch.
    get_reusable_executor().shutdown()
    return cohort


def _train_encoder(out, n_patches, device, random_state):
    from sknic import MultitaskEncoder
    from sknic.datasets import make_patch_tasks

    tasks = make_patch_tasks(n_patches, random_state=random_state)
    encoder = MultitaskEncoder(
        code_size=32,
        filters=(64, 64, 64, 64),  # half of the paper's, for a third of the time
        augmentation="light",
        max_steps=max(8, 3 * n_patches // 160),
        eval_every=10,
        device=device,
        random_state=random_state,
    )
    encoder.fit(tasks.patches, tasks.labels, groups=tasks.groups, centers=tasks.centers)
    accuracy = ((name, encoder.history_[-1][f"valid_{name}_accuracy"]) for name in encoder.task_names_)
    typer.echo("  accuracy on held-out patches: " + ", ".join(f"{name} {value:.2f}" for name, value in accuracy))
    encoder.save(out / "encoder.safetensors")
    return encoder


def _compress(out, cohort, encoder, device):
    from sknic import SlideCompressor

    compressor = SlideCompressor(encoder, cache_dir=out / "grids", device=device, verbose=1)
    compressor.transform(cohort.paths)
    return compressor.set_params(verbose=0)


def _cross_validate(out, cohort, compressor, task, device, random_state):
    from sklearn.pipeline import make_pipeline

    from sknic import CrossValEnsemble
    from sknic.estimators import estimator_for
    from sknic.report import report_of_run, run_of_ensemble, with_overlays
    from sknic.targets import kind_named

    columns, _ = _learnt()[task]
    y = kind_named(task).read(cohort.table[columns].squeeze("columns"))
    # One network, for survival as well: three would take the demo beyond its minutes.
    model = estimator_for(task)(max_steps=MAX_STEPS, n_members=1, device=device, random_state=random_state)
    pipe = make_pipeline(compressor, model)
    ensemble = CrossValEnsemble(pipe, cv=4, n_jobs=os.cpu_count(), random_state=random_state)
    ensemble.fit(cohort.paths, y, groups=cohort.patients)
    roles = kind_named(task).roles
    settings = {"task": str(task), "columns": dict(zip(roles, columns)), "cv": 4, **model.get_params()}
    record = write_run_record(out / task, "demo", settings, n_slides=len(cohort.paths))
    run = run_of_ensemble(ensemble, cohort.paths, record=record)
    run = with_overlays(run, ensemble, compressor.transform(cohort.paths))
    run.write(out / task)
    report_of_run(run).write(out / task / "report.html")
    return run


def _show_table(runs):
    from rich.console import Console
    from rich.table import Table

    from sknic.targets import kind_named

    table = Table("target", "metric", "out of fold [95 % interval]", "patients")
    for task, run in runs.items():
        metric = kind_named(task).metrics[0]
        estimate = run.metrics[metric]
        table.add_row(_learnt()[task][1], metric, str(estimate), str(estimate.n))
    Console().print(table)


def _draw_pictures(out, cohort, compressor, runs):
    import matplotlib as mpl

    with mpl.rc_context({"savefig.dpi": 120, "savefig.bbox": "tight"}):
        _draw_slide(out / "slide.png", cohort.paths[0], compressor)
        _draw_results(out / "results.png", cohort, runs)


def _draw_slide(path, slide_path, compressor):
    """One slide, its tissue mask, and the principal components of its grid."""
    from matplotlib.figure import Figure

    from sknic import Slide, plotting

    (grid,) = compressor.transform([slide_path])
    figure = Figure(figsize=(12, 4))
    axes = figure.subplots(1, 3)
    with Slide(slide_path) as slide:
        image, _ = slide.thumbnail(1024)
        axes[0].imshow(image)
        axes[0].set_axis_off()
        axes[0].set_title(f"Slide, {slide.dimensions[0]} x {slide.dimensions[1]} px")
        plotting.TissueDisplay.from_slide(slide, ax=axes[1], title="Tissue")
    rows, columns = grid.shape
    plotting.GridDisplay.from_grid(
        grid, ax=axes[2], title=f"Grid, {rows} x {columns} x {grid.code_size}, as PCA colors"
    )
    figure.savefig(path)


def _draw_results(path, cohort, runs):
    from matplotlib.figure import Figure

    from sknic import plotting
    from sknic.targets.rows import PROBABILITY

    figure = Figure(figsize=(15, 4.4))
    axes = figure.subplots(1, 3)
    score, pattern, survival = (runs[task].predictions for task in runs)
    probability = pattern[f"{PROBABILITY}{sorted(pattern['target'].unique())[1]}"]
    plotting.ScatterDisplay.from_predictions(
        score["target"], score["prediction"], groups=cohort.patients, ax=axes[0], title="Tumour fraction"
    )
    plotting.RocDisplay.from_predictions(
        pattern["target"],
        probability,
        groups=cohort.patients,
        ax=axes[1],
        title="Growth pattern",
    )
    plotting.KaplanMeierDisplay.from_predictions(
        cohort.survival, survival["prediction"], groups=cohort.patients, ax=axes[2], time_unit="days", title="Survival"
    )
    figure.savefig(path)
