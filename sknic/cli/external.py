"""The external test: if the table of new slides has the target, the predictions are scored against it."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import typer

from sknic.cli.common import score_line
from sknic.cli.model_folder import read_slides, slides_of
from sknic.cli.sealed import CARD, add_to_card
from sknic.files.records import write_json


def tell_external_test(estimator, model, rows, loaded, table, curves, record, path, *, n_resamples=1000, to_card=False):
    """Score predictions against the target columns of the CSV, if it has them; print and write the metrics.

    Slides that the model was trained on are left out, because any model is good on them.

    Parameters
    ----------
    estimator : fitted estimator
    model : Path
        Folder of the model.
    rows : Rows
        Rows of the input.
    loaded : Loaded
        Grids of the rows.
    table : DataFrame
        The predictions, row for row.
    curves : list or None
        Survival curve of each row; None if the target is not survival.
    record : dict
        Settings of the model.
    path : Path
        JSON file to write.
    n_resamples : int
        Number of bootstrap resamples per interval.
    to_card : bool
        Whether the metrics become a section of the model card.

    Returns
    -------
    bool
        Whether any prediction could be scored.
    """
    from sknic.evaluation.bootstrap import estimate_metrics
    from sknic.evaluation.survival_scores import scores_of_curves
    from sknic.exceptions import DatasetError
    from sknic.targets import kind_of

    kind, columns = kind_of(estimator, ()), record.get("columns") or {}
    if not columns or "prediction" not in table:
        return False
    fault = fault_of_header(rows.columns, columns.values())
    if fault is not None:
        if fault:
            typer.secho(f"not scored against {_names(columns)}: {fault}", err=True)
        return False
    learnt = read_slides(model)
    if learnt is None:
        typer.secho(
            f"warning: {model} does not record the slides that it was trained on; leave them out of the CSV", err=True
        )
    is_new = ~_is_learnt(learnt, rows.paths, loaded)
    if not is_new.all():
        typer.echo(f"{(~is_new).sum()} of {len(is_new)} slides are not scored: the model was trained on them")
    frame, predicted = _rows_with_both(rows, columns.values(), table, is_new)
    if not len(frame):
        return False
    classes = getattr(estimator, "classes_", None)
    places = frame.index - 2  # among the rows of the input
    paths = [rows.paths[row] for row in places]
    try:
        y, note = _truth(kind, frame, columns, record, classes, paths)
        patients, of_patients = _patients(frame, columns, record, paths)
    except (ValueError, DatasetError) as error:
        typer.secho(f"not scored against {_names(columns)}: {error}", err=True)
        return False
    typer.echo(f"external test on {_names(columns)}: {len(frame)} slides; {kind.describe(y)}")
    for line in filter(None, (note, of_patients)):
        typer.echo(line)
    _warn_of_known(patients, learnt)
    prediction = kind.prediction_of(predicted, classes)
    options = {"groups": patients, "n_resamples": n_resamples}
    metrics = estimate_metrics(kind, y, prediction, classes, **options)
    if kind.is_censored:
        metrics |= scores_of_curves([curves[row] for row in places], y, prediction, **options)
    for name, found in metrics.items():
        typer.echo(score_line(name, found, patients))
    write_json(path, {name: asdict(found) for name, found in metrics.items()})
    if to_card:
        _add_to_card(model, slides_of(rows.paths, loaded.grids).iloc[places], patients, metrics)
    return True


def _add_to_card(model, slides, patients, metrics):
    """Append the test to the card; the existing text is never changed."""
    import pandas as pd

    from sknic.report.card_facts import slides_digest

    n_patients = "not named" if patients is None else str(len(set(patients)))
    facts = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "slides": str(len(slides)),
        "patients": n_patients,
    }
    facts |= {"digest of the list of slides": slides_digest(slides)}
    lines = [*facts.items(), *((name, str(found)) for name, found in metrics.items())]
    add_to_card(model, "External test", pd.DataFrame(lines, columns=["What", ""]))
    typer.echo(f"added the external test to {Path(model) / CARD}")


def fault_of_header(header, targets):
    """Why a table cannot be scored against its target columns: empty if it has none of them, None if it can be."""
    twice = [name for name in targets if f"{name} (2)" in header]
    if twice:
        return f"there are several columns {twice[0]!r}"
    absent = [name for name in targets if name not in header]
    if not absent:
        return None
    alike = {name.casefold(): name for name in header}
    near = alike.get(absent[0].casefold())
    if near is not None:
        return f"the table calls it {near!r}; rename the column to score the predictions"
    return f"the table has no column {absent[0]!r}" if len(absent) < len(targets) else ""


def _is_learnt(learnt, paths, loaded):
    """Whether the model was trained on the slide of each row, known by path or digest; bool array."""
    import numpy as np

    if learnt is None:
        return np.zeros(len(paths), bool)
    known = {*learnt["slide"], *learnt["digest"]} - {""}
    new = slides_of(paths, loaded.grids)
    return (new["slide"].isin(known) | new["digest"].isin(known)).to_numpy()


def _rows_with_both(rows, columns, table, is_new):
    """The new rows that have a prediction and a target, as text; the index counts the rows of the CSV from 2."""
    import pandas as pd

    from sknic.targets.names import EMPTY

    frame = pd.DataFrame(rows.columns)
    frame.index = frame.index + 2
    unknown = frame[list(columns)].apply(lambda cells: cells.isna() | cells.str.lower().isin(EMPTY))
    has_all = ~unknown.any(axis=1).to_numpy() & table["prediction"].notna().to_numpy() & is_new
    return frame[has_all], table[has_all]


def _truth(kind, frame, columns, record, classes, paths):
    """The target of each row, as the model learnt it, and a note on how it was understood."""
    from sknic.datasets.rows import refuse_repeated_slides

    # An event is what it was in the training: a 1 in this column may stand for a patient who is alive.
    y, note = kind.from_table(frame, columns, record.get("event_value"))
    kind.check_classes(y, classes)
    refuse_repeated_slides(paths, list(frame.index), [str(value) for value in y], "the table")
    return y, note


def _patients(frame, columns, record, paths):
    """Patient of each row, from the column of the training or as a training would find them; and a note on that."""
    import numpy as np

    from sknic.datasets.rows import find_patient_column, tcga_patients
    from sknic.datasets.table import need_patients

    known = record.get("patient")
    found = known if known in frame.columns else find_patient_column(frame, list(columns.values()))
    if found is not None:
        need_patients(frame, found, "the table")
        return frame[found].to_numpy(object), f"intervals resample {found!r}"
    barcodes = tcga_patients(paths)
    if barcodes is not None:
        return np.array(barcodes, object), "intervals resample the TCGA patients in the file names"
    return None, "no column looks like patients: every slide counts as a patient of its own"


def _warn_of_known(patients, learnt):
    """Warn of patients that have the name of one in the training."""
    if patients is None or learnt is None or "patient" not in learnt:
        return
    shared = set(patients) & set(learnt["patient"])
    if shared:
        typer.secho(
            f"warning: {len(shared)} of {len(set(patients))} patients, such as {min(shared)!r}, have the same name as "
            "patients that the model was trained on; if they are the same persons, this is not an external test",
            err=True,
        )


def _names(columns):
    return ", ".join(map(repr, columns.values()))
