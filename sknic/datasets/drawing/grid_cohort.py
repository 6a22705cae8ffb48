"""Cohorts of grids without slides: layouts filled from a bank of embeddings of real tissue, thousands in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from sknic.datasets.cohort import Cohort
from sknic.datasets.drawing.sources import ROLES, plan_cohort
from sknic.datasets.patch_folder import read_patch
from sknic.exceptions import DatasetError
from sknic.grids import Grid, orient
from sknic.targets.concordance import concordance_index

_CELL = 128
_BATCH = 512


class Embeds(Protocol):
    """What a bank needs of an encoder."""

    def transform(self, X: np.ndarray, /) -> np.ndarray:
        """Embed patches, uint8 (n, size, size, 3), as float (n, C)."""


@dataclass(frozen=True, repr=False)
class GridCohort(Cohort):
    """A cohort of grids without slides; ``paths`` are names, not files.

    Attributes
    ----------
    grids : list of Grid
        One grid per row of the table, float16 embeddings of the cells with tissue.
    """

    grids: list[Grid] = field(default_factory=list)

    _by_slide: ClassVar[tuple[str, ...]] = (*Cohort._by_slide, "grids")

    @property
    def best_concordance(self) -> float:
        """Concordance of these patients' true hazard with their survival, which is what a perfect model reaches."""
        patients = self.table.drop_duplicates("patient")
        event, time, hazard = (patients[name].to_numpy() for name in ("event", "time", "log_hazard"))
        return concordance_index(event.astype(bool), time, hazard)


def make_grid_cohort(
    patch_dir: str | Path,
    n_slides: int,
    encoder: Embeds,
    *,
    task: str = "colorectal",
    roles: dict[str, Any] | None = None,
    cell_size: int | None = None,
    bank_size: int = 600,
    shape: tuple[int, int] = (48, 48),
    reserve: float = 0.4,
    parts: dict[str, Any] | None = None,
    score: str = "hotspot",
    max_slides_per_patient: int = 3,
    random_state: int | None = 0,
) -> GridCohort:
    """Make the grids to which slides of `make_mosaic_cohort` would be compressed, without drawing the slides.

    Layouts, targets, patients and the division of the sources are those of `make_mosaic_cohort` with the same arguments
    and seed. Every part of the cohort has a bank: for each role, cells of real tissue (patches of one source, rotated
    and mirrored, as in a cell of a mosaic slide), embedded once. A cell of a grid is drawn from the bank of its
    part, so training and test share no source.

    Parameters
    ----------
    patch_dir : str or Path
        Folder of labelled patches in a form that `load_patch_folder` reads.
    n_slides : int
        Number of grids.
    encoder : object with a method ``transform``
        Fitted encoder: ``transform`` takes patches, uint8 (n, cell_size, cell_size, 3), RGB, and gives float (n, C).
    task : str, default="colorectal"
        Task whose labels define the tissue.
    roles : dict of str to str or sequence of str, default=None
        Labels of ``"tumour"``, ``"stroma"``, ``"normal"`` and ``"hot"``, see `make_mosaic_cohort`.
    cell_size : int, default=None
        Side of a cell in px, a multiple of the patches' side; None is the encoder's ``patch_size``, or 128 if it has
        none.
    bank_size : int, default=600
        Number of cells of each role and part in the bank.
    shape : (rows, columns), default=(48, 48)
        Size of a grid in cells, at least 20 each.
    reserve : float, default=0.4
        Share of each label's sources kept out of all grids, for encoders to learn from.
    parts : dict of str to float, default=None
        Shares of the patients whose grids get sources of their own; None stands for {"train": 0.75, "test": 0.25}.
    score : {"hotspot", "tumour_fraction"}, default="hotspot"
        Meaning of the column ``score``; both are always columns.
    max_slides_per_patient : int, default=3
        Maximum number of grids per patient.
    random_state : int or None, default=0
        Seed; the same seed, patches and encoder give the same grids.

    Returns
    -------
    GridCohort
        ``grids``, with ``table``, ``groups`` and ``tissue`` as from `make_mosaic_cohort`. ``table["log_hazard"]`` is
        the hazard that survival was drawn from, and ``best_concordance`` the concordance it has.

    Raises
    ------
    DatasetError
        If there are no patches for a role, a label has fewer sources than parts, um/px differ, or the cell is not a
        multiple of the patches.

    Examples
    --------
    >>> from sknic import load_encoder
    >>> from sknic.datasets import make_grid_cohort
    >>> encoder = load_encoder("encoder_multitask-4.h5")  # doctest: +SKIP
    >>> cohort = make_grid_cohort("patches", 400, encoder)  # doctest: +SKIP
    >>> train, test = (cohort.select(cohort.table["part"] == part) for part in ("train", "test"))  # doctest: +SKIP
    >>> model.fit(train.grids, train.score).score(test.grids, test.score)  # doctest: +SKIP
    """
    if not hasattr(encoder, "transform"):
        raise TypeError(f"encoder={encoder!r}: expected a fitted encoder, an object with a method transform")
    if bank_size < 1:
        raise ValueError(f"bank_size={bank_size}: expected at least 1")
    size = (getattr(encoder, "patch_size", None) or _CELL) if cell_size is None else cell_size
    rng = np.random.RandomState(random_state)
    plan = plan_cohort(patch_dir, n_slides, task, roles, shape, reserve, parts, score, max_slides_per_patient, rng)
    banks = {
        part: _bank(patch_dir, plan.tissue[plan.tissue["part"] == part], encoder, int(size), bank_size, rng)
        for part in plan.table["part"].unique()
    }
    header = {"mpp": float(plan.table["mpp"].iloc[0]), "patch_size": int(size)}
    if hasattr(encoder, "fingerprint"):
        header["fingerprint"] = encoder.fingerprint()
    rows = zip(plan.table.itertuples(), plan.layouts)
    grids = [_draw_grid(layout.cells, banks[row.part], np.random.RandomState(row.seed), header) for row, layout in rows]
    tissue = [layout.cells for layout in plan.layouts]
    return GridCohort(list(plan.table["slide"]), plan.table, plan.groups, [], tissue, grids)


def _bank(patch_dir, tissue, encoder, cell_size, bank_size, rng):
    """Embeddings of each kind of cell: dict of the number in a layout to float (bank_size, C)."""
    bank = {}
    for role, rows in tissue.groupby("role"):
        sources = [paths.to_numpy() for _, paths in rows.groupby(["label", "group"])["path"]]
        cells = (_cell(patch_dir, sources[rng.randint(len(sources))], cell_size, rng) for _ in range(bank_size))
        bank[ROLES[role]] = _embedded(encoder, cells, bank_size)
    return bank


def _embedded(encoder, cells, n):
    """Embeddings of cells, a batch at a time: the pixels of a large bank would not fit in memory."""
    batches = (min(_BATCH, n - start) for start in range(0, n, _BATCH))
    return np.concatenate([np.asarray(encoder.transform(np.stack([next(cells) for _ in range(k)]))) for k in batches])


def _cell(patch_dir, names, cell_size, rng):
    """Pixels of one cell: patches of one source, each turned and mirrored at random."""
    side = read_patch(patch_dir, names[0]).shape[0]
    if cell_size % side:
        raise DatasetError(f"cell_size={cell_size}: expected a multiple of the patches' {side} px")
    per_cell = cell_size // side
    tiles = [
        orient(read_patch(patch_dir, name), rng.randint(8), axes=(0, 1))
        for name in np.resize(rng.permutation(names), per_cell**2)
    ]
    rows = [np.concatenate(tiles[row * per_cell : (row + 1) * per_cell], axis=1) for row in range(per_cell)]
    return np.concatenate(rows)


def _draw_grid(cells, bank, rng, header):
    """The grid of one layout: each cell with tissue gets an embedding of its kind."""
    places = np.argwhere(cells > 0).astype(np.int32)
    kinds = cells[tuple(places.T)]
    embeddings = np.empty((len(places), bank[kinds[0]].shape[1]), np.float16)
    for kind, drawn in bank.items():
        here = kinds == kind
        embeddings[here] = drawn[rng.randint(len(drawn), size=here.sum())]
    return Grid(embeddings, places, cells.shape, **header)
