"""A patient as one grid: several slides laid side by side, so that a network sees them together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from sknic.evaluation.patients import aggregate, rows_by_patient
from sknic.grids import Grid
from sknic.grids.header import GridHeader
from sknic.grids.storage import InMemory
from sknic.targets import as_target
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def by_patient(grids: Sequence[Any], patients: ArrayLike, y: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gather the slides of each patient, and their one target.

    Parameters
    ----------
    grids : sequence of n_slides Grids, or arrays (C, rows, columns)
        Slides.
    patients : array-like (n_slides,)
        Owner of each slide.
    y : array-like (n_slides,), or survival times
        Target; all slides of a patient have the same.

    Returns
    -------
    X : object array (n_patients,) of lists
        Slides of each patient, in the order given.
    y : array (n_patients,)
        Target of each patient.
    patients : array (n_patients,)
        Their names, sorted.

    Raises
    ------
    DegenerateDataError
        When two slides of a patient have different targets.
    """
    check_paired(grids=grids, y=y, patients=patients)
    names, rows = rows_by_patient(patients)
    _, of_patient = aggregate(as_target(y), np.asarray(patients), how="same")
    X = np.empty(len(names), dtype=object)
    in_order = list(grids)  # a Series is asked by its labels, not by the number of a row
    X[:] = [[in_order[row] for row in members] for members in rows]
    return X, of_patient, names


class PatientGrids(TransformerMixin, BaseEstimator):
    """Lay the slides of each patient side by side, as one grid; the first step of a pipeline on patients.

    Each slide is cut to its tissue. They fill rows of a mosaic that is about as wide as high, with a gap of background
    between them. On the cohorts measured this was worse than the mean of the slides' predictions, see the guide.

    Parameters
    ----------
    gap : int, default=4
        Cells of background between two slides.

    Examples
    --------
    >>> import numpy as np
    >>> from sknic.evaluation import PatientGrids, by_patient
    >>> slides = [np.ones((8, 5, 5)), np.ones((8, 3, 6)), np.ones((8, 4, 4))]
    >>> X, y, patients = by_patient(slides, ["anna", "anna", "ben"], [1, 1, 0])
    >>> [grid.shape for grid in PatientGrids(gap=2).transform(X)]
    [(5, 13), (4, 4)]
    """

    def __init__(self, gap: int = 4) -> None:
        self.gap = gap

    def fit(self, X: Any, y: Any = None) -> Self:
        """Check the gap; nothing is learnt.

        Parameters
        ----------
        X : sequence of n_patients sequences of grids
            Not used.
        y : object, default=None
            Not used.

        Returns
        -------
        self : PatientGrids
            The transformer itself.
        """
        if isinstance(self.gap, bool) or not isinstance(self.gap, int | np.integer) or self.gap < 0:
            raise ValueError(f"gap={self.gap!r}: expected a whole number of cells, 0 or more")
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Make one grid of the slides of each patient.

        Parameters
        ----------
        X : sequence of n_patients sequences of Grids, or arrays (C, rows, columns)
            As from :func:`by_patient`.

        Returns
        -------
        object array (n_patients,) of Grid
            In memory; without the name of a slide.

        Raises
        ------
        ProvenanceError
            When slides of a patient are of different encoders, um/px, patch sizes or strides.
        ValueError
            When a patient has no slide with tissue.
        """
        self.fit(X)
        joined = np.empty(len(X), dtype=object)
        for row, slides in enumerate(X):
            if hasattr(slides, "cells") or not isinstance(slides, list | tuple | np.ndarray) or not len(slides):
                raise ValueError(f"X[{row}]: expected a list of the grids of one patient, as from by_patient")
            joined[row] = _side_by_side([_as_grid(slide) for slide in slides], int(self.gap), row)
        return joined

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.two_d_array = False
        return tags


def _as_grid(slide):
    return slide if hasattr(slide, "cells") else Grid.from_dense(np.asarray(slide))


def _side_by_side(slides, gap, row):
    from sknic.estimators.reading import common_provenance  # loads torch, which measuring does not need

    slides = [slide for slide in slides if len(slide.cells)]
    if not slides:
        raise ValueError(f"X[{row}]: no slide of this patient has tissue")
    known = common_provenance(slides) or {"encoder": None, "mpp": None, "patch_size": None, "stride": None}
    first = [np.min(slide.cells, axis=0) for slide in slides]
    sizes = np.array([np.max(slide.cells, axis=0) + 1 for slide in slides]) - first
    corners, shape = _places(sizes, gap)
    cells = np.concatenate([slide.cells - low + corner for slide, low, corner in zip(slides, first, corners)])
    n_turned = min(len(slide.orientations) for slide in slides)
    versions = [
        np.concatenate([np.asarray(slide.orientations[number].embeddings) for slide in slides])
        for number in range(n_turned)
    ]
    made = {name: known[name] for name in ("mpp", "patch_size", "stride")}
    # With the coarser um/px, by which an estimator tells grids of several magnifications apart.
    header = GridHeader(shape, **made, fingerprint=known["encoder"], coarse_mpp=slides[0].coarse_mpp)
    turned = np.stack(versions[1:]) if n_turned > 1 else None
    return Grid._of(InMemory(header, versions[0], cells, turned))


def _places(sizes, gap):
    """Corner of each slide (n, 2), and the shape of the whole: rows of as many slides as there are rows."""
    per_row = math.ceil(math.sqrt(len(sizes)))
    corners, top, width = [], 0, 0
    for start in range(0, len(sizes), per_row):
        left = 0
        for height_and_width in sizes[start : start + per_row]:
            corners.append((top, left))
            left += int(height_and_width[1]) + gap
        top += int(sizes[start : start + per_row, 0].max()) + gap
        width = max(width, left)
    return np.array(corners), (top - gap, width - gap)
