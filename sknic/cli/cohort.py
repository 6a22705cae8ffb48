"""From a CSV to grids and targets: what `fit`, `evaluate` and `predict` begin with."""

from dataclasses import dataclass
from typing import Any

import typer

from sknic.cli.common import table_of


@dataclass(frozen=True)
class Targets:
    """The rows of a CSV: paths, y as the estimator of the task takes it, and patients or None."""

    paths: list[str]
    y: Any
    patients: Any


def read_targets(table, task, columns, *, path, patient=None, no_patient=False, event_value=None):
    """Read a table of slides and their targets, and say what was understood.

    Parameters
    ----------
    table : Path
    task : str
        Name of the kind of target.
    columns : dict of str to str or None
        Column of each role that a kind of target may have.
    path, patient : str
        Columns of files and patients; without `patient` a column that looks like it is taken, unless `no_patient`.
    event_value : str, optional

    Returns
    -------
    Targets
    """
    from sknic.datasets.rows import refuse_repeated_slides
    from sknic.datasets.table import need_cells, slide_paths
    from sknic.exceptions import DatasetError
    from sknic.targets import kind_named

    kind = kind_named(task)
    used = {role: columns[role] for role in kind.roles}
    for role, column in used.items():
        if column is None:
            raise typer.BadParameter(f"--task {task} needs --{role}, the column to learn")
    frame = table_of(table, [path, *used.values(), *([patient] if patient else [])])
    paths = slide_paths(frame, path, table)
    if patient is None and not no_patient:
        patient = _found_patient(frame, [path, *used.values()])
    if patient:
        need_cells(frame, [patient], table)
    try:
        y, note = kind.from_table(frame, used, event_value)
    except ValueError as error:
        raise DatasetError(f"{table}: {error}") from error
    refuse_repeated_slides(paths, list(frame.index), [str(value) for value in y], table)
    patients = frame[patient].to_numpy(object) if patient else None
    n_patients = len(paths) if patients is None else len(set(patients))
    typer.echo(f"{len(paths)} slides of {n_patients} patients; {kind.describe(y)}")
    if note:
        typer.echo(note)
    return Targets(paths, y, patients)


def _found_patient(frame, used):
    from sknic.datasets.rows import find_patient_column, similar_ids

    found = find_patient_column(frame, used)
    if found is None:
        typer.echo("no column looks like the patient: every slide counts as a patient of its own")
        return None
    typer.echo(f"slides of one {found!r} stay together; --no-patient if it is not the patient")
    for ids in similar_ids(frame[found].unique()):
        typer.secho(f"warning: {', '.join(map(repr, ids))} in {found!r} are taken for different patients", err=True)
    return found


def make_compressor(encoder, grids, tissue, slide_mpp, device, n_jobs):
    """The SlideCompressor that the options describe."""
    from sknic import SlideCompressor

    return SlideCompressor(
        str(encoder),
        tissue=tissue,
        slide_mpp=slide_mpp,
        cache_dir=grids,
        device=device,
        n_jobs=n_jobs,
        verbose=1,
    )


def tissue_option(tissue, classes=None, exclude=None):
    """--tissue, --classes and --exclude as SlideCompressor takes them."""
    from sknic.slides import Annotations

    if not classes and not exclude:
        return None if tissue == "none" else tissue
    return Annotations(tissue, classes or None, exclude or ())


def slide_mpp_option(value, tables, path_column):
    """--slide-mpp as SlideCompressor takes it: None, a number, or the column of that name of the CSV files."""
    from sknic.datasets.table import MISSING, slide_paths
    from sknic.targets.cells import numbers_of

    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        pass
    if not tables:
        raise typer.BadParameter(f"--slide-mpp {value} is neither a number nor a column: no CSV was given")
    mpp_of = {}
    for table in tables:
        frame = table_of(table, [path_column, value])
        # An empty cell leaves the um/px to the slide's own metadata.
        stated = frame[~frame[value].isin(MISSING)]
        mpp_of |= dict(zip(slide_paths(stated, path_column, table), numbers_of(stated, value)))
    return mpp_of


def are_grid_files(paths):
    """Whether the paths name grids or feature files rather than slides; a mixture is refused."""
    named = [path.lower().endswith((".h5", ".hdf5")) for path in paths]
    if any(named) and not all(named):
        raise typer.BadParameter(f"some files are grids (.h5), some are not: {paths[named.index(False)]}")
    return all(named)


def load_grids(paths, compressor):
    """Grids of the files: read where they are grids, compressed where they are slides.

    Returns
    -------
    ndarray of object, shape (n,)
    """
    import numpy as np

    from sknic import Grid

    if are_grid_files(paths):
        grids = np.empty(len(paths), object)
        grids[:] = [Grid.read(path) for path in paths]
        return grids
    if compressor is None:
        raise typer.BadParameter("slides need --encoder, the file of the encoder that compresses them")
    return compressor.transform(paths)


def make_estimator(task, max_steps, random_state, device, verbose=0):
    """The grid estimator of a task."""
    from sknic.estimators import estimator_for

    return estimator_for(task)(max_steps=max_steps, random_state=random_state, device=device, verbose=verbose)
