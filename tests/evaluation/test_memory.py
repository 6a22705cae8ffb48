"""A cross-validation that was interrupted goes on with the next fold, and never takes a fold of other slides."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from sknic import CrossValEnsemble, Grid


class Counted(RegressorMixin, BaseEstimator):
    """Predicts the mean; counts its fits, and stops at one of them as Ctrl-C does."""

    fits, stop_at = 0, None

    def fit(self, X, y):
        type(self).fits += 1
        if type(self).fits == type(self).stop_at:
            raise KeyboardInterrupt
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


def grids(seed=0):
    rng = np.random.default_rng(seed)
    return [Grid(rng.normal(size=(2, 3)), [[0, 0], [0, 1]], (1, 2)) for _ in range(12)]


def ensemble(folder):
    return CrossValEnsemble(Counted(), cv=4, random_state=0, baseline=False, memory=folder)


@pytest.fixture(autouse=True)
def fresh():
    Counted.fits, Counted.stop_at = 0, None


Y = np.arange(12.0)


def test_the_same_call_goes_on_where_it_was_interrupted(tmp_path):
    Counted.stop_at = 3
    with pytest.raises(KeyboardInterrupt):
        ensemble(tmp_path).fit(grids(), Y)
    Counted.fits, Counted.stop_at = 0, None
    again = ensemble(tmp_path).fit(grids(), Y)
    assert Counted.fits == 2
    whole = ensemble(None).fit(grids(), Y)
    np.testing.assert_array_equal(again.oof_prediction_, whole.oof_prediction_)
    np.testing.assert_array_equal(again.fold_, whole.fold_)


@pytest.mark.parametrize("change", ["slides", "target", "patients", "folds"])
def test_other_slides_labels_or_folds_are_fitted_anew(change, tmp_path):
    ensemble(tmp_path).fit(grids(), Y)
    Counted.fits = 0
    other = ensemble(tmp_path)
    X, y = (grids(seed=1) if change == "slides" else grids()), (Y + 1 if change == "target" else Y)
    if change == "folds":
        other.set_params(random_state=1)
    other.fit(X, y, groups=np.arange(12) // 2 if change == "patients" else None)
    assert Counted.fits == 4
