"""A training that learnt nothing says so in words; a trial of few steps does not."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sksurv.util import Surv

from sknic.estimators import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
from sknic.estimators.cox import risk_loss
from sknic.estimators.evidence import Doubts, constant_loss
from sknic.exceptions import NothingLearntWarning

breslow = partial(risk_loss, ties="breslow")
SETTINGS = {"n_filters": 4, "dropout": 0.0, "max_steps": 120, "eval_every": 20, "random_state": 0, "device": "cpu"}


def rows(*losses, name="valid_loss"):
    return [{"step": 100 * (i + 1), "train_loss": 0.1, name: loss} for i, loss in enumerate(losses)]


def test_a_validation_loss_that_never_beat_a_constant_is_told():
    with pytest.warns(NothingLearntWarning, match="validation loss, 1.02, did not beat .* 1. More steps"):
        Doubts(9.0, 1.0).warn("A", [rows(1.1, 1.02, 1.3)])


def test_a_training_loss_is_judged_by_its_last_rows():
    with pytest.warns(NothingLearntWarning, match="training loss, 1.2,"):
        Doubts(1.0).warn("A", [rows(0.7, 1.2, 1.2, 1.2, name="train_loss")])
    Doubts(1.0).warn("A", [rows(1.7, 1.1, 0.9, 0.8, name="train_loss")])


def test_weights_kept_at_the_beginning_are_told():
    with pytest.warns(NothingLearntWarning, match="keeps the weights of step 200 of 500"):
        Doubts(9.0, 1.0).warn("A", [rows(0.9, 0.8, 0.9, 1.2, 1.1)])
    Doubts(9.0, 1.0).warn("A", [rows(0.9, 0.8, 0.7, 1.2, 1.1)])
    Doubts(9.0, 1.0).warn("A", [rows(0.9, 1.2, 1.1)])


def test_a_trial_is_not_judged():
    trial, training = ([{"step": step, "train_loss": 9.0}] for step in (99, 100))
    assert Doubts(1.0).none_of(SimpleNamespace(history=trial))
    assert not Doubts(1.0).none_of(SimpleNamespace(history=training))
    Doubts(1.0).warn("A", [trial])  # warnings are errors here
    with pytest.warns(NothingLearntWarning, match="training loss, 9, did not beat"):
        Doubts(1.0).warn("A", [training])


def test_a_constant_risk_costs_what_the_sizes_of_the_risk_sets_say():
    targets = torch.tensor([[1.0, 1], [1, 2], [0, 3], [1, 4]])
    assert constant_loss(breslow, torch.zeros(1), targets) == pytest.approx((np.log(4) + np.log(3)) / 3)
    of_batches = constant_loss(breslow, torch.zeros(1), targets, [[0, 1], [2, 3]])
    assert of_batches == pytest.approx(np.log(2) / 4)


@pytest.mark.parametrize("estimator", [GridCNNRegressor, GridCNNClassifier, GridCoxSurvival])
def test_grids_that_are_all_alike_teach_nothing(estimator):
    grids = [np.ones((2, 3, 3), np.float32)] * 12
    random = np.random.RandomState(0)
    y = {
        GridCNNRegressor: np.array([-1.0, 1.0] * 6),
        GridCNNClassifier: np.arange(12) % 2,
        GridCoxSurvival: Surv.from_arrays(np.ones(12, bool), random.uniform(1, 2, 12)),
    }[estimator]
    with pytest.warns(NothingLearntWarning, match=f"{estimator.__name__} learnt nothing"):
        estimator(**SETTINGS, n_members=1, validation_fraction=0.5).fit(grids, y)


@pytest.mark.parametrize("balanced", [True, False])
def test_what_is_learnt_is_not_doubted(cohort, balanced):
    grids, _, labels, _ = cohort
    model = GridCNNClassifier(**SETTINGS, balanced=balanced).fit(grids, labels)  # warnings are errors here
    assert model.score(grids, labels) > 0.9
