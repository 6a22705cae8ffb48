"""From scores of slides to scores of patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sknic.exceptions import DegenerateDataError, PatientLeakageError
from sknic.targets.names import check_patients
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


_REDUCE: dict[str, Any] = {"mean": np.mean, "max": np.max}


def aggregate(values: ArrayLike, patients: ArrayLike, how: str = "mean") -> tuple[np.ndarray, np.ndarray]:
    """Reduce one value per slide to one value per patient.

    Parameters
    ----------
    values : array-like, shape (n_slides,) or (n_slides, k)
        Scores, probabilities, risks or targets (structured survival targets included).
    patients : array-like, shape (n_slides,)
        Patient of each slide.
    how : {"mean", "max", "same"}
        ``"same"`` takes the value that all slides of a patient share, as targets do.

    Returns
    -------
    patients : ndarray, shape (n_patients,)
        Sorted, each once. The order is the same for every call with the same patients.
    values : ndarray, shape (n_patients,) or (n_patients, k)

    Raises
    ------
    DegenerateDataError
        With ``how="same"``, if two slides of a patient differ.
    ValueError
        If the patient of a slide is missing.

    Examples
    --------
    >>> from sknic.evaluation import aggregate
    >>> patients, risk = aggregate([0.1, 0.3, 0.9], ["anna", "anna", "ben"])
    >>> patients.tolist(), risk.tolist()
    (['anna', 'ben'], [0.2, 0.9])
    """
    check_paired(values=values, patients=patients)
    values, n = np.asarray(values), len(np.asarray(patients))
    if len(values) != n:
        raise ValueError(f"values has {len(values)} rows, patients {n}; they must be the same slides")
    names, rows = rows_by_patient(patients)
    if how == "same":
        return names, values[_same(values, names, rows)]
    if how not in _REDUCE:
        raise ValueError(f"how={how!r}; it must be 'mean', 'max' or 'same'")
    return names, np.stack([_REDUCE[how](values[members], axis=0) for members in rows])


def rows_by_patient(patients: ArrayLike) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the sorted patients and, for each, the rows of its slides.

    Raises
    ------
    ValueError
        If a name is missing, because the slides of unknown patients are not those of one, or if text is mixed with
        numbers.
    """
    check_patients("patients", patients)  # as given, because numpy makes text of 1 and "1", and one patient of all NaN
    names, index = np.unique(np.asarray(patients), return_inverse=True)
    order = np.argsort(index, kind="stable")
    return names, np.split(order, np.cumsum(np.bincount(index))[:-1])


def check_no_shared_patient(patients, train, test):
    """Raise PatientLeakageError if slides of one patient are on both sides of a split."""
    shared = np.intersect1d(np.asarray(patients)[train], np.asarray(patients)[test])
    if len(shared):
        raise PatientLeakageError(
            f"{len(shared)} patients (first: {shared[0]}) have slides in both training and test;"
            " use a cv that splits by group, such as an integer, GroupKFold or StratifiedGroupKFold"
        )


def _alike(values, first):
    """Where values equal the first; two missing numbers are alike."""
    if values.dtype.kind != "f":
        return values == first
    return (values == first) | (np.isnan(values) & np.isnan(first))


def _same(values, names, rows):
    for name, members in zip(names, rows):
        if not _alike(values[members], values[members[0]]).all():
            raise DegenerateDataError(f"the slides of patient {name} differ; how='same' needs one value per patient")
    return np.array([members[0] for members in rows])
