"""`sknic predict`: new slides and a model folder to a table of predictions, one row for each that was asked for."""

from pathlib import Path
from typing import Annotated

import typer

from sknic.cli import options
from sknic.cli.common import need_writable, write_run_record
from sknic.cli.external import tell_external_test
from sknic.cli.grids import are_grid_files, load_grids, reason_of
from sknic.cli.inputs import find_rows, tables_of
from sknic.cli.model_folder import compression_of, grids_of, load_model
from sknic.cli.running import grids_in, saying_what_is_kept
from sknic.cli.settings import choose, kept_settings, say, slide_mpp_option
from sknic.files.whole import whole_file

_FILE = "slide"
_ERROR = "error"


def predict(
    slides: Annotated[list[str], typer.Argument(help="Slides, grid files, folders, glob patterns or CSV files.")],
    model: options.Model,
    out: Annotated[Path, typer.Option(help="CSV to write.")],
    path: options.PathColumn = "path",
    grids: options.GridsOfModel = None,
    slide_mpp: options.SlideMpp = None,
    to_card: Annotated[
        bool, typer.Option("--to-card", help="Add the external test to the model's card, below what stands there.")
    ] = False,
    on_error: options.OnError = "raise",
    spread: Annotated[
        bool,
        typer.Option(
            "--spread", help="Add a column: how far the networks of the model are apart (several are needed)."
        ),
    ] = False,
    bootstrap: options.Bootstrap = options.DEFAULT_BOOTSTRAP,
    device: options.Device = "auto",
    n_jobs: options.Jobs = 1,
):
    """Predict slides with a model of `sknic fit` or `sknic evaluate --save-model`: scores, probabilities or risks.

    One row for each row of a CSV, in its order and with its columns; slides that cannot be used have an error instead
    of a prediction, and the exit code is 1 unless they are to be skipped. Where the CSV has the columns that the model
    learnt, the predictions are measured against them, with intervals by patient.

    Example: `sknic predict new-slides/ --model model --out predictions.csv`
    """
    from sknic.compression.outcomes import by_cause

    need_writable(out, is_folder=False)
    if any(Path(source).exists() and Path(source).resolve() == out.resolve() for source in slides):
        raise typer.BadParameter(f"--out {out} would overwrite the table that is read; choose another file")
    rows = find_rows(slides, path)
    estimator, record = load_model(model)
    if spread and not has_spread(estimator):
        raise typer.BadParameter(
            f"--spread: {model} has one network; evaluate --save-model keeps one per fold, fit --n-members 3 three"
        )
    mpp = slide_mpp_option(slide_mpp, tables_of(slides), path)
    folder = grids or grids_of(model)
    compressor = compressor_of(rows.paths, model, record, folder, mpp, device, n_jobs)
    with saying_what_is_kept(grids_in(folder), f"{out} is not written"):
        loaded = load_grids(rows.paths, compressor)
        predicted, errors = predict_rows(estimator, loaded, spread=spread)
    table = predictions_table(rows, predicted, errors, always_error=on_error == "skip")
    with whole_file(out) as temporary:
        table.to_csv(temporary, index=False, errors="surrogateescape")
    settings = {"model": model.resolve(), "slide_mpp": slide_mpp, "bootstrap": bootstrap, "fitted": record}
    n_failed = sum(map(bool, errors))
    write_run_record(out.parent, "predict", settings, f"{out.stem}.run.json", n_slides=len(table), n_failed=n_failed)
    typer.echo(f"wrote {len(table) - n_failed} predictions to {out}")
    metrics = out.with_name(f"{out.stem}.metrics.json")
    is_measured = tell_external_test(
        estimator, model, rows, loaded, table, record, metrics, n_resamples=bootstrap, to_card=to_card
    )
    if to_card and not is_measured:
        typer.secho("warning: nothing is added to the model's card, for nothing could be measured", err=True)
    if n_failed:
        typer.secho(f"{n_failed} of {len(table)} slides have no prediction; column {_ERROR!r} says why:", err=True)
        for line in by_cause(rows.paths, errors):
            typer.secho(f"  {line}", err=True)
        if on_error == "raise" or n_failed == len(table):
            raise typer.Exit(1)


def compressor_of(paths, model, record, folder, slide_mpp, device, n_jobs):
    """The compressor that the model was trained behind; None for grid files.

    A model that was fitted on grid files does not say how slides are compressed; grids in the folder do.
    """
    from dataclasses import replace

    if are_grid_files(paths):
        return None
    compression = compression_of(model, record)
    if compression is None:
        compression = choose(paths, None, {}, folder, slide_mpp, default=None)
        if compression is None:
            raise typer.BadParameter(
                "the model was fitted on grid files and does not say how to compress slides; compress them first with "
                "the same encoder and settings, and give the grids, or their folder as --grids"
            )
    else:
        compression = replace(compression, slide_mpp=slide_mpp)
        say(compression, kept_settings(folder), folder)
    return compression.compressor(folder, device, n_jobs)


def has_spread(estimator):
    """Whether a model has several networks that can disagree."""
    return len(getattr(estimator, "estimators_", getattr(estimator, "nets_", ()))) > 1


def predict_rows(estimator, loaded, *, spread=False):
    """Predict the grids that can be predicted, each alone where they cannot be together.

    Returns
    -------
    dict of str to list
        Columns of the predictions; None where there is none.
    list of str
        Why there is no prediction, empty where there is one.
    """
    from sknic.exceptions import SknicError
    from sknic.targets import kind_of

    kind, errors = kind_of(estimator, ()), list(loaded.errors)

    def columns_of(rows):
        grids = loaded.grids[rows]
        result = getattr(estimator, kind.prediction_method)(grids)
        found = kind.predicted(result, getattr(estimator, "classes_", None))
        return {**found, "spread": estimator.predict_spread(grids)} if spread else found

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
    return columns, errors


def _drop_what_is_not_finite(columns, errors):
    import numpy as np

    for row in range(len(errors)):
        values = [column[row] for column in columns.values()]
        if not all(np.isfinite(value) for value in values if isinstance(value, float | np.floating)):
            errors[row] = "the prediction is not a finite number"
            for column in columns.values():
                column[row] = None


def predictions_table(rows, predicted, errors, *, always_error=False):
    """One row for each that was asked for: its file, the columns of its table, the prediction, and what went wrong.

    A column of the table that is called like one of ours gets "(table)" behind its name, except "slide", which is
    perhaps the user's key: there the file is in a column "file".
    """
    import pandas as pd

    ours = {*predicted, _ERROR, "file"}
    own = {f"{name} (table)" if name in ours else name: values for name, values in rows.columns.items()}
    file = "file" if _FILE in own else _FILE
    shown = {_ERROR: errors} if always_error or any(errors) else {}
    return pd.DataFrame({file: rows.paths, **own, **predicted, **shown})
