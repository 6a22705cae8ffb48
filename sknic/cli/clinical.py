"""`sknic evaluate --clinical`: what the slide adds to columns of clinical data."""

import typer

from sknic.cli.inputs import table_of
from sknic.files.whole import whole_file

# How TCGA and others spell that they do not know: [Not Available], '--.
_CODES = r"\[.*\]|'?--"
_COLUMN = "the grid of the slide"


def clinical_columns(table, names, others):
    """Read the columns of clinical data, numbers as numbers.

    Parameters
    ----------
    table : Path
        CSV with one row per slide.
    names : str
        Names of the columns, separated by commas.
    others : sequence of str
        Columns that are something else: paths, patients, the target.

    Returns
    -------
    DataFrame
        One row per row of the table; NaN for empty cells.
    """
    import pandas as pd

    from sknic.datasets.table import MISSING

    wanted = [name.strip() for name in names.split(",") if name.strip()]
    wrong = [name for name in wanted if name in others]
    if wrong or not wanted:
        what = f"{wrong[0]!r} is the path, the patient or the target" if wrong else f"{names!r} names no column"
        raise typer.BadParameter(f"{what}; expected columns of clinical data", param_hint="--clinical")
    frame = table_of(table, wanted)[wanted]
    frame = frame.mask(frame.isin(MISSING) | frame.apply(lambda column: column.str.fullmatch(_CODES)))
    columns = {name: _numbers(frame[name]) for name in wanted}
    for name, values in columns.items():
        kind = "numbers" if values.dtype.kind == "f" else f"{values.nunique()} words"
        typer.echo(f"clinical data: {name!r}, {kind}, {values.isna().sum()} missing")
        if values.dtype.kind != "f" and values.nunique() > len(values) / 2:
            typer.secho(f"warning: {name!r} has a different word in most rows; is it an id?", err=True)
    return pd.DataFrame(columns)


def _numbers(values):
    """A column of numbers as float; one that has a word is a column of words."""
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce")
    return numbers.astype(float) if numbers.notna().sum() == values.notna().sum() else values.astype(object)


def tell_added_value(out, estimator, X, targets, clinical, cv, random_state, bootstrap):
    """Measure and print what the slide adds to clinical data; write the predictions to `added_value.csv`.

    Returns
    -------
    AddedValue
    """
    from sknic.evaluation import SlideAndTable, added_value

    table = clinical.reset_index(drop=True).assign(**{_COLUMN: list(X)})
    model = SlideAndTable(estimator, column=_COLUMN, cv=cv, random_state=random_state)
    typer.echo(f"clinical data alone, slide alone, and both: {cv} x {cv} models of slides ...")
    options = {
        "groups": targets.patients,
        "cv": cv,
        "random_state": random_state,
        "n_resamples": bootstrap,
        "verbose": 1,
    }
    found = added_value(model, table, targets.y, **options)
    with whole_file(out / "added_value.csv") as temporary:
        found.predictions.assign(slide=targets.paths).to_csv(temporary, index=False, errors="surrogateescape")
    typer.echo(str(found))
    return found
