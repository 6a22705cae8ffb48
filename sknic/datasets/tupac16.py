"""TUPAC16: breast cancer slides with mitosis and molecular proliferation scores (the paper's section 4.2)."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sknic.datasets.cohort import Cohort
from sknic.datasets.slide_files import report_missing, slide_files
from sknic.datasets.table import need_cells, read_table, typed
from sknic.exceptions import DatasetError

_SCORES = ("mitosis_score", "molecular_score")


def load_tupac16(slides_dir: str | Path, truth_csv: str | Path, *, on_missing: str = "raise") -> Cohort:
    """Join the slides of TUPAC16 to their scores.

    The 500 training slides (TUPAC-TR-001.svs and so on, several hundred GB) come from TCGA and are distributed by the
    organizers at https://tupac.grand-challenge.org. The labels of the 321 test slides are not public.

    Parameters
    ----------
    slides_dir : str or Path
        Folder with the slides, subfolders included; a slide belongs to the id its name ends with.
    truth_csv : str or Path
        Columns id, mitosis_score (1 to 3), molecular_score.
    on_missing : {"raise", "skip"}
        What to do about ids without a slide: DatasetError, or a warning and ``cohort.missing``.

    Returns
    -------
    Cohort
        ``table``: slide, patient (the id), score (the molecular one), mitosis_score, molecular_score.

    Raises
    ------
    DatasetError
        If there are no slides, the table is malformed, an id has several slides, or slides are missing (all are
        listed).
    """
    truth = read_table(truth_csv, ("id", *_SCORES))
    need_cells(truth, ["id"], truth_csv)
    truth[list(_SCORES)] = truth[list(_SCORES)].apply(typed)
    if truth["id"].duplicated().any():
        raise DatasetError(f"{truth_csv}: these ids occur twice: {sorted(set(truth['id'][truth['id'].duplicated()]))}")
    unscored = truth[list(_SCORES)].isna().any(axis=1)
    if unscored.any():
        raise DatasetError(f"{truth_csv}: scores are missing for the ids {truth['id'][unscored].tolist()}")
    text = [name for name in _SCORES if truth[name].dtype.kind not in "if"]
    if text:
        raise DatasetError(f"{truth_csv}: column {text[0]!r} is not of numbers")
    impossible = ~np.isfinite(truth["molecular_score"]) | ~truth["mitosis_score"].isin([1, 2, 3])
    if impossible.any():
        raise DatasetError(f"{truth_csv}: scores are impossible for the ids {truth['id'][impossible].tolist()}")
    paths = _by_id(slide_files(slides_dir), truth["id"])
    there = truth["id"].isin(paths)
    missing = truth["id"][~there].tolist()
    report_missing(missing, on_missing, len(truth), slides_dir)
    truth = truth[there].reset_index(drop=True)
    table = truth[list(_SCORES)].copy()
    table.insert(0, "slide", [paths[name][0] for name in truth["id"]])
    table.insert(1, "patient", truth["id"])
    table.insert(2, "score", truth["molecular_score"].astype(float))
    return Cohort([paths[name][1] for name in truth["id"]], table, missing=missing)


def _by_id(files, ids):
    """id to (stem, path): the digits that end a stem name its id."""
    ids, found = set(ids), {}
    for path in files:
        stem = Path(path).stem
        match = re.search(r"(\d+)$", stem)
        is_test = re.search(r"(?<![A-Za-z])TE(?![A-Za-z])", stem)  # these are numbered from 1, too
        if match is None or match[1] not in ids or is_test:
            continue
        if match[1] in found:
            raise DatasetError(f"two slides for id {match[1]}: {found[match[1]][1]} and {path}")
        found[match[1]] = stem, path
    return found
