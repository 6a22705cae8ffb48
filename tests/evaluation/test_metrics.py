"""Point metrics agree with the libraries that define them, and refuse what cannot be measured."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import cross_val_score
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.metrics import concordance_index_censored
from sksurv.util import Surv

from sknic.evaluation import (
    accuracy,
    auc,
    auc_scorer,
    balanced_accuracy,
    compare_auc,
    concordance,
    concordance_scorer,
    estimate,
    net_benefit,
    r2,
    spearman,
    spearman_scorer,
)
from sknic.exceptions import DegenerateDataError

RNG = np.random.RandomState(0)
SCORE = np.round(RNG.normal(size=60), 1)  # rounded, so that there are ties
NOISY = np.round(SCORE + RNG.normal(size=60), 1)
LABEL = np.where(SCORE > 0, "tumour", "benign")
SURVIVAL = Surv.from_arrays(RNG.rand(60) < 0.5, np.exp(-SCORE) + RNG.rand(60))


def test_auc_with_ties_equals_scikit_learns():
    assert auc(LABEL, NOISY) == pytest.approx(roc_auc_score(LABEL, NOISY))


def test_auc_takes_the_columns_of_predict_proba():
    probability = 1 / (1 + np.exp(-NOISY))
    assert auc(LABEL, np.c_[1 - probability, probability]) == pytest.approx(auc(LABEL, probability))


def test_auc_of_three_classes_is_the_mean_of_one_against_the_rest():
    label = np.digitize(SCORE, [-0.5, 0.5])
    probability = RNG.dirichlet([1, 1, 1], size=60)
    assert auc(label, probability) == pytest.approx(roc_auc_score(label, probability, multi_class="ovr"))


def test_balanced_accuracy_equals_scikit_learns():
    predicted = np.where(NOISY > 0.5, "tumour", "benign")
    assert balanced_accuracy(LABEL, predicted) == pytest.approx(balanced_accuracy_score(LABEL, predicted))


def test_concordance_of_the_true_order_is_one_and_of_its_reverse_zero():
    y = Surv.from_arrays([True, True, False, True], [1.0, 2.0, 3.0, 4.0])
    assert concordance(y, [4, 3, 2, 1]) == 1
    assert concordance(y, [1, 2, 3, 4]) == 0


@pytest.mark.parametrize(
    "measure, message",
    [
        (lambda: spearman(SCORE, np.zeros(60)), "y_pred are equal"),
        (lambda: spearman(np.ones(60), SCORE), "y_true are equal"),
        (lambda: auc(np.zeros(60), SCORE), r"1 class \(0.0\)"),
        (lambda: auc([0, 1, 1], np.eye(3)), "all 3 classes"),
        (lambda: balanced_accuracy(["a", "a"], ["a", "b"]), r"one class \(a\)"),
        (lambda: r2(np.ones(60), SCORE), "varies"),
        (lambda: concordance(Surv.from_arrays(np.zeros(3, bool), [1, 2, 3]), [1, 2, 3]), "without any event"),
        (lambda: concordance(Surv.from_arrays([False, True], [1.0, 2.0]), [1, 2]), "nothing to compare"),
        (lambda: accuracy([], []), "no slides"),
    ],
)
def test_degenerate_data_is_named(measure, message):
    with pytest.raises(DegenerateDataError, match=message):
        measure()


@pytest.mark.parametrize(
    "measure, message",
    [
        (lambda: spearman([1, 2, np.nan], [1, 2, 3]), "y_true contains 1 values"),
        (lambda: spearman([1, 2], [1, 2, 3]), "2 rows"),
        (lambda: spearman([1, 2, 3], np.ones((3, 2))), "one number per slide"),
        (lambda: spearman(np.ones((3, 2)), np.ones(3)), "a column in both"),
        (lambda: auc([0, 1, 2], [0.1, 0.2, 0.3]), "3 classes"),
        (lambda: concordance([1.0, 2.0, 3.0], [1, 2, 3]), "Surv"),
        (lambda: concordance(Surv.from_arrays([True], [-1.0]), [1]), "not negative"),
    ],
)
def test_wrong_input_is_named(measure, message):
    with pytest.raises(ValueError, match=message):
        measure()


@pytest.mark.parametrize(
    "estimator, y, scorer",
    [
        (Ridge(), SCORE, spearman_scorer),
        (LogisticRegression(), LABEL, auc_scorer),
        (CoxPHSurvivalAnalysis(), SURVIVAL, concordance_scorer),
    ],
    ids=["spearman", "auc", "concordance"],
)
def test_scorers_work_in_cross_val_score(estimator, y, scorer):
    X = np.c_[SCORE, RNG.normal(size=60)]
    scores = cross_val_score(estimator, X, y, cv=3, scoring=scorer, error_score="raise")
    assert scores.mean() > 0.8


@pytest.mark.parametrize("n", [2, 7, 60, 300])
@pytest.mark.parametrize("pairs_at_once", [1, 1 << 20])
def test_concordance_is_scikit_survivals_with_ties_in_time_and_risk(n, pairs_at_once, monkeypatch):
    monkeypatch.setattr("sknic.targets.concordance._PAIRS_AT_ONCE", pairs_at_once)
    random = np.random.RandomState(n)
    for _ in range(5):
        event = random.rand(n) < 0.6
        event[0] = True
        time, risk = random.randint(1, n, size=n).astype(float), random.randint(4, size=n) + random.rand(n).round(1)
        time[0], risk[0] = 0.5, risk[1] + 5e-9  # tied, within the tolerance
        expected = concordance_index_censored(event, time, risk)[0]
        assert concordance(Surv.from_arrays(event, time), risk) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("missing", [np.nan, None])
@pytest.mark.parametrize(
    "measure",
    [
        lambda y: auc(y, [0.1, 0.9, 0.2, 0.8]),
        lambda y: accuracy(y, [0, 1, 0, 1]),
        lambda y: balanced_accuracy(y, [0, 1, 0, 1]),
        lambda y: net_benefit(y, [0.1, 0.9, 0.2, 0.8], [0.5]),
        lambda y: compare_auc(y, [0.1, 0.9, 0.2, 0.8], [0.9, 0.1, 0.8, 0.2]),
        lambda y: estimate("auc", y, [0.1, 0.9, 0.2, 0.8]),
    ],
)
def test_a_missing_label_is_not_a_class(measure, missing):
    with pytest.raises(ValueError, match=r"y_true\[1\] is missing \(2 of 4\)"):
        measure([0, missing, 0, missing])


def test_concordance_of_events_that_all_tie_in_time_is_undefined():
    with pytest.raises(DegenerateDataError, match="nothing to compare"):
        concordance(Surv.from_arrays([True, True], [2.0, 2.0]), [1.0, 2.0])
