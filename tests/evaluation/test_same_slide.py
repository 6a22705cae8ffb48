"""The same slide in two rows may not be on both sides of a split, by whatever it is known."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge

from sknic.evaluation import CrossValEnsemble
from sknic.evaluation.same_slide import slide_names
from sknic.exceptions import PatientLeakageError, SlideLeakageError
from sknic.grids import Grid

RNG = np.random.RandomState(0)
CELLS = np.argwhere(np.ones((4, 4), bool))
Y = np.arange(16.0)


class Any(RegressorMixin, BaseEstimator):
    """Takes whatever X is."""

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.arange(len(X), dtype=float)


def grid(slide=None, embeddings=None, digest=None):
    embeddings = RNG.normal(size=(16, 3)) if embeddings is None else embeddings
    return Grid(embeddings, CELLS, (4, 4), slide=slide, slide_digest=digest)


def twice(kind, tmp_path):
    """Sixteen items, of which the last is the first again."""
    if kind == "paths":
        items = [f"s{i}.tiff" for i in range(15)]
        return [*items, "./s0.tiff"]
    if kind == "slides":  # compressed by another encoder, found through a link
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        return [*(grid(str(tmp_path / "real" / f"{i}.svs")) for i in range(15)), grid(str(tmp_path / "link" / "0.svs"))]
    if kind == "copies":  # under another name, and compressed by another encoder
        items = [
            Grid(RNG.normal(size=(16, 3)), CELLS, (4, 4), slide=f"{i}.svs", slide_digest=f"d{i}") for i in range(15)
        ]
        return [*items, Grid(RNG.normal(size=(16, 3)), CELLS, (4, 4), slide="copy.svs", slide_digest="d0")]
    if kind == "files":
        items = [grid().write(tmp_path / f"{i}.h5") for i in range(15)]
        return [*items, Grid.read(items[0].path)]
    items = [grid() for _ in range(15)]
    return [*items, grid(embeddings=items[0].embeddings)]


@pytest.mark.parametrize("kind", ["paths", "slides", "copies", "files", "contents"])
def test_a_slide_given_twice_is_refused_unless_it_stays_together(kind, tmp_path):
    X = twice(kind, tmp_path)
    ensemble = CrossValEnsemble(Any(), cv=16, baseline=False)
    with pytest.raises(SlideLeakageError, match=r"X\[(0|15)\] and X\[(0|15)\] are the same slide.*groups="):
        ensemble.fit(X, Y)
    patients = [*range(15), 0]
    ensemble.set_params(cv=5).fit(X, Y, groups=patients)
    assert ensemble.fold_[0] == ensemble.fold_[15]
    assert issubclass(SlideLeakageError, PatientLeakageError)


def test_grids_that_are_equal_by_construction_are_not_one_slide():
    X = [grid(embeddings=np.ones((16, 3))) for _ in range(8)] + [Grid([[1.0]], [[0, 0]], (1, 1)) for _ in range(8)]
    assert slide_names(X) == [set()] * 16
    ensemble = CrossValEnsemble(Any(), cv=4, baseline=False).fit(X, Y)
    assert np.bincount(ensemble.fold_).tolist() == [4, 4, 4, 4]


def test_rows_of_a_table_say_no_slide():
    X = np.ones((16, 2))
    assert slide_names(X) is None
    assert np.bincount(CrossValEnsemble(Ridge(), cv=4).fit(X, Y).fold_).tolist() == [4, 4, 4, 4]


@pytest.mark.parametrize("patients", [["a", "a "], ["a", 1], ["a", None]])
def test_patients_are_checked_whatever_the_estimator_does(patients):
    with pytest.raises(ValueError, match="groups"):
        CrossValEnsemble(Ridge(), cv=4).fit(np.ones((16, 2)), Y, groups=[*patients, *"cdefghijklmnop"])
