"""RunFolder: the files of an evaluation, from which its report can be made again.

===================  ==================================================================================================
predictions.csv      one row per slide: ``slide`` and optionally ``digest``, ``patient`` and ``fold``, then by task

                     - regression: ``target``, ``prediction``
                     - classification: ``target``, ``prediction`` and ``probability <class>`` for each class
                     - survival: ``event`` (0 or 1), ``time``, ``prediction`` (a risk) and optionally ``survival at T``,
                       the probability of surviving time T, for some times

                     and optionally ``spread``: how far the members of a model are apart, and ``error``: why a slide was
                     left out, whose row has nothing else
metrics.json         ``{name: {"value", "low", "high", "level", "n"}}``: one :class:`sknic.evaluation.Estimate` each
verdict.json         one :class:`sknic.evaluation.Verdict`: score, chance, baseline, score of each fold; may be missing
added_value.json     one :class:`sknic.report.questions.Question`, as is ``arrangement.json``: what the slide adds to
                     clinical data, and whether the arrangement of tissue is used; for some
history.csv          one row per evaluation: optionally ``fold``, then ``epoch``, ``step``, ``train_loss``,
                     ``valid_loss``, ``lr``, ``event_best``; may be missing
run.json             ``{"command", "when", "settings": {"task", ...}, "versions", "machine", "encoder"}``
overlays/NAME.png    saliency over the thumbnail of the slide of that name; for some
===================  ==================================================================================================
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from PIL import Image

from sknic.datasets.table import need_cells, read_table, typed
from sknic.evaluation import Estimate, Verdict
from sknic.exceptions import DatasetError, RunFolderError
from sknic.files.records import read_json, with_nan, write_json
from sknic.files.whole import whole_file
from sknic.report.questions import QUESTIONS, Question
from sknic.targets import Target, kind_named
from sknic.targets.rows import PROBABILITY

# What comes before a time in the name of a column.
SURVIVAL_AT = "survival at "


@dataclass(frozen=True, eq=False)
class RunFolder:
    """An evaluation, as stored in its folder.

    Attributes
    ----------
    task : str
        "regression", "classification" or "survival".
    predictions : DataFrame
        One row per slide, with the columns described in the module.
    metrics : dict of str to Estimate
        Value and interval of each metric of the kind of target.
    history : DataFrame or None
        One row per evaluation of each fold's training; None if unknown.
    record : dict
        Content of run.json.
    overlays : dict of str to uint8 ndarray (height, width, 3)
        By the name of the slide: :func:`sknic.files.names.unique_names`.
    errors : dict of str to str
        Slides that were left out, and why; in predictions.csv they are rows with an ``error`` and without prediction.
    verdict : Verdict or None
        The main metric compared with chance and with the baseline.
    questions : dict of str to Question
        "added_value" and "arrangement", if they were asked.
    """

    task: str
    predictions: pd.DataFrame
    metrics: dict
    history: pd.DataFrame | None = None
    record: dict = field(default_factory=dict)
    overlays: dict = field(default_factory=dict)
    errors: dict = field(default_factory=dict)
    verdict: Verdict | None = None
    questions: dict = field(default_factory=dict)

    def __post_init__(self):
        try:
            kind = kind_named(self.task)
        except ValueError as error:
            raise RunFolderError(str(error)) from error
        missing = [name for name in ("slide", *kind.required_columns) if name not in self.predictions]
        if missing:
            raise RunFolderError(f"the predictions have no column {missing[0]!r}, which {self.task} needs")

    @property
    def kind(self) -> Target:
        """Kind of the target."""
        return kind_named(self.task)

    @classmethod
    def read(cls, folder: str | Path) -> Self:
        """Read a folder.

        Parameters
        ----------
        folder : str or Path
            Folder of the evaluation.

        Returns
        -------
        RunFolder
            What it holds.

        Raises
        ------
        RunFolderError
            If the folder was not written by `sknic evaluate`, or is damaged.
        """
        folder = Path(folder)
        try:
            record = read_json(folder / "run.json")
            task = record["settings"]["task"]
            predictions, errors = _read_predictions(folder / "predictions.csv", task, record.get("n_slides"))
            metrics = read_json(folder / "metrics.json")
            metrics = {name: Estimate(**with_nan(values)) for name, values in metrics.items()}
            history = _read_history(folder / "history.csv")
            verdict = _read_verdict(folder / "verdict.json")
            questions = {name: Question.read(folder / f"{name}.json") for name in QUESTIONS}
            overlays = {path.stem: _read_image(path) for path in sorted((folder / "overlays").glob("*.png"))}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, DatasetError) as error:
            reason = f"one of its files has no {error}" if isinstance(error, KeyError) else error
            raise RunFolderError(f"{folder} was not written by `sknic evaluate`: {reason}") from error
        asked = {name: question for name, question in questions.items() if question is not None}
        return cls(task, predictions, metrics, history, record, overlays, errors, verdict, asked)

    def write(self, folder: str | Path) -> None:
        """Write everything but run.json, which the command writes; each file completely or not at all.

        Parameters
        ----------
        folder : str or Path
            Folder of the evaluation; created if missing.
        """
        folder = Path(folder)
        with whole_file(folder / "predictions.csv") as temporary:
            _with_errors(self.predictions, self.errors).to_csv(temporary, index=False, errors="surrogateescape")
        write_json(folder / "metrics.json", {name: asdict(estimate) for name, estimate in self.metrics.items()})
        if self.verdict is not None:
            write_json(folder / "verdict.json", asdict(self.verdict))
        if self.history is not None:
            with whole_file(folder / "history.csv") as temporary:
                self.history.to_csv(temporary, index=False)
        self.write_questions(folder)
        self.write_overlays(folder)

    def write_questions(self, folder: str | Path) -> None:
        """Write only the questions, if they are answered after everything else was written.

        Parameters
        ----------
        folder : str or Path
            Folder of the evaluation.
        """
        for name, question in self.questions.items():
            question.write(Path(folder) / f"{name}.json")

    def write_overlays(self, folder: str | Path) -> None:
        """Write only the pictures, if they are drawn after everything else was written.

        Parameters
        ----------
        folder : str or Path
            Folder of the evaluation.
        """
        for name, image in self.overlays.items():
            with whole_file(Path(folder) / "overlays" / f"{name}.png") as temporary:
                Image.fromarray(image).save(temporary, format="PNG")

    @property
    def classes(self) -> list[str]:
        """Labels of a classification as strings, in the order of the model's classes; the second of two is positive.

        That is the order of the columns of probabilities: numbers may be sorted as numbers or, from a table, as text.
        """
        labels = sorted(self.predictions["target"].astype(str).unique())
        columns = [f"{PROBABILITY}{label}" for label in labels]
        of_model = [name.removeprefix(PROBABILITY) for name in self.predictions if name in columns]
        return of_model if len(of_model) == len(labels) else labels

    @property
    def for_metrics(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Truth and prediction of each slide, and classes, in the order of columns that metrics take."""
        truth = self.truth
        classes = np.unique(truth) if self.kind.text_columns else None
        return truth, self.kind.prediction_of(self.predictions, classes), classes

    @property
    def survival_times(self) -> list[float]:
        """Times for which there is a survival probability, ascending."""
        return [float(name.removeprefix(SURVIVAL_AT)) for name in self.survival]

    @property
    def survival(self) -> pd.DataFrame:
        """Probabilities of surviving each of `survival_times`; without columns if there are none."""
        return self.predictions[[name for name in self.predictions if name.startswith(SURVIVAL_AT)]]

    @property
    def truth(self) -> np.ndarray:
        """Target of each slide, in the form of the kind of target."""
        roles = {role: role for role in self.kind.roles}
        return self.kind.from_table(self.predictions[list(roles)].astype(str), roles)[0]

    @property
    def patients(self) -> np.ndarray | None:
        """Patient of each slide, or None."""
        return self.predictions["patient"].to_numpy() if "patient" in self.predictions else None


def _with_errors(predictions, errors):
    """The predictions, and below them a row for each slide that was left out."""
    if not errors:
        return predictions
    left_out = pd.DataFrame({"slide": list(errors), "error": list(errors.values())})
    # Int64, for a fold of a row without one is missing, and 1 does not become 1.0.
    whole = {name: "Int64" for name in predictions if predictions[name].dtype.kind == "i"}
    return pd.concat([predictions.astype(whole).assign(error=""), left_out], ignore_index=True)


def _read_predictions(path, task, n_slides=None):
    """The predictions of a file, and the errors of the slides that were left out."""
    table = read_table(path, ["slide"]).reset_index(drop=True)
    errors = {}
    if "error" in table:
        bad = table["error"] != ""
        errors = dict(zip(table["slide"][bad], table["error"][bad]))
        table = table[~bad].drop(columns="error").reset_index(drop=True)
    need_cells(table, [name for name in kind_named(task).required_columns if name in table], path)
    if n_slides not in (None, len(table)):
        raise ValueError(f"{path} has {len(table)} predictions, and run.json says {n_slides}: it was cut off or edited")
    texts = ("slide", "digest", "patient", *kind_named(task).text_columns)
    return table.apply(lambda column: column if column.name in texts else typed(column)), errors


def _read_history(path):
    """The rows of a training; None if there is no such file."""
    if not path.exists():
        return None
    table = read_table(path, ["train_loss"]).reset_index(drop=True).apply(typed)
    if table["train_loss"].dtype == object:
        raise ValueError(f"{path} is damaged: its losses are not numbers")
    return table


def _read_verdict(path):
    return Verdict.from_dict(read_json(path)) if path.exists() else None


def _read_image(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
