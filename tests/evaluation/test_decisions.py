"""Decisions by predictions: net benefit and rejection against numbers that were worked out by hand."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sksurv.util import Surv

from sknic import CrossValEnsemble
from sknic.evaluation import net_benefit, rejection_curve
from sknic.exceptions import DegenerateDataError

# Vickers and Elkin's rule for 10 patients, 4 of them ill, of whom 3 are treated, and 2 of the others.
ILL = np.array(["no"] * 6 + ["yes"] * 4)
PROBABILITY = np.array([0.05, 0.05, 0.05, 0.05, 0.4, 0.4, 0.1, 0.4, 0.7, 0.7])


@pytest.mark.parametrize(
    "threshold, wanted", [(0.2, 3 / 10 - 2 / 10 / 4), (0.5, 2 / 10), (0.7, 2 / 10), (0.75, 0), (0.01, 0.4 - 0.6 / 99)]
)
def test_net_benefit_is_that_worked_out_by_hand(threshold, wanted):
    assert net_benefit(ILL, PROBABILITY, [threshold]) == pytest.approx([wanted])


def test_a_probability_at_a_default_threshold_reaches_it():
    found = net_benefit([0, 0, 1, 1], [0.1, 0.1, 0.29, 0.57])
    assert found[[28, 56]].tolist() == [0.5, 0.25]  # at 0.29 and 0.57
    everywhere = [float(f"0.{percent:02d}") for percent in range(1, 100)]
    assert found.tolist() == net_benefit([0, 0, 1, 1], [0.1, 0.1, 0.29, 0.57], everywhere).tolist()


def test_treating_everybody_is_worth_nothing_at_the_prevalence():
    assert net_benefit(ILL, None, [0.4, 0.25, 0.5]) == pytest.approx([0, 0.4 - 0.6 / 3, -0.2])


def test_net_benefit_refuses_what_is_no_probability_of_one_of_two_classes():
    with pytest.raises(DegenerateDataError, match="y_true contains 1 classes; expected two to decide between"):
        net_benefit(["a", "a"], [0.1, 0.2])
    with pytest.raises(ValueError, match="expected one within 0 and 1 for each slide"):
        net_benefit(ILL, PROBABILITY * 2)
    with pytest.raises(ValueError, match="expected probabilities above 0 and below 1"):
        net_benefit(ILL, PROBABILITY, [0.5, 1])


def test_those_that_are_doubted_most_are_rejected_first():
    true, said, doubt = [0, 1, 1, 0, 1], [0, 1, 0, 1, 1], [0.1, 0.3, 0.9, 0.8, 0.2]
    assert rejection_curve("accuracy", true, said, doubt, [0.2, 0.6, 0.8, 1]).tolist() == [1, 1, 0.75, 0.6]
    assert len(rejection_curve("accuracy", true, said, doubt)) == 10


def test_survival_can_be_rejected_and_what_has_no_metric_is_nan():
    y = Surv.from_arrays([False, True, True, True], [1.0, 2, 3, 4])
    found = rejection_curve("concordance", y, [4, 3, 2, 1], [0, 1, 2, 3], [0.25, 1])
    assert np.isnan(found[0])
    assert found[1] == 1


def test_doubts_that_are_not_one_finite_number_for_each_slide_are_refused():
    with pytest.raises(ValueError, match="expected one finite number for each of 2 slides"):
        rejection_curve("accuracy", [0, 1], [0, 1], [0.5])
    with pytest.raises(ValueError, match=r"kept=\[0.0, 0.5\]: expected fractions above 0"):
        rejection_curve("accuracy", [0, 1], [0, 1], [0.5, 0.1], [0, 0.5])


def test_the_spread_of_members_is_kept_out_of_fold():
    random = np.random.default_rng(0)
    X = random.normal(size=(120, 6))
    y = np.where(X[:, 0] + random.normal(size=120) > 0, "yes", "no")
    members = CrossValEnsemble(LogisticRegression(), cv=3, random_state=0, baseline=False)
    ensemble = CrossValEnsemble(make_pipeline(StandardScaler(), members), cv=3, random_state=0).fit(X, y)
    for fold, model in enumerate(ensemble.estimators_):
        rows = ensemble.fold_ == fold
        wanted = model[-1].predict_spread(model[:-1].transform(X[rows]))
        np.testing.assert_allclose(ensemble.oof_spread_[rows], wanted)
    assert CrossValEnsemble(LogisticRegression(), cv=3).fit(X, y).oof_spread_ is None
