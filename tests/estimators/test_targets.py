"""Targets that cannot be learnt, or are not what they seem, are named; few events are said."""

import numpy as np
import pandas as pd
import pytest
from sksurv.util import Surv

from sknic.estimators import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
from sknic.exceptions import DegenerateDataError, FewEventsWarning

QUICK = {"n_filters": 4, "max_steps": 2, "eval_every": 2, "batch_size": 8, "random_state": 0, "device": "cpu"}


def test_targets_that_cannot_be_learnt_are_named(cohort):
    grids, _, _, _ = cohort
    with pytest.raises(DegenerateDataError, match="one class"):
        GridCNNClassifier(**QUICK).fit(grids, np.zeros(24))
    with pytest.raises(DegenerateDataError, match="none of the 24 samples has an event"):
        GridCoxSurvival(**QUICK).fit(grids, Surv.from_arrays(np.zeros(24, bool), np.arange(24)))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["a", 1] * 12, "y: expected all text or all numbers; found int, str"),
        (["a", None] * 12, r"y\[1\]=None: expected a value for each sample; 12 of 24 missing"),
        (pd.Series(["a", pd.NA] * 12), r"y\[1\]=<NA>"),
        (np.array(["a", np.nan] * 12, dtype=object), r"y\[1\]=nan"),
    ],
)
def test_labels_that_are_missing_or_of_two_types_are_refused(cohort, labels, message):
    with pytest.raises(ValueError, match=message):
        GridCNNClassifier(**QUICK).fit(cohort[0], labels)


def test_labels_of_which_fit_saw_none_are_not_all_wrong(cohort):
    grids, labels = cohort[0], np.arange(24) % 2
    model = GridCNNClassifier(**QUICK).fit(grids, labels)
    assert model.score(grids, labels.astype(float)) == model.score(grids, labels)
    with pytest.raises(ValueError, match=r"the target contains '0', '1' \(24 of 24 slides\): expected .* model, 0, 1"):
        model.score(grids, labels.astype(str))


@pytest.mark.parametrize("y", [pd.to_timedelta(range(24), unit="D"), pd.date_range("2020-01-01", periods=24)])
def test_durations_and_dates_are_not_numbers(cohort, y):
    with pytest.raises(ValueError, match="y: expected numbers; found dates or durations"):
        GridCNNRegressor(**QUICK).fit(cohort[0], y)


@pytest.mark.parametrize("random_state", range(4))
@pytest.mark.parametrize("by_patient", [False, True])
def test_a_single_event_is_trained_on_without_a_validation_part_and_that_is_said(cohort, random_state, by_patient):
    grids, _, _, patients = cohort
    event = patients == 2 if by_patient else np.arange(24) == 3
    y = Surv.from_arrays(event, np.arange(24))
    model = GridCoxSurvival(**{**QUICK, "validation_fraction": 0.25, "random_state": random_state})
    with pytest.warns(FewEventsWarning, match=f"{event.sum()} of 24 samples have an event"):
        model.fit(grids, y, groups=patients if by_patient else None)
    assert "valid_loss" not in model.history_[0]


@pytest.mark.parametrize("random_state", range(4))
def test_two_patients_with_events_are_enough_for_both_sides_of_the_split(cohort, random_state):
    grids, _, _, patients = cohort
    y = Surv.from_arrays(np.isin(patients, [2, 5]), np.arange(24))
    settings = {**QUICK, "validation_fraction": 0.25, "random_state": random_state}
    model = GridCoxSurvival(**settings).fit(grids, y, groups=patients)
    assert np.isfinite(model.history_[0]["valid_loss"])
