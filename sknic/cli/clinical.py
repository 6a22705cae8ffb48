"""`sknic evaluate --clinical`: the columns of clinical data, as they are understood."""

import typer

from sknic.cli.inputs import table_of

# How TCGA and others spell that they do not know: [Not Available], '--.
_CODES = r"\[.*\]|'?--"
_COMMA = r"[+-]?\d+,\d+"
_NUMBER = r"[+-]?\d+([.,]\d+)?"


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
    from sknic.targets.cells import note_of_codes

    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
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
        if values.dtype.kind == "f":
            if note := note_of_codes(name, values.dropna().to_numpy()):
                typer.secho(f"warning: {note}", err=True)
        else:
            _refuse_commas(name, values)
            _refuse_spellings(name, values)
        if values.dtype.kind != "f" and values.nunique() > len(values) / 2:
            typer.secho(f"warning: {name!r} has a different word in most rows; is it an id?", err=True)
    return pd.DataFrame(columns)


def _refuse_commas(name, values):
    """Refuse numbers with a decimal comma, each of which would be a word."""
    known = values.dropna()
    if known.str.fullmatch(_COMMA).any() and known.str.fullmatch(_NUMBER).all():
        raise typer.BadParameter(
            f"{name!r} has numbers with a comma, such as {known[known.str.fullmatch(_COMMA)].iloc[0]!r}; write them "
            "with a decimal point",
            param_hint="--clinical",
        )


def _refuse_spellings(name, values):
    """Refuse words such as F and f, which a model would take for two."""
    from sknic.targets.names import refuse_alike

    try:
        refuse_alike(name, values, case=True)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--clinical") from None


def _numbers(values):
    """A column of numbers as float; one that has a word is a column of words."""
    import pandas as pd

    numbers = pd.to_numeric(values, errors="coerce")
    return numbers.astype(float) if numbers.notna().sum() == values.notna().sum() else values.astype(object)
