"""scikit-learn's whole battery on the three estimators, on the real network; one expected failure, of weights."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from sksurv.util import Surv

from sknic.estimators import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival


class UncensoredCoxSurvival(GridCoxSurvival):
    """Reads the battery's numeric y as times of events."""

    def fit(self, X, y, groups=None, sample_weight=None):
        return super().fit(X, as_times(y), groups=groups, sample_weight=sample_weight)

    def score(self, X, y):
        return super().score(X, as_times(y))


def as_times(y):
    if y is None:
        return None
    time = np.real(np.asarray(y)).astype(float).ravel()
    return Surv.from_arrays(np.ones(len(time), bool), time - time.min() + 1)


# Weights of 0, and equal ones, are exact (tests/estimators/test_weights.py). Weight 2 is a slide twice on average only:
# a network is trained in random batches, and takes other ones of more slides.
NOT_EXACT = {"check_sample_weight_equivalence_on_dense_data": "random batches of other slides"}

SETTINGS = {"n_filters": 16, "dropout": 0.0, "max_steps": 90, "eval_every": 15}


# scikit-learn casts the infinite labels of one check to int before it looks at them.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks(
    [GridCNNClassifier(**SETTINGS), GridCNNRegressor(**SETTINGS)], expected_failed_checks=lambda estimator: NOT_EXACT
)
def test_it_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


# A minute, for what it shares with the two others.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@parametrize_with_checks([UncensoredCoxSurvival(**SETTINGS)], expected_failed_checks=lambda estimator: NOT_EXACT)
def test_survival_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)
