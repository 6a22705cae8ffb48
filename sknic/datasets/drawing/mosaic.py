"""Cohorts of real tissue: slides laid out from labelled patches, with sources kept apart for encoders and for test."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from sknic.datasets.cohort import Cohort, write_slides, write_table
from sknic.datasets.drawing.histology import SUFFIXES
from sknic.datasets.drawing.layout import HOT, NORMAL, STROMA, TUMOUR
from sknic.datasets.drawing.targets import draw_cohort
from sknic.datasets.patch_folder import read_image, read_patch_table
from sknic.datasets.pyramid import write_pyramid
from sknic.exceptions import DatasetError

ROLES = {"tumour": TUMOUR, "stroma": STROMA, "normal": NORMAL, "hot": HOT}
COLORECTAL_ROLES = {"tumour": "tumour", "stroma": "stroma", "normal": "mucosa", "hot": "lympho"}
ENCODER = "encoder"
_GLASS = (248, 247, 249)
_MOSAIC_VERSION = 1
_MAX_SOURCES = 64
_ROUND_MPPS = np.array([0.25, 0.5, 1.0])


def make_mosaic_cohort(
    patch_dir: str | Path,
    n_slides: int,
    out_dir: str | Path,
    *,
    task: str = "colorectal",
    roles: dict[str, Any] | None = None,
    cell_size: int = 128,
    shape: tuple[int, int] = (48, 48),
    reserve: float = 0.4,
    parts: dict[str, Any] | None = None,
    score: str = "hotspot",
    max_slides_per_patient: int = 3,
    file_format: str = "generic",
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Cohort:
    """Write slides laid out from real labelled patches and return their paths and targets.

    Layouts, scores, growth pattern and survival are those of `make_histology_cohort`; the pixels are real. A cell is
    filled with patches of one label and one source, at their own um/px, turned and mirrored at random: four patches
    of 64 px for a cell of 128 px. The margin is white glass.

    No source serves two purposes: each label's sources (``group`` in patches.csv) are divided between encoder training
    and the parts of the cohort.

    Parameters
    ----------
    patch_dir : str or Path
        Folder with a ``patches.csv`` of path, task, label, group, mpp; or task/class/image folders.
    n_slides : int
    out_dir : str or Path
        Folder for the slides and ``cohort.csv``; slides of the same recipe that are already there are kept.
    task : str
        Task whose labels are the tissue.
    roles : dict of str to str or list of str, optional
        Labels that serve as ``"tumour"``, ``"stroma"``, ``"normal"`` and ``"hot"``; ``"task/label"`` takes one of
        another task. The default, for task "colorectal", is tumour, stroma, mucosa and lympho: the hotspot is then a
        region of tumour rich in lymphocytes.
    cell_size : int
        Side of a cell in px, a multiple of the patches' side. 128 suits encoders that read 128 px at 0.5 um/px, 64
        those that read 64.
    shape : (rows, columns)
        Size in cells, at least 20 each.
    reserve : float
        Share of each label's sources kept out of all slides, for encoders to learn from.
    parts : dict of str to float, optional
        Shares of the patients whose slides get sources of their own; {"train": 0.75, "test": 0.25} by default.
    score : {"hotspot", "tumour_fraction"}
        What the column ``score`` holds; both are columns in any case.
    max_slides_per_patient : int
    file_format : {"generic", "aperio"}
        See `write_pyramid`.
    random_state : int, RandomState or None
        The same seed and patches give the same bytes.
    n_jobs : int or None
        Slides written at once, as in joblib.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    Cohort
        ``table`` as from `make_histology_cohort`, and ``part``; ``center`` is the task. ``groups`` lists the sources of
        each part, and under ``"encoder"`` every source of the folder that no slide shows, whatever its task.

    Raises
    ------
    DatasetError
        Where a role finds no patches, a label has fewer sources than parts, or um/px disagree.
    """
    if file_format not in SUFFIXES:
        raise ValueError(f"file_format={file_format!r}: expected one of {sorted(SUFFIXES)}")
    if not 0 <= reserve < 1:
        raise ValueError(f"reserve={reserve}: expected a share from 0 to below 1")
    parts = {"train": 0.75, "test": 0.25} if parts is None else dict(parts)
    rng = check_random_state(random_state)
    patches = read_patch_table(patch_dir)
    tissue = _tissue_patches(patches, task, roles)
    mpp = _common_mpp(tissue)
    shares = {name: (1 - reserve) * share for name, share in parts.items()}
    tissue["part"] = split_groups(tissue, {ENCODER: reserve, **shares} if reserve else shares, rng)
    layouts, table = draw_cohort(n_slides, tuple(shape), score, 1, max_slides_per_patient, rng)
    table["part"] = _parts_of_patients(table, parts, rng)
    table["center"], table["mpp"] = task, mpp
    recipes = {}
    for row, layout in zip(table.itertuples(), layouts):
        sources = _sources(tissue[tissue["part"] == row.part], np.random.RandomState(row.seed))
        recipes[row.slide] = _recipe(layout, row.seed, sources, cell_size, mpp, file_format)
    write = partial(_write_slide, str(patch_dir))
    paths = write_slides(write, recipes, Path(out_dir), SUFFIXES[file_format], n_jobs, verbose, "Laying out slides")
    groups = {name: sorted(set(tissue.loc[tissue["part"] == name, "group"])) for name in parts}
    on_slides = set().union(*groups.values())
    groups[ENCODER] = sorted(set(patches["group"]) - on_slides)
    cohort = Cohort(paths, table, groups, tissue=[layout.cells for layout in layouts])
    write_table(cohort, out_dir)
    return cohort


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
        Where a label has fewer sources than there are parts.
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


def _common_mpp(tissue):
    """The um/px of the slides: that of the patches, as a round number where it is within 2 % of one."""
    low, high, middle = tissue["mpp"].min(), tissue["mpp"].max(), tissue["mpp"].median()
    if not low > 0 or high / low > 1.05:
        counts = tissue.groupby(["task", "label"])["mpp"].median().to_dict()
        raise DatasetError(f"um/px of the patches on one slide must agree within 5 %; they are {counts}")
    nearest = _ROUND_MPPS[np.argmin(np.abs(_ROUND_MPPS - middle))]
    return float(nearest if abs(nearest / middle - 1) <= 0.02 else middle)


def _parts_of_patients(table, parts, rng):
    """Part of each slide: patients whole, each growth pattern divided alike."""
    part_of: dict[str, str] = {}
    ends = np.cumsum(list(parts.values())) / sum(parts.values())
    for _, rows in table.groupby("pattern"):
        patients = rng.permutation(sorted(set(rows["patient"])))
        places = (np.arange(len(patients)) + 0.5) / len(patients)
        part_of |= dict(zip(patients, np.array(list(parts))[np.searchsorted(ends, places)]))
    return table["patient"].map(part_of)


def _sources(tissue, rng):
    """For each role a list of sources, each a list of patch paths."""
    sources = {}
    for role, rows in tissue.groupby("role"):
        groups = [paths.tolist() for _, paths in rows.groupby(["label", "group"])["path"]]
        chosen = sorted(rng.permutation(len(groups))[:_MAX_SOURCES])
        sources[role] = [groups[position] for position in chosen]
    return sources


def _recipe(layout, seed, sources, cell_size, mpp, file_format):
    return {
        "version": _MOSAIC_VERSION,
        "cells": ["".join(map(str, row)) for row in layout.cells.tolist()],
        "seed": int(seed),
        "sources": sources,
        "cell_size": int(cell_size),
        "mpp": mpp,
        "file_format": file_format,
    }


def _write_slide(patch_dir, recipe, path, digest):
    rng = np.random.RandomState(recipe["seed"])
    cells = np.array([list(map(int, row)) for row in recipe["cells"]], np.uint8)
    names = sorted({path for groups in recipe["sources"].values() for group in groups for path in group})
    patches = np.stack([_patch(patch_dir, name) for name in names])
    side = patches.shape[1]
    if recipe["cell_size"] % side:
        raise DatasetError(f"cell_size={recipe['cell_size']}: expected a multiple of the patches' {side} px")
    per_cell = recipe["cell_size"] // side
    choice = _choose(cells, recipe["sources"], names, per_cell, rng)
    turns = rng.randint(8, size=choice.shape)
    glass = np.clip(np.array(_GLASS) + np.rint(rng.normal(0, 1, (side, side, 3))), 0, 255).astype(np.uint8)
    height, width = (count * recipe["cell_size"] for count in cells.shape)

    def pixels(y, n_rows):
        first, last = y // side, -(-(y + n_rows) // side)
        band = np.empty((last - first, side, choice.shape[1], side, 3), np.uint8)
        for row, column in np.ndindex(last - first, choice.shape[1]):
            patch = choice[first + row, column]
            tile = glass if patch < 0 else patches[patch]
            band[row, :, column] = _turned(tile, turns[first + row, column])
        band = band.reshape(-1, width, 3)
        return band[y - first * side : y - first * side + n_rows]

    write_pyramid(path, pixels, (width, height), mpp=recipe["mpp"], layout=recipe["file_format"], description=digest)


def _choose(cells, sources, names, per_cell, rng):
    """Patch of each place, int (rows * per_cell, columns * per_cell); -1 is glass. A cell has one source."""
    position = {name: index for index, name in enumerate(names)}
    choice = np.full((*cells.shape, per_cell, per_cell), -1)
    for role in sorted(sources):
        groups = [np.array([position[name] for name in group]) for group in sources[role]]
        for row, column in np.argwhere(cells == ROLES[role]):
            group = groups[rng.randint(len(groups))]
            choice[row, column].flat = np.resize(rng.permutation(group), per_cell**2)
    return choice.swapaxes(1, 2).reshape(cells.shape[0] * per_cell, -1)


def _turned(tile, turn):
    return np.rot90(tile[:, ::-1] if turn >= 4 else tile, turn % 4)


@lru_cache(maxsize=20_000)
def _patch(patch_dir, name):
    return read_image(Path(patch_dir) / name)
