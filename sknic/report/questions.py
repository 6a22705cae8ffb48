"""What is asked beside the score: does the slide add to clinical data, and is the arrangement of tissue used?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sknic.evaluation.results import Estimate
from sknic.files.records import read_json, with_nan, write_json

if TYPE_CHECKING:
    from sknic.evaluation import AddedValue, ArrangementTest

# Name of the file of each, without its suffix, and its heading in the report.
QUESTIONS = {
    "added_value": "What the slide adds to clinical data",
    "arrangement": "Whether the arrangement of tissue is used",
}


@dataclass(frozen=True)
class Question:
    """Models measured on the same slides, and what follows from it.

    Attributes
    ----------
    metric : str
        Name of the metric.
    scores : dict of str to Estimate
        Score of each model, out of fold.
    differences : dict of str to Estimate
        Paired differences, named by what they measure.
    chance : float or None
        Score of a model that has learnt nothing; None if unknown.
    sentence : str
        The answer in words.
    """

    metric: str
    scores: dict[str, Estimate]
    differences: dict[str, Estimate]
    chance: float | None
    sentence: str

    @classmethod
    def of_added_value(cls, found: AddedValue) -> Self:
        """Take over what the slide adds to clinical data.

        Parameters
        ----------
        found : AddedValue
            Result of :func:`sknic.evaluation.added_value`.

        Returns
        -------
        Question
            Without predictions.
        """
        names = {"table": "clinical data alone", "slide": "slide alone", "both": "both"}
        scores = {names[side]: score for side, score in found.scores.items()}
        differences = {"the slide adds": found.of_slide.difference, "clinical data add": found.of_table.difference}
        return cls(found.metric, scores, differences, found.chance, str(found))

    @classmethod
    def of_arrangement(cls, found: ArrangementTest) -> Self:
        """Take over a test of arrangement.

        Parameters
        ----------
        found : ArrangementTest
            Result of :func:`sknic.evaluation.arrangement_test`.

        Returns
        -------
        Question
        """
        against = {"cells shuffled": found.shuffled, "attention": found.attention, "linear model": found.pooled}
        differences = {
            f"in place, less {name}": comparison.difference
            for name, comparison in against.items()
            if comparison is not None
        }
        return cls(found.metric, found.scores, differences, found.chance, str(found))

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Read it from its file.

        Parameters
        ----------
        path : Path
            JSON file.

        Returns
        -------
        Question or None
            None if there is no such file.
        """
        if not path.exists():
            return None
        values = read_json(path)
        estimates = {
            part: {name: Estimate(**with_nan(value)) for name, value in values[part].items()}
            for part in ("scores", "differences")
        }
        return cls(**{**values, **estimates})

    def write(self, path: Path) -> None:
        """Write it to its file.

        Parameters
        ----------
        path : Path
            JSON file.
        """
        write_json(path, asdict(self))
