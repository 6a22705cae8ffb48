"""Validation sets: no patient on both sides, and each class gives its share."""

import numpy as np
import pytest

from sknic.exceptions import DegenerateDataError
from sknic.learning.randomness import make_random
from sknic.learning.split import quantile_bins, split


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
