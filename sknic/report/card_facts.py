"""Content of a model card: the proof that splits are clean, limits, the encoder, and items of TRIPOD+AI."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sknic.evaluation.verdict import LEARNT
from sknic.files.digests import digest_of
from sknic.report.section import show
from sknic.report.tripod import UNKNOWN
from sknic.targets import kind_named

if TYPE_CHECKING:
    import pandas as pd

    from sknic.report.run_folder import RunFolder

# Patients below which a card says that they are few.
_FEW = 100
OUTPUTS = {
    "regression": "a number, on the scale of the column",
    "classification": "a probability of each class, and the class of the highest one",
    "survival": "a risk: the logarithm of the hazard ratio to the mean slide of the training",
}
# Module of the settings, as run.json has it: what predicts from the embeddings, and what it knows of their positions.
_CNN = ("a convolutional network on grids", "with their positions")
_MODULES = {
    "None": _CNN,
    "<class 'sknic.estimators.network.GridCNN'>": _CNN,
    "<class 'sknic.estimators.network.AttentionMIL'>": (
        "attention over a bag of embeddings",
        "without their positions",
    ),
}


def target_of(task: str, record: dict) -> str:
    """Name the target and its columns.

    Parameters
    ----------
    task : str
        Kind of target.
    record : dict
        Content of run.json.

    Returns
    -------
    str
        In words.
    """
    columns = record.get("settings", {}).get("columns") or {}
    target = ", ".join(f"{role} from column {column!r}" for role, column in columns.items())
    return f"{task}: {target}" if target else task


def n_folds_by(table: pd.DataFrame, column: str) -> pd.Series:
    """Count the folds in which each patient, slide or digest was tested.

    Parameters
    ----------
    table : DataFrame
        Predictions, with the column "fold".
    column : str
        "patient", "slide" or "digest".

    Returns
    -------
    Series of int
        Number of folds by name; empty if there is no such column, or nothing in it.
    """
    if column not in table:
        return table["fold"].iloc[:0]
    return table[table[column] != ""].groupby(column)["fold"].nunique()


def split_facts(table: pd.DataFrame) -> tuple[dict[str, str], str]:
    """Prove that no patient and no slide was on both sides of a fold, or name one that was.

    Parameters
    ----------
    table : DataFrame
        Predictions: "slide", "fold" and optionally "patient" and "digest".

    Returns
    -------
    facts : dict of str to str
        Rows of a card.
    proof : str
        The same in a sentence.
    """
    if "fold" not in table:
        return {"folds": "not recorded"}, "not recorded"
    facts = {"folds": str(table["fold"].nunique())}
    for column, what in (("patient", "patients"), ("slide", "slides, by path"), ("digest", "slides, by digest")):
        folds = n_folds_by(table, column)
        if not len(folds):
            facts[what] = "not recorded" if column == "digest" else "every slide counts as a patient of its own"
            continue
        both = folds.index[folds > 1]
        bad = f", for instance {both[0]!r}" if len(both) else ""
        facts[what] = f"{len(folds)}, each tested in one fold; in two folds: {len(both)}{bad}"
    proof = "; ".join(f"{what}: {said}" for what, said in facts.items())
    return facts, f"cross-validation by patient; {proof}"


def slides_digest(table: pd.DataFrame) -> str:
    """A digest of the list of slides: by their own digests, or by name if they have none.

    Parameters
    ----------
    table : DataFrame
        Columns "slide" and optionally "digest".

    Returns
    -------
    str
        SHA-256 of the sorted list, hexadecimal; it does not depend on folders or order.
    """
    digests = table["digest"] if "digest" in table else [""] * len(table)
    names = sorted(digest or Path(slide).name for slide, digest in zip(table["slide"], digests))
    return hashlib.sha256("\n".join(names).encode("utf-8", "surrogateescape")).hexdigest()


def limits_of(run: RunFolder) -> dict[str, str]:
    """Limits that the numbers of an evaluation show, by topic.

    Parameters
    ----------
    run : RunFolder
        Evaluation.

    Returns
    -------
    dict of str to str
        Rows of a card.
    """
    limits = {}
    if run.verdict is not None and run.verdict.outcome != LEARNT:
        limits["evidence"] = str(run.verdict)
    unknown = {name: estimate.reason for name, estimate in run.metrics.items() if estimate.reason}
    if unknown:
        limits["not measured"] = "; ".join(f"{name}: {reason}" for name, reason in unknown.items())
    limits["validation"] = "cross-validation in one cohort; external tests, if any, are below"
    return limits | limits_of_all(run.predictions)


def limits_of_all(table: pd.DataFrame) -> dict[str, str]:
    """Limits of every model, measured or not.

    Parameters
    ----------
    table : DataFrame
        One row per slide.

    Returns
    -------
    dict of str to str
        Rows of a card.
    """
    n = table["patient"].nunique() if "patient" in table else len(table)
    limits = {"number of patients": f"{n}: few, so intervals are wide" if n < _FEW else str(n)}
    limits["centers, scanners, stains"] = "not recorded; on slides from elsewhere the model may do worse"
    return limits | {"groups of patients": "age, sex, origin: not recorded, so fairness was not measured"}


def encoder_facts(path: str | Path | None, fingerprint: str | None = None) -> dict[str, Any]:
    """Collect what is known about an encoder: name, license, digest and scale.

    Parameters
    ----------
    path : str, Path or None
        File of the encoder, or name of a bundled one; None if grids were given.
    fingerprint : str, default=None
        Fingerprint of the encoder in the grids.

    Returns
    -------
    dict of str to object
        Rows of a card.
    """
    from sknic.encoders.catalog import encoder_path, identify, list_encoders

    if path is None:
        return {"encoder": "the encoder of the given grids", "fingerprint": fingerprint, "license": UNKNOWN}
    file = encoder_path(path)
    name, digest = identify(file), digest_of(file)
    facts = {"encoder": name or file.name, "sha256": digest, "fingerprint": fingerprint}
    if name is None:
        return {**facts, "license": UNKNOWN}
    row = list_encoders().loc[name]
    return {**facts, "learnt": row["about"], "license": row["license"], "um/px": row["mpp"], "source": _source(row)}


def _source(row):
    return "bundled with sknic" if row["bundled"] else row["source"]


def known_items(task: str, table: pd.DataFrame, record: dict, left_out: str) -> dict[str, str | None]:
    """Answer the items of TRIPOD+AI that are known from every training.

    Parameters
    ----------
    task : str
        Kind of target.
    table : DataFrame
        One row per slide.
    record : dict
        Content of run.json.
    left_out : str
        Slides that were left out, in words.

    Returns
    -------
    dict of str to str or None
        Text by number of the item; None if unknown.
    """
    settings = record.get("settings", {})
    patients = f" of {table['patient'].nunique()} patients" if "patient" in table else ""
    counts = f"{len(table)} slides{patients}"
    spread = kind_named(task).summary(table, table)
    balanced = settings.get("balanced")
    # Another module, or none that is recorded, is known to the authors only.
    network, positions = _MODULES.get(str(settings.get("module", UNKNOWN)), (None, None))
    return {
        "5a": f"{counts}, by name and digest under Slides; their origin is to be written by the authors",
        "7": "slides compressed by the encoder to grids of embeddings; settings under Training",
        "8a": target_of(task, record),
        "9b": positions and f"the encoder's embeddings of a slide's tissue, {positions}; no clinical data",
        "10": f"{counts}; the sample size was not calculated in advance",
        "11": f"slides left out: {left_out}; rows without target are refused",
        "12b": "channels standardized over the tissue of the training slides" if settings.get("standardize") else None,
        "12c": network and f"{network}; every parameter under Training",
        "12g": "`sknic predict` on the files of this folder",
        "13": None if balanced is None else f"batches of classes in equal shares: {show(bool(balanced))}",
        "15": OUTPUTS.get(task),
        "18f": f"sknic {record.get('versions', {}).get('sknic', '')}, open source",
        "20b": "target: " + ", ".join(f"{name} {show(value)}" for name, value in spread.items()),
        "21": f"{counts}; " + ", ".join(f"{name} {show(value)}" for name, value in spread.items()),
        "22": "the weights and settings in this folder",
        "27a": "slides that cannot be read, have no tissue, or are of another scale are refused with the reason",
    }
