"""A patient as one grid: every cell of every slide, in its place within its slide, and nothing else."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sksurv.util import Surv

from sknic import CrossValEnsemble, Grid, GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
from sknic.evaluation import PatientGrids, by_patient
from sknic.exceptions import DegenerateDataError, ProvenanceError, SlideLeakageError
from sknic.grids import stack_magnifications

RNG = np.random.default_rng(0)
SCALE = {"mpp": 0.5, "patch_size": 64, "fingerprint": "abc"}


def slide(rows, columns, value, *, corner=(0, 0), **header):
    """A full rectangle of cells on a larger grid; its embeddings are its value and the number of the cell."""
    cells = np.argwhere(np.ones((rows, columns))) + corner
    embeddings = np.stack([np.full(len(cells), value), np.arange(len(cells))], axis=1)
    return Grid(embeddings.astype(np.float32), cells, (20, 20), **{**SCALE, **header})


def test_slides_lie_side_by_side_cut_to_their_tissue_with_a_gap():
    slides = [slide(2, 3, 1, corner=(5, 7)), slide(4, 2, 2), slide(1, 1, 3, corner=(19, 19))]
    (joined,) = PatientGrids(gap=2).transform([slides])
    dense = np.zeros(joined.shape)
    dense[tuple(joined.cells.T)] = np.asarray(joined.embeddings)[:, 0]
    wanted = np.zeros((7, 7))
    wanted[:2, :3], wanted[:4, 5:7], wanted[6, 0] = 1, 2, 3
    np.testing.assert_array_equal(dense, wanted)
    assert (joined.mpp, joined.patch_size, joined.fingerprint, joined.slide) == (0.5, 64, "abc", None)


def test_a_patient_of_one_slide_keeps_its_cells():
    one = slide(3, 4, 1, corner=(2, 2))
    (joined,) = PatientGrids().transform([[one]])
    np.testing.assert_array_equal(joined.cells, one.cells - (2, 2))
    np.testing.assert_array_equal(joined.embeddings, one.embeddings)
    assert joined.shape == (3, 4)


def turned(grid):
    """The same grid with eight orientations of its pixels, told apart by what is added."""
    oriented = np.stack([np.asarray(grid.embeddings) + 10 * number for number in range(1, 8)])
    return Grid(grid.embeddings, grid.cells, grid.shape, oriented_embeddings=oriented, **SCALE)


def test_orientations_of_pixels_stay_with_their_cells():
    first, second = turned(slide(2, 2, 1)), turned(slide(1, 3, 2))
    (joined,) = PatientGrids().transform([[first, second]])
    assert len(joined.orientations) == 8
    for number, version in enumerate(joined.orientations):
        wanted = np.concatenate([grid.orientations[number].embeddings for grid in (first, second)])
        np.testing.assert_array_equal(version.embeddings, wanted)
    (plain,) = PatientGrids().transform([[first, slide(1, 3, 2)]])
    assert len(plain.orientations) == 1


def test_slides_are_gathered_by_patient_with_their_one_target():
    X, y, patients = by_patient([1, 2, 3], ["b", "a", "b"], ["yes", "no", "yes"])
    assert [list(slides) for slides in X] == [[2], [1, 3]]
    assert (y.tolist(), patients.tolist()) == (["no", "yes"], ["a", "b"])
    with pytest.raises(DegenerateDataError, match="the slides of patient b differ"):
        by_patient([1, 2, 3], ["b", "a", "b"], [1, 2, 3])


def test_what_cannot_be_one_grid_is_refused():
    with pytest.raises(ProvenanceError, match="um/px"):
        PatientGrids().transform([[slide(2, 2, 1), slide(2, 2, 1, mpp=1.0)]])
    with pytest.raises(ValueError, match=r"X\[0\]: expected a list of the grids of one patient, as from by_patient"):
        PatientGrids().transform([slide(2, 2, 1)])
    empty = Grid(np.empty((0, 2)), np.empty((0, 2)), (2, 2))
    with pytest.raises(ValueError, match=r"X\[0\]: no slide of this patient has tissue"):
        PatientGrids().transform([[empty]])
    with pytest.raises(ValueError, match="gap=-1: expected a whole number of cells, 0 or more"):
        PatientGrids(gap=-1).fit([])


SLIDES = [RNG.normal(size=(2, 4, 4)).astype(np.float32) + i // 2 % 2 for i in range(16)]
OWNER = np.repeat(np.arange(8), 2)
HIGH = OWNER % 2
TARGETS = [
    (GridCNNRegressor, HIGH + 0.5),
    (GridCNNClassifier, HIGH),
    (GridCoxSurvival, Surv.from_arrays(OWNER % 4 > 0, OWNER + 1.0)),
]


@pytest.mark.parametrize("kind, y", TARGETS, ids=["regressor", "classifier", "survival"])
def test_patients_are_cross_validated_in_a_pipeline(kind, y):
    X, of_patient, _ = by_patient(SLIDES, OWNER, y)
    model = make_pipeline(PatientGrids(), kind(n_filters=4, max_steps=12, device="cpu", random_state=0))
    ensemble = CrossValEnsemble(clone(model), cv=2, random_state=0).fit(X, of_patient)
    assert len(ensemble.oof_prediction_) == 8
    assert ensemble.baseline_reason_ == ""
    fold = ensemble.fold_ == 0
    by_hand = getattr(ensemble.estimators_[0][-1], ensemble.kind_.prediction_method)(PatientGrids().transform(X[fold]))
    np.testing.assert_array_equal(ensemble.oof_prediction_[fold], by_hand)


def test_a_slide_under_two_patients_is_found():
    shared = Grid(RNG.normal(size=(20, 2)), np.argwhere(np.ones((4, 5))), (4, 5))
    X = np.empty(4, object)
    X[:] = [[shared], [Grid.from_dense(SLIDES[0]), shared], [Grid.from_dense(SLIDES[1])], [Grid.from_dense(SLIDES[2])]]
    model = make_pipeline(PatientGrids(), GridCNNRegressor(n_filters=4, max_steps=2))
    folds = [([0, 2], [1, 3]), ([1, 3], [0, 2])]
    with pytest.raises(SlideLeakageError):
        CrossValEnsemble(model, cv=folds).fit(X, np.arange(4.0))


def test_the_coarser_magnifications_of_slides_stay_with_their_patient():
    def two_scales(coarse):
        return stack_magnifications([slide(2, 2, 1.0, slide_mpp=0.5), slide(1, 1, 2.0, mpp=coarse, slide_mpp=0.5)])

    of_one, of_two = (PatientGrids().transform([[two_scales(mpp), two_scales(mpp)]])[0] for mpp in (1.0, 2.0))
    assert (of_one.coarse_mpp, of_two.coarse_mpp, of_one.code_size) == ((1.0,), (2.0,), 4)
    model = GridCNNRegressor(max_steps=1, device="cpu", n_threads=1).fit([of_one, of_one], [0.0, 1.0])
    with pytest.raises(ProvenanceError, match="um/px of the coarser channels 2"):
        model.predict([of_two])
