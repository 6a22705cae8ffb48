"""Read a table of slides, targets and patients: the first step of `fit` and `evaluate`."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import typer

from sknic.cli import options
from sknic.cli.inputs import table_of
from sknic.cli.settings import Compression, choose, slide_mpp_option


@dataclass(frozen=True)
class CohortOptions:
    """The options of `fit` and `evaluate` that define the data: columns, patients, encoder, grids."""

    PANELS: ClassVar[dict[str, str]] = {
        "path": "Slides, patients and targets",
        "encoder": "Compression (options that are not given are taken from existing grids)",
    }

    path: options.PathColumn = "path"
    patient: options.PatientColumn = None
    no_patient: options.NoPatient = False
    target: options.TargetColumn = None
    event: options.EventColumn = "event"
    event_value: options.EventValue = None
    time: options.TimeColumn = "time"
    on_error: options.OnError = "raise"
    encoder: options.Encoder = None
    grids: options.Grids = None
    slide_mpp: options.SlideMpp = None
    tissue: options.TissueOfGrids = None
    classes: options.Classes = None
    exclude: options.Exclude = None

    def columns(self, task):
        """Column of each role that a kind of target has."""
        from sknic.targets import kind_named

        return {role: getattr(self, role) for role in kind_named(task).roles}

    def meaning(self, task):
        """What an external test has to read as the training did, as stored in the record of a model."""
        return {"columns": self.columns(task), "event_value": self.event_value, "patient": self.patient}

    @property
    def masks(self):
        """The options that define the tissue."""
        return {"tissue": self.tissue, "classes": self.classes, "exclude": self.exclude}

    def read(self, table, task, out):
        """Read the table, and decide how its slides are compressed.

        Parameters
        ----------
        table, out : Path
            The table, and the folder of the command's results.
        task : str
            Name of the kind of target.

        Returns
        -------
        Prepared
            The input of a command.
        """
        columns = {"target": self.target, "event": self.event, "time": self.time}
        patients = {"patient": self.patient, "no_patient": self.no_patient}
        targets = read_targets(table, task, columns, path=self.path, event_value=self.event_value, **patients)
        mpp = slide_mpp_option(self.slide_mpp, [table], self.path)
        folder = self.grids or out / "grids"
        return Prepared(targets, folder, choose(targets.paths, self.encoder, self.masks, folder, mpp))


@dataclass(frozen=True)
class Prepared:
    """Targets, the folder of their grids, and how slides are compressed (None if the table lists grids)."""

    targets: "Targets"
    folder: Path
    compression: Compression | None

    def compressor(self, device, n_jobs):
        """The SlideCompressor, or None if the table lists grids."""
        return self.compression.compressor(self.folder, device, n_jobs) if self.compression else None


@dataclass(frozen=True)
class Targets:
    """The rows of a table: paths, y as the estimator of the task takes it, and patients or None."""

    paths: list[str]
    y: Any
    patients: Any

    def select(self, rows):
        """Targets of the given rows only."""
        patients = None if self.patients is None else self.patients[rows]
        return Targets([self.paths[row] for row in rows], self.y[rows], patients)

    def describe(self, kind):
        """Number of slides and patients, and the distribution of the target, in one line."""
        n_patients = len(self.paths) if self.patients is None else len(set(self.patients))
        return f"{len(self.paths)} slides of {n_patients} patients; {kind.describe(self.y)}"


def read_targets(table, task, columns, *, path, patient=None, no_patient=False, event_value=None):
    """Read a table of slides and their targets, and print how it was understood.

    Parameters
    ----------
    table : Path
    task : str
        Name of the kind of target.
    columns : dict of str to str or None
        Column of each role that a kind of target may have.
    path, patient : str
        Columns of files and patients; without `patient` a column that looks like patients is used, unless `no_patient`.
    event_value : str, optional

    Returns
    -------
    Targets
    """
    from sknic.datasets.rows import refuse_other_barcodes, refuse_repeated_slides
    from sknic.datasets.table import slide_paths
    from sknic.exceptions import DatasetError
    from sknic.targets import kind_named

    if patient and no_patient:
        raise typer.BadParameter(f"--patient {patient} and --no-patient contradict each other; expected one of them")
    kind = kind_named(task)
    used = {role: columns[role] for role in kind.roles}
    for role, column in used.items():
        if column is None:
            raise typer.BadParameter(f"--task {task} needs --{role}, the column to learn")
    _refuse_one_column_twice({"path": path, **({"patient": patient} if patient else {}), **used})
    others = [path, *used.values()]
    frame = table_of(table, [*others, *([patient] if patient else [])])
    paths = slide_paths(frame, path, table)
    if not no_patient:
        patient = _patient_column(frame, patient, others, table)
    if patient:
        patients = _patients_in(frame, patient, table)
        refuse_other_barcodes(paths, patients, frame.index, table)
    else:
        patients = None if no_patient else _patients_by_name(paths)
    try:
        y, note = kind.from_table(frame, used, event_value)
    except ValueError as error:
        raise DatasetError(f"{table}: {error}") from error
    refuse_repeated_slides(paths, list(frame.index), [str(value) for value in y], table)
    targets = Targets(paths, y, patients)
    typer.echo(targets.describe(kind))
    if note:
        typer.echo(note)
    if kind.is_of_patient and patients is not None:
        _warn_of_contradictions(targets, repr(patient) if patient else "the names of the files")
    return targets


def _refuse_one_column_twice(used):
    counts = Counter(used.values())
    twice = [role for role, column in used.items() if counts[column] > 1]
    if twice:
        options = " and ".join(f"--{role}" for role in twice)
        raise typer.BadParameter(f"{options} name the same column, {used[twice[0]]!r}")


def _patient_column(frame, given, used, table):
    """The given column of patients, or else one that looks like patients; None if there is neither."""
    column = _found_patient(frame, used, table) if given is None else given
    if column:
        _warn_of_better(frame, column, used)
    return column


def _patients_in(frame, column, table):
    """The patient of each row, from a column without empty cells."""
    from sknic.datasets.table import need_patients

    need_patients(frame, column, table)
    _warn_of_similar(frame[column], column)
    return frame[column].to_numpy(object)


def _found_patient(frame, used, table):
    from sknic.datasets.rows import find_patient_column
    from sknic.datasets.table import need_column

    found = find_patient_column(frame, used)
    if found is not None:
        need_column(frame, found, table)
        typer.echo(f"slides of one {found!r} stay together; use --no-patient if this column does not name the patient")
    return found


def _warn_of_better(frame, patient, used):
    """Say where another column that looks like the patient keeps rows together that the chosen one divides."""
    from sknic.datasets.rows import find_patient_column

    other = find_patient_column(frame, [patient, *used])
    if other is None or list(frame.columns).count(other) > 1:
        return
    n_divided = (frame.groupby(other)[patient].nunique() > 1).sum()
    if n_divided:
        typer.secho(
            f"warning: --patient {patient} divides {n_divided} of {frame[other].nunique()} values of {other!r}, which "
            "looks like the patient: slides of one of them may be on both sides of a split",
            err=True,
        )


def _patients_by_name(paths):
    """Patients from the TCGA barcodes in the file names, if no column names them."""
    import numpy as np

    from sknic.datasets.rows import tcga_patients

    found = tcga_patients(paths)
    if found is None:
        typer.echo("no column looks like patients: every slide counts as a patient of its own")
        return None
    typer.echo("slides of one TCGA patient (from the file names) stay together; use --no-patient if they should not")
    others = [path for path, patient in zip(paths, found) if path == patient]
    if others:
        typer.echo(f"{len(others)} files without a TCGA barcode, such as {others[0]}, count as a patient each")
    return np.array(found, object)


def _warn_of_similar(patients, column):
    from sknic.datasets.rows import similar_ids

    for ids in similar_ids(patients.unique()):
        typer.secho(f"warning: {', '.join(map(repr, ids))} in {column!r} are treated as different patients", err=True)


def _warn_of_contradictions(targets, column):
    """Warn of patients whose slides have different targets, before hours are spent on them."""
    said: dict[str, set] = {}
    for patient, value in zip(targets.patients, targets.y):
        said.setdefault(patient, set()).add(str(value))
    several = [patient for patient, values in said.items() if len(values) > 1]
    if several:
        typer.secho(
            f"warning: {len(several)} of {len(said)} patients in {column} have slides with different targets, for "
            f"instance {several[0]!r}; results by patient cannot be computed",
            err=True,
        )


def usable(targets, task, loaded, on_error):
    """Targets and grids of the slides that can be used; if some are left out, the rest is described in one line."""
    from sknic.cli.grids import refuse_or_skip
    from sknic.targets import kind_named

    rows = refuse_or_skip(targets.paths, loaded, on_error)
    _refuse_two_grids_of_a_slide([targets.paths[row] for row in rows], loaded.grids[rows])
    if len(rows) == len(targets.paths):
        return targets, loaded.grids
    left = targets.select(rows)
    typer.echo(f"remaining: {left.describe(kind_named(task))}")
    return left, loaded.grids[rows]


def _refuse_two_grids_of_a_slide(paths, grids):
    from sknic.evaluation.same_slide import slide_names
    from sknic.exceptions import DatasetError

    path_of: dict[str, str] = {}
    for path, names in zip(paths, slide_names(grids)):
        for name in names:
            if (other := path_of.setdefault(name, path)) != path:
                raise DatasetError(f"{other} and {path} are grids of the same slide; keep one row per slide")
