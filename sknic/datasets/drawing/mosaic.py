"""Cohorts of real tissue: slides assembled from labelled patches, with separate sources for encoders and tests."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from sknic.datasets.cohort import Cohort, recipe_digest, write_slides, write_table
from sknic.datasets.drawing.histology import SUFFIXES
from sknic.datasets.drawing.sources import ROLES, plan_cohort
from sknic.datasets.patch_folder import PACKED, TABLE, read_patch
from sknic.datasets.pyramid import write_pyramid
from sknic.exceptions import DatasetError
from sknic.files.digests import digest_of
from sknic.grids import orient

_GLASS = (248, 247, 249)
_MOSAIC_VERSION = 1
_MAX_SOURCES = 64


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
    """Write slides assembled from real labelled patches and return their paths and targets.

    Layouts, scores, growth pattern and survival are those of `make_histology_cohort`; the pixels are real. A cell is
    filled with patches of one label and one source, at their own um/px, rotated and mirrored at random: four patches
    of 64 px for a cell of 128 px. The margin is white glass.

    No source serves two purposes: each label's sources (``group`` in patches.csv) are divided between encoder training
    and the parts of the cohort.

    Parameters
    ----------
    patch_dir : str or Path
        Folder of labelled patches in a form that `load_patch_folder` reads: images, or a ``patches.npy``, with a
        ``patches.csv`` of task, label, group, mpp; or task/class/image folders.
    n_slides : int
        Number of slides.
    out_dir : str or Path
        Folder for the slides and ``cohort.csv``. Existing slides of the same recipe are kept, those of
        an earlier cohort are removed.
    task : str, default="colorectal"
        Task whose labels define the tissue.
    roles : dict of str to str or sequence of str, default=None
        Labels that serve as ``"tumour"``, ``"stroma"``, ``"normal"`` and ``"hot"``; ``"task/label"`` takes one of
        another task. The default, for task "colorectal", is tumour, stroma, mucosa and lympho: the hotspot is then a
        region of tumour rich in lymphocytes.
    cell_size : int, default=128
        Side of a cell in px, a multiple of the patches' side. 128 suits encoders that read 128 px at 0.5 um/px, 64
        those that read 64.
    shape : (rows, columns), default=(48, 48)
        Size in cells, at least 20 each.
    reserve : float, default=0.4
        Share of each label's sources kept out of all slides, for encoders to learn from.
    parts : dict of str to float, default=None
        Shares of the patients whose slides get sources of their own; None stands for {"train": 0.75, "test": 0.25}.
    score : {"hotspot", "tumour_fraction"}, default="hotspot"
        Meaning of the column ``score``; both are always columns.
    max_slides_per_patient : int, default=3
        Maximum number of slides per patient.
    file_format : {"generic", "aperio"}, default="generic"
        Layout of the pyramid, see `write_pyramid`.
    random_state : int, RandomState or None, default=0
        Seed; the same seed and patches give the same bytes.
    n_jobs : int or None, default=None
        Number of slides written at once, as in joblib.
    verbose : int, default=0
        1 shows a progress bar.

    Returns
    -------
    Cohort
        ``table`` as from `make_histology_cohort`, and ``part``; ``center`` is the task. ``groups`` lists the sources of
        each part, and under ``"encoder"`` every source of the folder that no slide shows, whatever its task.

    Raises
    ------
    DatasetError
        If there are no patches for a role, a label has fewer sources than parts, or um/px differ.
    """
    if file_format not in SUFFIXES:
        raise ValueError(f"file_format={file_format!r}: expected one of {sorted(SUFFIXES)}")
    plan = plan_cohort(
        patch_dir, n_slides, task, roles, shape, reserve, parts, score, max_slides_per_patient, random_state
    )
    recipes = {}
    patches = _digest_of_patches(patch_dir, plan.tissue["path"])
    for row, layout in zip(plan.table.itertuples(), plan.layouts):
        sources = _sources(plan.tissue[plan.tissue["part"] == row.part], np.random.RandomState(row.seed))
        recipes[row.slide] = _recipe(layout, row.seed, sources, cell_size, row.mpp, file_format, patches)
    write = partial(_write_slide, str(patch_dir))
    paths = write_slides(write, recipes, Path(out_dir), SUFFIXES[file_format], n_jobs, verbose, "slides laid out")
    cohort = Cohort(paths, plan.table, plan.groups, tissue=[layout.cells for layout in plan.layouts])
    write_table(cohort, out_dir)
    return cohort


def _sources(tissue, rng):
    """For each role a list of sources, each a list of patch paths."""
    sources = {}
    for role, rows in tissue.groupby("role"):
        groups = [paths.tolist() for _, paths in rows.groupby(["label", "group"])["path"]]
        chosen = sorted(rng.permutation(len(groups))[:_MAX_SOURCES])
        sources[role] = [groups[position] for position in chosen]
    return sources


def _digest_of_patches(patch_dir, names):
    """Digest of the content of patches: other pixels under the same names are other slides."""
    names = sorted(set(names))
    is_packed = names[0].startswith(f"{PACKED}[")
    files = [PACKED, TABLE] if is_packed else names
    return recipe_digest([digest_of(Path(patch_dir) / name) for name in files])


def _recipe(layout, seed, sources, cell_size, mpp, file_format, patches):
    return {
        "version": _MOSAIC_VERSION,
        "cells": ["".join(map(str, row)) for row in layout.cells.tolist()],
        "seed": int(seed),
        "sources": sources,
        "cell_size": int(cell_size),
        "mpp": mpp,
        "file_format": file_format,
        "patches": patches,
    }


def _write_slide(patch_dir, recipe, path, digest):
    rng = np.random.RandomState(recipe["seed"])
    cells = np.array([list(map(int, row)) for row in recipe["cells"]], np.uint8)
    names = sorted({path for groups in recipe["sources"].values() for group in groups for path in group})
    patches = np.stack([_patch(patch_dir, name, recipe["patches"]) for name in names])
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
            band[row, :, column] = orient(tile, turns[first + row, column], axes=(0, 1))
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


@lru_cache(maxsize=20_000)
def _patch(patch_dir, name, _digest):
    return read_patch(patch_dir, name)
