"""Material of the experiments: cohorts of slides, and labelled patches that are not on any slide."""

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd

from sknic import datasets
from sknic.learning.split import split
from sknic.slides import Lattice, PatchReader, Slide, tissue_mask

PATCH = 128  # px at 0.5 um/px, of a cell; averaged 2x2 for the encoders, as in the paper
TASKS = ("lymph", "mitosis", "prostate", "colorectal")


@dataclass(frozen=True)
class LabelledPatches:
    """Patches for encoders; no source is on both sides, and none is in the slides of a mosaic cohort.

    Attributes
    ----------
    X : uint8 array (n, 64, 64, 3)
    labels : DataFrame, one column per task
    groups, centers : array (n,) or None
        Source and scanner of each patch.
    train, held_out : int array
        Rows to train and to measure on.
    """

    X: np.ndarray
    labels: pd.DataFrame
    groups: np.ndarray
    centers: np.ndarray | None
    train: np.ndarray
    held_out: np.ndarray

    @property
    def training_data(self):
        """What the `fit` of MultitaskEncoder takes."""
        rows = self.train
        centers = None if self.centers is None else self.centers[rows]
        return self.X[rows], self.labels.iloc[rows], self.groups[rows], centers


@cache
def cohorts(lab):
    """The slides to cross-validate on, and those of the external test (None where a user's table names none)."""
    if lab.options.cohort == "mosaic":
        return _parts(_mosaic(lab))
    if lab.options.cohort == "table":
        cohort = datasets.read_cohort(lab.options.csv)
        return _parts(cohort) if "part" in cohort.table else (cohort, None)
    make = partial(datasets.make_histology_cohort, shape=lab.size.shape, n_jobs=lab.n_jobs, verbose=1)
    train = make(lab.size.n_slides, lab.folder / "slides-train", random_state=0)
    return train, make(lab.size.n_test, lab.folder / "slides-test", random_state=1)


def _parts(cohort):
    return tuple(cohort.select(cohort.table["part"] == part) for part in ("train", "test"))


def _mosaic(lab):
    """Slides of real patches: sources of encoders, of training slides and of test slides are three disjoint sets."""
    n, n_test = lab.size.n_slides, lab.size.n_test
    return datasets.make_mosaic_cohort(
        lab.options.patches,
        n + n_test,
        lab.folder / "slides",
        shape=lab.size.shape,
        parts={"train": n / (n + n_test), "test": n_test / (n + n_test)},
        random_state=0,
        n_jobs=lab.n_jobs,
        verbose=1,
    )


@cache
def labelled_patches(lab):
    """The patches that encoders learn from: drawn, or the user's; of a mosaic only sources that no slide shows."""
    if lab.options.patches is None:
        drawn = datasets.make_patch_tasks(lab.size.n_patches, random_state=0)
        X, labels, groups, centers = drawn.patches, drawn.labels, drawn.groups, drawn.centers
    else:
        X, table = datasets.load_patch_folder(lab.options.patches, lab.folder / "patches.npy")
        if lab.options.cohort == "mosaic":
            rows = np.flatnonzero(table["group"].isin(cohorts(lab)[0].groups["encoder"]))
            X, table = X[rows], table.iloc[rows].reset_index(drop=True)
        labels, groups = table.pivot(columns="task", values="label"), table["group"].to_numpy(str)
        centers = table["center"].to_numpy(str) if "center" in table else None
    first = labels.bfill(axis=1).iloc[:, 0]
    train, held_out = split(len(X), 0.2, groups=groups, stratify=first.to_numpy(str), random_state=0)
    return LabelledPatches(X, labels, groups, centers, train, held_out)


def cohort_patches(lab, cohort, n=4000):
    """Patches of 64 px at 1 um/px drawn evenly over the tissue of a cohort's slides: what the CNN will see of them."""

    def draw():
        random = np.random.RandomState(0)
        n_each = -(-n // len(cohort))
        return {"X": np.concatenate([_tissue_patches(path, n_each, random) for path in cohort.paths])}

    return lab.step("cohort-patches", {"paths": cohort.paths, "n": n, "patch": PATCH}, draw)["X"]


def _tissue_patches(path, n, random):
    with Slide(path) as slide:
        lattice = Lattice.of(slide, mpp=1.0, patch_size=PATCH // 2)
        cells = np.argwhere(tissue_mask(slide, "otsu").coverage(lattice) > 0.6).astype(np.int32)
        chosen = cells[random.choice(len(cells), min(n, len(cells)), replace=False)]
        return PatchReader(slide, lattice).read(chosen)
