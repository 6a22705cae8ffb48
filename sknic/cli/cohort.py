"""From a CSV to grids and targets: what `fit`, `evaluate` and `predict` begin with."""

from dataclasses import dataclass
from typing import Any

import typer

from sknic.cli.common import read_table
from sknic.cli.options import Task


@dataclass(frozen=True)
class Targets:
    """The rows of a CSV: paths, y as the estimator of the task takes it, and patients or None."""

    paths: list[str]
    y: Any
    patients: Any


def read_targets(table, task, path, patient, target, event, time):
    """Read a CSV.

    Returns
    -------
    Targets
    """
    columns = [path, patient, *([event, time] if task == Task.survival else [target])]
    if task != Task.survival and target is None:
        raise typer.BadParameter(f"--task {task} needs --target, the column to learn")
    frame = read_table(table, columns)
    wanted = [column for column in columns if column]
    empty = frame[wanted].isna().any(axis=1)
    if empty.any():
        raise typer.BadParameter(
            f"{table} lacks {', '.join(wanted)} in {empty.sum()} rows, first in row {empty.argmax() + 2}"
        )
    return Targets(
        list(frame[path]), _targets(frame, task, target, event, time), frame[patient].to_numpy() if patient else None
    )


def _targets(frame, task, target, event, time):
    if task == Task.survival:
        from sksurv.util import Surv

        return Surv.from_arrays(frame[event].astype(bool), frame[time].astype(float))
    return frame[target].to_numpy(float if task == Task.regression else None)


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
    if value is None:
        return None
    try:
        return float(value)
    except ValueError:
        frames = [read_table(table, [path_column, value]) for table in tables]
    if not frames:
        raise typer.BadParameter(f"--slide-mpp {value} is neither a number nor a column: no CSV was given")
    return {path: float(mpp) for frame in frames for path, mpp in zip(frame[path_column], frame[value])}


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
    from sknic import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival

    kinds = {Task.regression: GridCNNRegressor, Task.classification: GridCNNClassifier, Task.survival: GridCoxSurvival}
    return kinds[task](max_steps=max_steps, random_state=random_state, device=device, verbose=verbose)
