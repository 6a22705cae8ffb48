"""Which threshold finds the tissue? Errors in cells of 64 um on synthetic disturbances, synthetic slides and real ones.

The truth of the synthetic material is known; the two real slides were outlined by eye (`outlines/`), and cells on
the outline, of which 40 to 80 % is tissue, are left out.
"""

import argparse

import numpy as np
from skimage.filters import (
    apply_hysteresis_threshold,
    threshold_li,
    threshold_multiotsu,
    threshold_otsu,
    threshold_triangle,
)

from benchmarks.common import report, test_data, work_dir
from benchmarks.tissue_cases import MPP, cases
from sknic import Slide
from sknic.datasets import make_histology_cohort
from sknic.datasets.drawing.histology import tissue_map
from sknic.datasets.drawing.layout import TissueLayout
from sknic.slides import Annotations, Lattice, TissueMask
from sknic.slides.tissue import THUMBNAIL_MPP, saturation_mask
from sknic.slides.tissue_density import DENSITY_RANGE, density_mask, find_glass, measure, tidy

CELL = 64.0
MIN_TISSUE = 0.6
REAL = {"CMU-1-Small-Region.svs": None, "TCGA-CR-7395-01A-01-TS1.svs": 0.25}


def by_density(threshold, limits=(0, np.inf)):
    """A method: a threshold of scikit-image on optical density, everything else as `density_mask` does it."""

    def method(image, mpp):
        density, left_out = measure(image, mpp, find_glass(image))
        inside = density[~left_out]
        limit = np.clip(threshold(inside), *limits) if np.ptp(inside) else np.inf
        return tidy(density > limit, left_out, mpp)

    return method


def hysteresis(image, mpp):
    """Everything over the lower limit of density that holds a place over the upper one."""
    density, left_out = measure(image, mpp, find_glass(image))
    return tidy(apply_hysteresis_threshold(np.where(left_out, 0, density), *DENSITY_RANGE), left_out, mpp)


METHODS = {
    "otsu (saturation)": saturation_mask,
    "Otsu": by_density(threshold_otsu),
    "Otsu, limited": by_density(threshold_otsu, DENSITY_RANGE),
    "Li": by_density(threshold_li),
    "triangle": by_density(threshold_triangle),
    "multi-Otsu": by_density(lambda values: threshold_multiotsu(values, 3)[0]),
    "hysteresis": hysteresis,
    "fixed at 0.05": by_density(lambda values: DENSITY_RANGE[1]),
    "Li, limited = density": density_mask,
}


def drawn():
    """(kind, name, image, um/px, truth) of drawn disturbances."""
    for kind, name, image, tissue in cases():
        yield kind, name, image, MPP, TissueMask(tissue, MPP)


def synthetic(n_slides):
    """The same of slides of a synthetic cohort from six centers, whose every pixel is known."""
    folder = work_dir("tissue")
    cohort = make_histology_cohort(n_slides, folder, n_centers=6, n_jobs=2, verbose=1)
    for path, cells, seed in zip(cohort.paths, cohort.tissue, cohort.table["seed"]):
        with Slide(path) as slide:
            truth = tissue_map(TissueLayout(cells), np.random.RandomState(seed)) > 0
            yield "synthetic", path, *_thumbnail(slide), TissueMask(truth, 4.0)


def real():
    """The same of real slides."""
    for name, mpp in REAL.items():
        with Slide(test_data("slides", name), mpp=mpp) as slide:
            outlines = Annotations(f"{__file__.rsplit('/', 1)[0]}/outlines/{{stem}}.geojson", exclude=["Glass"])
            yield f"real: {name[:4].strip('-')}", name, *_thumbnail(slide), TissueMask(*outlines.read(slide))


def _thumbnail(slide):
    longest = max(slide.dimensions) * slide.mpp / THUMBNAIL_MPP
    return slide.thumbnail(max(256, int(np.ceil(longest))))


def n_wrong(found, truth, size):
    """Cells of tissue that were missed, cells of background that were taken, and cells in all."""
    lattice = Lattice(tuple(int(length) for length in size), 1.0, int(CELL), int(CELL))
    have, want = found.coverage(lattice), truth.coverage(lattice)
    sure = (want < 0.4) | (want > 0.8)
    have, want = have > MIN_TISSUE, want > MIN_TISSUE
    return (want & ~have & sure).sum(), (have & ~want & sure).sum(), sure.sum()


def main():
    """Run every method on every picture and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=24, help="Slides of the synthetic cohort.")
    args = parser.parse_args()
    errors = {}
    for source in (drawn(), synthetic(args.slides), real()):
        for kind, _, image, mpp, truth in source:
            size = np.array(image.shape[1::-1]) * mpp
            for name, method in METHODS.items():
                missed, taken, cells = n_wrong(TissueMask(method(image, mpp), mpp), truth, size)
                errors.setdefault((kind, name), []).append((missed, taken, cells))
    kinds = list(dict.fromkeys(kind for kind, _ in errors))
    rows = []
    for kind in [*kinds, "all"]:
        row = {"material": kind}
        for name in METHODS:
            parts = [errors[one, name] for one in (kinds if kind == "all" else [kind])]
            missed, taken, cells = np.concatenate(parts).sum(axis=0)
            row = {**row, "cells": int(cells), name: f"{missed}+{taken}"}
        rows.append(row)
    report("tissue", rows, "Cells missed + cells of background taken for tissue")


if __name__ == "__main__":
    main()
