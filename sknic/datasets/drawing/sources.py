"""Material for a cohort of real tissue: roles of labels, and separate sources for encoders and for testing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sknic.datasets.drawing.layout import HOT, NORMAL, STROMA, TUMOUR
from sknic.datasets.drawing.targets import draw_cohort
from sknic.datasets.patch_folder import common_mpp, read_patch_table
from sknic.exceptions import DatasetError

ROLES = {"tumour": TUMOUR, "stroma": STROMA, "normal": NORMAL, "hot": HOT}
COLORECTAL_ROLES = {"tumour": "tumour", "stroma": "stroma", "normal": "mucosa", "hot": "lympho"}
ENCODER = "encoder"


@dataclass(frozen=True)
class CohortPlan:
    """Plan of a cohort of real tissue, before any pixel is used; the same seed plans the same slides and grids.

    Attributes
    ----------
    tissue : DataFrame
        Rows of the patches that serve, with ``role`` and ``part``.
    layouts : list of TissueLayout
    table : DataFrame
        One row per slide: the columns of `draw_cohort`, ``part`` and ``mpp``.
    groups : dict of str to list of str
        Sources of each part; under "encoder" every source that no slide shows.
    """

    tissue: pd.DataFrame
    layouts: list[Any]
    table: pd.DataFrame
    groups: dict[str, list[str]]


def plan_cohort(patch_dir, n_slides, task, roles, shape, reserve, parts, score, max_slides_per_patient, random_state):
    """Share the sources out, draw the layouts and the targets; see `make_mosaic_cohort` for the parameters."""
    if not 0 <= reserve < 1:
        raise ValueError(f"reserve={reserve}: expected a fraction of at least 0 and less than 1")
    parts = {"train": 0.75, "test": 0.25} if parts is None else dict(parts)
    rng = check_random_state(random_state)
    patches = read_patch_table(patch_dir)
    tissue = _tissue_patches(patches, task, roles)
    mpp = common_mpp(tissue)
    if mpp is None:
        raise DatasetError(f"{patch_dir}: the table does not state mpp, the um/px of the patches")
    shares = {name: (1 - reserve) * share for name, share in parts.items()}
    tissue["part"] = split_groups(tissue, {ENCODER: reserve, **shares} if reserve else shares, rng)
    layouts, table = draw_cohort(n_slides, tuple(shape), score, 1, max_slides_per_patient, rng)
    table["part"] = _parts_of_patients(table, parts, rng)
    table["center"], table["mpp"] = "+".join(dict.fromkeys(tissue["task"])), mpp
    groups = {name: sorted(set(tissue.loc[tissue["part"] == name, "group"])) for name in parts}
    groups[ENCODER] = sorted(set(patches["group"]) - set().union(*groups.values()))
    return CohortPlan(tissue, layouts, table, groups)


def split_groups(
    patches: pd.DataFrame, shares: dict[str, Any], random_state: int | np.random.RandomState | None = 0
) -> Any:
    """Divide sources between parts, so that no source is in two parts and every label is in every part.

    Parameters
    ----------
    patches : DataFrame
        Columns ``label`` and ``group``, as `load_patch_folder` gives.
    shares : dict of str to float
        Part to its share of each label's sources; each part gets at least one.
    random_state : int, RandomState or None

    Returns
    -------
    parts : Series of str
        Part of each row, index as in `patches`.

    Raises
    ------
    DatasetError
        If a label has fewer sources than there are parts.
    """
    rng = check_random_state(random_state)
    sources = {label: sorted(set(rows["group"])) for label, rows in patches.groupby("label")}
    shares = {name: share / sum(shares.values()) for name, share in shares.items()}
    part_of: dict[str, str] = {}
    for label in sorted(sources, key=lambda name: (len(sources[name]), name)):
        names = [sources[label][position] for position in rng.permutation(len(sources[label]))]
        counts = dict.fromkeys(shares, 0)
        for name in names:
            if name in part_of:
                counts[part_of[name]] += 1
        for name in names:
            if name not in part_of:
                wants = {part: (counts[part] == 0, shares[part] * len(names) - counts[part]) for part in shares}
                part_of[name] = max(wants, key=wants.__getitem__)
                counts[part_of[name]] += 1
        if not all(counts.values()):
            raise DatasetError(f"label {label!r} has {len(names)} sources, too few for the parts {list(shares)}")
    return patches["group"].map(part_of)


def _tissue_patches(patches, task, roles):
    """Rows of the patches that serve on slides, with their role; the sources of a role's labels stay apart by task."""
    if roles is None and task != "colorectal":
        labels = sorted(set(patches.loc[patches["task"] == task, "label"]))
        raise DatasetError(f"roles=None: expected labels for {list(ROLES)} where task={task!r}; it has {labels}")
    roles = COLORECTAL_ROLES if roles is None else dict(roles)
    if set(roles) != set(ROLES):
        raise ValueError(f"roles={roles}: expected the keys {list(ROLES)}")
    found = []
    for role, labels in roles.items():
        for label in [labels] if isinstance(labels, str) else labels:
            own_task, _, name = label.rpartition("/")
            rows = patches[(patches["task"] == (own_task or task)) & (patches["label"] == name)]
            if not len(rows):
                known = sorted(set(patches["task"] + "/" + patches["label"]))
                raise DatasetError(
                    f"roles[{role!r}]: no patches labelled {label!r} in task {task!r}; there are {known}"
                )
            found.append(rows.assign(role=role))
    return pd.concat(found, ignore_index=True)


def _parts_of_patients(table, parts, rng):
    """Part of each slide: patients whole, each growth pattern divided alike."""
    part_of: dict[str, str] = {}
    ends = np.cumsum(list(parts.values())) / sum(parts.values())
    for _, rows in table.groupby("pattern"):
        patients = rng.permutation(sorted(set(rows["patient"])))
        places = (np.arange(len(patients)) + 0.5) / len(patients)
        part_of |= dict(zip(patients, np.array(list(parts))[np.searchsorted(ends, places)]))
    return table["patient"].map(part_of)
