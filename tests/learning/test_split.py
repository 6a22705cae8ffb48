"""Validation sets: no patient on both sides, and each class gives its share."""

import numpy as np
import pandas as pd
import pytest

from sknic.exceptions import DegenerateDataError
from sknic.learning.randomness import make_random
from sknic.learning.split import check_groups, quantile_bins, split


def test_a_patient_is_never_on_both_sides():
    groups = np.repeat(np.arange(20), 3)
    train_rows, valid_rows = split(60, 0.3, groups=groups, random_state=0)
    assert not set(groups[train_rows]) & set(groups[valid_rows])
    assert len(valid_rows) == 18
    assert sorted([*train_rows, *valid_rows]) == list(range(60))


@pytest.mark.parametrize("groups", [None, np.arange(100) // 2])
def test_each_class_gives_its_share_to_validation(groups):
    labels = np.repeat(["a", "b"], [80, 20])
    _, valid_rows = split(100, 0.25, groups=groups, stratify=labels, random_state=0)
    assert np.unique(labels[valid_rows], return_counts=True)[1].tolist() in ([20, 5], [20, 4])


def test_a_class_with_one_patient_stays_in_training_and_two_samples_still_split():
    train_rows, valid_rows = split(5, 0.4, stratify=[0, 0, 0, 0, 1], random_state=0)
    assert 4 in train_rows and len(valid_rows) == 2
    assert [len(part) for part in split(2, 0.1, stratify=[0, 1], random_state=0)] == [1, 1]


def test_one_patient_cannot_be_split():
    with pytest.raises(DegenerateDataError, match="1 patient"):
        split(3, 0.5, groups=[1, 1, 1])


@pytest.mark.parametrize("fraction", [0, 1, -0.2])
def test_a_fraction_outside_0_to_1_is_refused(fraction):
    with pytest.raises(ValueError, match="fraction"):
        split(10, fraction)


def test_quantile_bins_are_even_and_survive_ties():
    assert np.bincount(quantile_bins(np.arange(100.0))).tolist() == [25, 25, 25, 25]
    assert len(np.unique(quantile_bins(np.zeros(10)))) == 1


def test_no_seed_draws_afresh():
    assert make_random(None).randint(2**31 - 1) != make_random(None).randint(2**31 - 1)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["a", None, "b"], r"groups\[1\]=None: expected a value for each sample; 1 of 3 missing"),
        ([1.0, np.nan, np.nan], r"groups\[1\]=nan: .* 2 of 3 missing"),
        (pd.array([1, pd.NA, 2], dtype="Int64"), r"groups\[1\]=<NA>"),
        (pd.Series(["a", "b", pd.NA], dtype="string"), r"groups\[2\]=<NA>"),
        (pd.to_datetime(pd.Series(["2020-01-01", None, "2020-01-02"])), r"groups\[1\]=NaT"),
        (["a", 1, "b"], "groups: expected all text or all numbers; found int, str"),
        (np.array(["a", 1.5, "b"], dtype=object), "found float, str"),
        ([1, 2], r"groups: expected one per sample, shape \(3,\); found shape \(2,\)"),
        ([[1], [2], [3]], r"found shape \(3, 1\)"),
    ],
)
def test_groups_that_do_not_name_one_patient_for_each_sample_are_refused(groups, message):
    with pytest.raises(ValueError, match=message):
        split(3, 0.5, groups=groups)


@pytest.mark.parametrize(
    "groups",
    [["b", "a", "b"], np.array([2, 1, 2]), pd.Categorical(["y", "x", "y"]), pd.Series([2.5, 1, 2.5]), (7, 3, 7)],
)
def test_groups_of_any_form_are_numbered_in_the_order_of_their_names(groups):
    assert check_groups(groups, 3).tolist() == [1, 0, 1]
