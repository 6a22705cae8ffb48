"""Model card: data, splits, results, encoder, versions, limits and TRIPOD+AI, as Markdown and in the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from sknic.report.card_facts import (
    OUTPUTS,
    known_items,
    limits_of,
    limits_of_all,
    slides_digest,
    split_facts,
    target_of,
)
from sknic.report.section import flatten, show
from sknic.report.tables import cohort_table, metrics_table, or_na
from sknic.report.tripod import UNKNOWN, tripod_rows
from sknic.targets import kind_named

if TYPE_CHECKING:
    from sknic.report.document import Report
    from sknic.report.run_folder import RunFolder
# The report has the other tables in other places.
_IN_REPORT = ("What it predicts", "Data", "Splits", "Encoder", "Limits", "TRIPOD+AI")


@dataclass
class ModelCard:
    """Headings, each with a table.

    Attributes
    ----------
    tables : dict of str to DataFrame
        Table under each heading, whose first column names the rows.
    """

    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def add(self, heading: str, rows: dict[str, Any]) -> Self:
        """Add a heading with names and values.

        Parameters
        ----------
        heading : str
            Heading.
        rows : dict of str to object
            Names and values; those that are None are left out.

        Returns
        -------
        ModelCard
            The card itself.
        """
        pairs = [(name, show(value)) for name, value in rows.items() if value is not None]
        self.tables[heading] = pd.DataFrame(pairs, columns=["What", ""])
        return self

    def to_markdown(self, title: str = "Model card") -> str:
        """Write the card as Markdown.

        Parameters
        ----------
        title : str, default="Model card"
            First heading.

        Returns
        -------
        str
            Text that ends in a line end.
        """
        parts = [f"# {title}\n"] + [as_markdown(heading, table) for heading, table in self.tables.items()]
        return "\n".join(parts)

    def add_to(self, report: Report) -> None:
        """Add the card to a report, its tables folded.

        Parameters
        ----------
        report : Report
            Report to add a section to.
        """
        section = report.add_section("Model card")
        section.add_text(
            "What readers of a paper ask about a model. The complete card is in the model folder, where "
            "`sknic verify` checks it."
        )
        for heading in _IN_REPORT:
            section.add_table(self.tables[heading], caption=heading, folded=True)


def as_markdown(heading: str, table: pd.DataFrame) -> str:
    """Write one heading and the table under it as Markdown.

    Parameters
    ----------
    heading : str
        Heading of the second level.
    table : DataFrame
        Table; the index is not written.

    Returns
    -------
    str
        Text that ends in a line end.
    """
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return f"## {heading}\n\n" + "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value):
    return " ".join(show(value).replace("|", "\\|").split())


def card_of_run(run: RunFolder) -> ModelCard:
    """Make the card of an evaluation and its models.

    Parameters
    ----------
    run : RunFolder
        Evaluation; its predictions may have a column "digest", of the slides.

    Returns
    -------
    ModelCard
        The card.
    """
    card = _begin(run.task, run.predictions, run.record, run.errors)
    card.tables["Cohort"] = cohort_table(run)
    splits, proof = split_facts(run.predictions)
    card.add("Splits", splits)
    results = metrics_table(run)
    card.tables["Results on slides that the model had not seen"] = results
    if run.verdict is not None:
        card.add("What the results mean", {"verdict": run.verdict, **_fold_scores(run.verdict)})
    said = {name: _said(row) for name, row in zip(run.metrics, results.to_dict("records"))}
    known = {
        "12a": proof,
        "12e": ", ".join(results["metric"]),
        "23a": "; ".join(said.values()),
        "23b": "by fold: " + ", ".join(_fold_scores(run.verdict).values()) if run.verdict else None,
        "26": "see Limits",
    }
    return _end(card, run.task, run.predictions, run.record, run.errors, known, limits_of(run))


def card_of_fit(task: str, table: pd.DataFrame, record: dict, errors: dict[str, str]) -> ModelCard:
    """Make the card of a model that was trained on all slides and not evaluated.

    Parameters
    ----------
    task : str
        Kind of target.
    table : DataFrame
        One row per slide: "slide", "digest", the target, and optionally "patient".
    record : dict
        Content of run.json.
    errors : dict of str to str
        Slides that were left out, and why.

    Returns
    -------
    ModelCard
        The card.
    """
    card = _begin(task, table, record, errors)
    card.add("Cohort", kind_named(task).summary(table, table))
    card.add("Splits", {"none": "the model learnt from all slides; nothing was held out to measure it"})
    limits = {
        "results": "none: `sknic evaluate` on the same table measures the recipe, and `sknic predict` on a table "
        "with targets this model"
    }
    return _end(card, task, table, record, errors, {}, {**limits, **limits_of_all(table)})


def _begin(task, table, record, errors):
    card = ModelCard().add(
        "What it predicts",
        {
            "target": target_of(task, record),
            "output": OUTPUTS.get(task),
            "made": record.get("when"),
            "by": f"sknic {record.get('command', '')}".strip(),
            "intended use": "research, not a medical device; the purpose is to be written by the authors",
        },
    )
    slides = {
        "slides": len(table),
        "patients": table["patient"].nunique() if "patient" in table else "not named: every slide counts as one",
        "slides known by digest": int((table["digest"] != "").sum()) if "digest" in table else "none",
        "digest of the list of slides": slides_digest(table),
        "left out": _left_out(errors),
    }
    return card.add("Data", slides)


def _left_out(errors):
    return f"{len(errors)}: " + "; ".join(sorted(set(errors.values()))) if errors else "none"


def _end(card, task, table, record, errors, known, limits):
    settings = record.get("settings", {})
    card.add("Encoder", record.get("encoder") or {"encoder": UNKNOWN})
    card.add("Training", {name: value for name, value in flatten(settings).items() if not name.startswith("columns.")})
    card.add("Versions", {**record.get("versions", {}), **record.get("machine", {})})
    card.add("Limits", limits)
    known = {**known_items(task, table, record, _left_out(errors)), **known}
    rows = tripod_rows({number: text for number, text in known.items() if text})
    card.tables["TRIPOD+AI"] = pd.DataFrame(rows, columns=["Item", "Topic", "What is known"])
    names = pd.DataFrame({"Slide": [Path(slide).name for slide in table["slide"]]})
    card.tables["Slides"] = names.assign(Digest=list(table["digest"])) if "digest" in table else names
    return card


def _fold_scores(verdict):
    return {
        f"{verdict.metric} of fold {fold}": or_na(score, f"{score:.3f}")
        for fold, score in enumerate(verdict.fold_scores)
    }


def _said(row):
    return f"{row['metric']} {row['value']}, interval {row['interval']}, {row['n']}"
