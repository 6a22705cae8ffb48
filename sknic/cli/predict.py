"""`sknic predict`: predict new slides with a model; writes a table with one row per requested slide."""

from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.common import command_of, need_writable, write_run_record
from sknic.cli.external import tell_external_test
from sknic.cli.grids import are_grid_files, load_grids, reason_of
from sknic.cli.inputs import find_rows, tables_of
from sknic.cli.model_folder import compression_of, grids_of, load_model, read_slides
from sknic.cli.running import grids_in, saying_what_is_kept
from sknic.cli.settings import choose, kept_settings, say, slide_mpp_option
from sknic.cli.stated_mpp import recorded_mpp
from sknic.files.whole import whole_file

_FILE = "slide"
_ERROR, _DISTANCE = "error", "distance"
_CURVE = "survival curve"


def predict(
    slides: Annotated[list[str], typer.Argument(help="Slides, grid files, folders, glob patterns or CSV files.")],
    model: options.Model,
    out: Annotated[Path, typer.Option(help="CSV to write.")],
    path: options.PathColumn = "path",
    grids: options.GridsOfModel = None,
    slide_mpp: options.SlideMpp = None,
    to_card: Annotated[bool, typer.Option("--to-card", help="Append the external test to the model card.")] = False,
    on_error: options.OnError = "raise",
    spread: Annotated[
        bool,
        typer.Option(
            "--spread", help="Add a column with the spread between the networks of the model (which needs several)."
        ),
    ] = False,
    bootstrap: options.Bootstrap = options.DEFAULT_BOOTSTRAP,
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
):
    """Predict scores, probabilities or risks with a model of `sknic fit` or `sknic evaluate --save-model`.

    The output has one row per row of the CSV, in the same order and with the same columns. Slides that cannot be used
    have an error instead of a prediction, and the exit code is then 1 unless --on-error is skip. The column distance
    contains the distance of each slide from those of the training, in standard deviations: above 4, the level of its
    prediction may be wrong. If the CSV has the target columns of the model, the predictions are scored against them,
    with intervals over patients.

    Example: `sknic predict new-slides/ --model model --out predictions.csv`
    """
    from sknic.compression.outcomes import by_cause
    from sknic.evaluation.run_once import has_spread

    need_writable(out, is_folder=False)
    if not out.suffix:
        raise typer.BadParameter(f"--out {out}: expected the name of a CSV file, such as {out / 'predictions.csv'}")
    if any(Path(source).exists() and Path(source).resolve() == out.resolve() for source in slides):
        raise typer.BadParameter(f"--out {out} would overwrite the input table; choose another file")
    _need_own_file(out)
    rows = find_rows(slides, path)
    estimator, record = load_model(model)
    if spread and not has_spread(estimator):
        raise typer.BadParameter(
            f"--spread: {model} has only one network; `evaluate --save-model` keeps one per fold, and "
            "`fit --n-members 3` trains three"
        )
    mpp = slide_mpp_option(slide_mpp, tables_of(slides), path)
    folder = grids or grids_of(model)
    compressor = compressor_of(rows.paths, model, record, folder, mpp, device, n_jobs)
    with saying_what_is_kept(grids_in(folder), f"{out} is not written"):
        loaded = load_grids(rows.paths, compressor)
        predicted, curves, errors = predict_rows(estimator, loaded, spread=spread)
    table = predictions_table(rows, predicted, errors, always_error=on_error == "skip")
    metrics = out.with_name(f"{out.stem}.metrics.json")
    metrics.unlink(missing_ok=True)  # those of earlier predictions
    with whole_file(out) as temporary:
        table.to_csv(temporary, index=False, errors="surrogateescape")
    settings = {"model": model.resolve(), "slide_mpp": slide_mpp, "bootstrap": bootstrap, "fitted": record}
    n_failed = sum(map(bool, errors))
    write_run_record(out.parent, "predict", settings, f"{out.stem}.run.json", n_slides=len(table), n_failed=n_failed)
    typer.echo(f"wrote {len(table) - n_failed} predictions to {out}")
    is_measured = tell_external_test(
        estimator, model, rows, loaded, table, curves, record, metrics, n_resamples=bootstrap, to_card=to_card
    )
    if to_card and not is_measured:
        typer.secho("warning: nothing is added to the model card, because no prediction could be scored", err=True)
    if n_failed:
        typer.secho(f"{n_failed} of {len(table)} slides have no prediction; see column {_ERROR!r}:", err=True)
        for line in by_cause(rows.paths, errors):
            typer.secho(f"  {line}", err=True)
        if on_error == "raise" or n_failed == len(table):
            raise typer.Exit(1)


def _need_own_file(out):
    """Refuse a file that is not of earlier predictions, and a name that promises another format."""
    if out.suffix.lower() in (".xlsx", ".xls", ".ods", ".parquet"):
        raise typer.BadParameter(f"--out {out}: predictions are written as CSV; choose a name such as {out.stem}.csv")
    if out.exists() and out.stat().st_size and command_of(out.parent, f"{out.stem}.run.json") != "predict":
        raise typer.BadParameter(f"--out {out} exists and was not written by `sknic predict`; choose another name")


def compressor_of(paths, model, record, folder, slide_mpp, device, n_jobs):
    """The compressor with the settings of the model; None for grid files.

    A model that was fitted on grid files does not record how slides were compressed; grids in the folder do.
    """
    from dataclasses import replace

    if are_grid_files(paths):
        return None
    compression = compression_of(model, record)
    if compression is None:
        compression = choose(paths, None, {}, folder, slide_mpp, default=None)
        if compression is None:
            raise typer.BadParameter(
                "the model was fitted on grid files and does not record how to compress slides; compress them first "
                "with the same encoder and settings, and pass the grids, or their folder as --grids"
            )
    else:
        stated = _mpp_of_learnt(compression.slide_mpp, paths, model) if slide_mpp is None else slide_mpp
        compression = replace(compression, slide_mpp=stated)
        say(compression, kept_settings(folder), folder)
    return compression.compressor(folder, device, n_jobs)


def _mpp_of_learnt(slide_mpp, paths, model):
    """The um/px that were stated for the slides of the training; a new slide may come from another scanner."""
    if isinstance(slide_mpp, int | float):
        learnt = read_slides(model)
        slide_mpp = dict.fromkeys([] if learnt is None else learnt["slide"], slide_mpp)
    return recorded_mpp(slide_mpp, paths, model)


def predict_rows(estimator, loaded, *, spread=False):
    """Predict all grids at once, or one by one if that fails.

    Returns
    -------
    dict of str to list
        Columns of the predictions; None for rows without one.
    list or None
        Survival curve of each row; None if the target is not survival.
    list of str
        For each row, why it has no prediction; empty if it has one.
    """
    import numpy as np

    from sknic.evaluation.run_once import run_once
    from sknic.exceptions import SknicError
    from sknic.targets import kind_of

    kind, errors = kind_of(estimator, ()), list(loaded.errors)

    def columns_of(rows):
        model, outputs = run_once(estimator, loaded.grids[rows])
        result = getattr(model, kind.prediction_method)(outputs)
        found = {**kind.predicted(result, getattr(model, "classes_", None))}
        if spread:
            found["spread"] = model.predict_spread(outputs)
        distances = getattr(outputs, "distances", None)
        if distances is not None:
            found[_DISTANCE] = np.round(distances, 2)
        if kind.is_censored:
            found[_CURVE] = model.predict_survival_function(outputs)
        return found

    results = []
    try:
        results += [(loaded.good, columns_of(loaded.good))] if loaded.good else []
    except (SknicError, ValueError):
        for row in loaded.good:
            try:
                results.append(([row], columns_of([row])))
            except (SknicError, ValueError) as error:
                errors[row] = reason_of(error)
    columns: dict[str, list] = {}
    for rows, found in results:
        for name, values in found.items():
            column = columns.setdefault(name, [None] * len(errors))
            for row, value in zip(rows, values):
                column[row] = value
    _drop_what_is_not_finite(columns, errors)
    curves = columns.pop(_CURVE, None)
    return columns, curves, errors


def _drop_what_is_not_finite(columns, errors):
    import numpy as np

    for row in range(len(errors)):
        values = [column[row] for column in columns.values()]
        if not all(np.isfinite(value) for value in values if isinstance(value, float | np.floating)):
            errors[row] = "the prediction is not a finite number"
            for column in columns.values():
                column[row] = None


def _other_names(names, ours):
    """Names of the user's columns; those that are ours get " (table)", as often as it takes to be another one."""
    taken, found = {*ours, *names}, []
    for name in names:
        if name in ours:
            while name in taken:
                name = f"{name} (table)"
            taken.add(name)
        found.append(name)
    return found


def predictions_table(rows, predicted, errors, *, always_error=False):
    """The output table, one row per requested slide: file, columns of the input table, prediction, error.

    If the input table has a column with the name of one of ours, "(table)" is appended to that name. The exception is
    "slide", which may be the user's key: then the file is in a column "file".
    """
    import pandas as pd

    ours = {*predicted, _ERROR, "file"}
    own = dict(zip(_other_names(rows.columns, ours), rows.columns.values()))
    file = "file" if _FILE in own else _FILE
    shown = {_ERROR: errors} if always_error or any(errors) else {}
    return pd.DataFrame({file: rows.paths, **own, **predicted, **shown})
