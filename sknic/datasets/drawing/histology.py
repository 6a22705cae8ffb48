"""Cohorts of drawn H&E slides: liver with colorectal metastases, from layout to pyramidal TIFF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.utils import check_random_state

from sknic.datasets.cohort import Cohort, write_slides, write_table
from sknic.datasets.drawing import stains, textures
from sknic.datasets.drawing.layout import BACKGROUND, HOT, NORMAL, STROMA, TUMOUR, TissueLayout, top
from sknic.datasets.drawing.targets import LOG_HAZARD, draw_cohort
from sknic.datasets.drawing.tissue import MAP_STEP, NAMES, paint
from sknic.datasets.pyramid import write_pyramid

CELL = 128
MPP = 0.5
SUFFIXES = {"generic": ".tiff", "aperio": ".svs"}
_DRAWING_VERSION = 3  # raise it when the same recipe gives other pixels, so that old files are drawn again
_TISSUE_OF_CELL = ("glass", "liver", "stroma", "tumour", "proliferating")
_LYMPHOID_SHARE = 0.025


def make_histology_cohort(
    n_slides: int,
    out_dir: str | Path,
    *,
    shape: tuple[int, int] = (24, 24),
    score: str = "hotspot",
    n_centers: int = 3,
    max_slides_per_patient: int = 3,
    log_hazard: tuple[float, float] = LOG_HAZARD,
    file_format: str = "generic",
    random_state: int | np.random.RandomState | None = 0,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Cohort:
    """Write a cohort of drawn H&E slides and return their paths and targets.

    Each slide shows liver with nests of metastatic adenocarcinoma (glands with lumens, crowded dark nuclei), a region
    that proliferates more (mitotic figures), collagenous stroma and clusters of lymphocytes, on white glass. The
    growth pattern depends on arrangement alone: stroma around the tumour (desmoplastic) or the same amount of it
    elsewhere (replacement). Centers differ in stain, glass and noise.

    Parameters
    ----------
    n_slides : int
    out_dir : str or Path
        Folder for the slides and ``cohort.csv``. Existing slides of the same recipe are kept, so an
        interrupted call can simply be repeated.
    shape : (rows, columns)
        Size in cells of 128 px at 0.5 um/px (64 um), at least 20 each. (48, 48) makes the growth pattern easier.
    score : {"hotspot", "tumour_fraction"}
        Meaning of the column ``score``: density of proliferating tumour where it is densest, as pathologists count
        mitoses, or the tumour's share of the tissue. Both are always columns.
    n_centers : int
        Number of scanners.
    max_slides_per_patient : int
    log_hazard : (float, float), default=(1.2, 0.8)
        Logarithm of the hazard ratio of the growth pattern "replacement", and of one standard deviation of the hotspot.
        To be learnt from a few dozen slides, survival needs a strong effect of something that they can teach.
    file_format : {"generic", "aperio"}
        See `write_pyramid`.
    random_state : int, RandomState or None
        The same seed gives the same bytes.
    n_jobs : int or None
        Number of slides drawn at once, as in joblib.
    verbose : int
        1 shows a progress bar.

    Returns
    -------
    Cohort
        ``table`` has one row per slide: slide, patient, score, hotspot, tumour_fraction, hot_fraction, stroma_fraction,
        pattern ("replacement" or "desmoplastic"), time (days), event (bool), log_hazard, center, seed, mpp. Survival
        follows `sknic.datasets.drawing.targets.draw_cohort`.

    Notes
    -----
    Every slide has exactly as many pixels of each tissue as its layout, and layouts have the same amounts in both
    patterns, so mean colors cannot tell them apart. A cell on a boundary mixes two tissues, though, and which two
    depends on the arrangement: pooled measures of texture keep some of it (AUC 0.65 to 0.75 on 80 slides of 24 x 24
    cells). On the slides of `make_mosaic_cohort` no cell is mixed.

    Examples
    --------
    >>> cohort = make_histology_cohort(24, "slides", random_state=0, n_jobs=2)  # doctest: +SKIP
    >>> y = cohort.table["score"]  # doctest: +SKIP
    """
    if file_format not in SUFFIXES:
        raise ValueError(f"file_format={file_format!r}: expected one of {sorted(SUFFIXES)}")
    out_dir = Path(out_dir)
    layouts, table = draw_cohort(
        n_slides, tuple(shape), score, n_centers, max_slides_per_patient, check_random_state(random_state), log_hazard
    )
    recipes = {
        row.slide: _recipe(layout, row.seed, row.center, file_format)
        for row, layout in zip(table.itertuples(), layouts)
    }
    paths = write_slides(_write_slide, recipes, out_dir, SUFFIXES[file_format], n_jobs, verbose, "slides drawn")
    table["center"] = [stains.scanner(center).name for center in table["center"]]
    table["mpp"] = MPP
    cohort = Cohort(paths, table, tissue=[layout.cells for layout in layouts])
    write_table(cohort, out_dir)
    return cohort


def _recipe(layout, seed, center, file_format):
    return {
        "version": _DRAWING_VERSION,
        "cells": ["".join(map(str, row)) for row in layout.cells.tolist()],
        "seed": int(seed),
        "center": int(center),
        "file_format": file_format,
    }


def _write_slide(recipe, path, digest):
    rng = np.random.RandomState(recipe["seed"])
    layout = TissueLayout(np.array([list(map(int, row)) for row in recipe["cells"]], np.uint8))
    haematoxylin, eosin = paint(tissue_map(layout, rng), rng)
    film = stains.Film(stains.scanner(recipe["center"]), rng)

    def pixels(y, n_rows):
        return film.develop(haematoxylin[y : y + n_rows], eosin[y : y + n_rows])

    write_pyramid(path, pixels, haematoxylin.shape[::-1], mpp=MPP, layout=recipe["file_format"], description=digest)


def tissue_map(layout, random_state):
    """Tissue of each 4 um square: the layout's cells with natural outlines and some clusters of lymphocytes.

    Parameters
    ----------
    layout : TissueLayout
    random_state : RandomState

    Returns
    -------
    tissue_map : uint8 array (rows * 16, columns * 16)
        Index into `sknic.datasets.drawing.tissue.NAMES`.
    """
    step = CELL // MAP_STEP
    shape = tuple(side * step for side in layout.cells.shape)
    grid = (np.indices(shape) + 0.5) / step - 0.5
    for scale, reach in ((0.9 * step, 0.30), (0.25 * step, 0.10)):
        grid += reach * np.stack([textures.smooth_noise(shape, scale, random_state) for _ in range(2)])
    likeness = np.stack(
        [
            map_coordinates(gaussian_filter(np.float32(layout.cells == cell), 0.45), grid, order=1, mode="nearest")
            for cell in range(len(_TISSUE_OF_CELL))
        ]
    )
    likeness[BACKGROUND] += np.pad(np.zeros((shape[0] - step, shape[1] - step)), step // 2, constant_values=1)
    cells = _share_out(likeness, np.bincount(layout.cells.ravel(), minlength=len(likeness)) * step**2)
    tissue = np.array([NAMES.index(name) for name in _TISSUE_OF_CELL], np.uint8)[cells]
    clusters = textures.smooth_noise(shape, 0.28 * step, random_state)
    clusters = (clusters > np.quantile(clusters, 1 - _LYMPHOID_SHARE)) & (cells > 0) & (cells < TUMOUR)
    tissue[clusters] = NAMES.index("lymphocytes")
    return tissue


def _share_out(likeness, amounts):
    """Give each px to one kind of cell, by likeness, so that each kind gets just its amount.

    Outlines that follow the likeness alone would shrink patches and not rims, and so tell the growth patterns apart.
    """
    cells = np.full(likeness.shape[1:], BACKGROUND)
    free = top(-likeness[BACKGROUND], np.ones(cells.shape, bool), cells.size - amounts[BACKGROUND])
    tumour = top(likeness[TUMOUR] + likeness[HOT], free, amounts[TUMOUR] + amounts[HOT])
    cells[free] = NORMAL
    cells[tumour] = TUMOUR
    cells[top(likeness[HOT] - likeness[TUMOUR], tumour, amounts[HOT])] = HOT
    cells[top(likeness[STROMA] - likeness[NORMAL], free & ~tumour, amounts[STROMA])] = STROMA
    return cells
