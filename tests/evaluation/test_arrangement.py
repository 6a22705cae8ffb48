"""Does a test of arrangement tell a target that lies in it from one that lies in amounts?"""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sknic import Grid, GridCNNClassifier, GridCNNRegressor
from sknic.estimators import AttentionMIL
from sknic.evaluation import (
    ArrangementTest,
    Comparison,
    CrossValEnsemble,
    Estimate,
    arrangement_of_ensemble,
    arrangement_test,
    auc,
    shuffle_cells,
)

SIDE, N_SLIDES = 8, 40
MODEL = {
    "max_steps": 160,
    "lr": 0.01,
    "n_filters": 32,
    "dropout": 0.0,
    "device": "cpu",
    "n_threads": 1,
    "random_state": 0,
}


def _slides():
    """Half of the slides have their hot cells together, the others scattered; how many there are, they do not tell."""
    rng = np.random.RandomState(0)
    grids, together, amounts = [], np.arange(N_SLIDES) % 2, rng.randint(8, 20, N_SLIDES)
    for clustered, n_hot in zip(together, amounts):
        hot = np.zeros((SIDE, SIDE), bool)
        if clustered:
            row, column = rng.randint(0, SIDE - 5, 2)
            distance = np.add.outer((np.arange(SIDE) - row - 2) ** 2, (np.arange(SIDE) - column - 2) ** 2)
            hot.flat[np.argsort(distance, axis=None, kind="stable")[:n_hot]] = True
        else:
            hot.flat[rng.permutation(SIDE**2)[:n_hot]] = True
        dense = rng.normal(size=(3, SIDE, SIDE)) * 0.1 + 1
        dense[0] += 2 * hot
        grids.append(Grid.from_dense(dense))
    return grids, together, amounts


GRIDS, TOGETHER, AMOUNTS = _slides()
PATIENTS = np.arange(N_SLIDES) // 2 * 2 + np.arange(N_SLIDES) % 2


def test_a_target_that_lies_in_the_arrangement_is_lost_by_shuffling():
    test = arrangement_test(GridCNNClassifier(**MODEL), GRIDS, TOGETHER, groups=PATIENTS, cv=2, random_state=0)
    assert test.used and test.metric == "auc"
    assert test.shuffled.a.value > 0.9 and test.shuffled.b.value < 0.8
    assert test.pooled is not None and test.pooled.b.value < 0.75
    assert test.attention is not None and test.attention.b.value < 0.8 < test.attention.a.value
    assert list(test.scores) == ["cells in place", "cells shuffled", "attention over the bag", "mean embedding, linear"]
    assert f"attention over the bag reaches {test.attention.b.value:.3f}, mean embedding" in str(test)
    assert str(test).startswith("The arrangement of tissue is used: auc ")


def test_a_target_that_lies_in_amounts_is_not():
    options = {"groups": PATIENTS, "attention": False, "random_state": 0}
    test = arrangement_test(GridCNNRegressor(**MODEL), GRIDS, AMOUNTS.astype(float), **options)
    assert not test.used
    assert test.shuffled.a.low > 0.2 and test.shuffled.b.low > 0.2
    assert "not shown" in str(test)


def test_a_cross_validation_that_is_there_is_tested_on_its_own_folds():
    folds = [(np.r_[: 20 * k, 20 * k + 20 : 40], np.r_[20 * k : 20 * k + 20]) for k in (1, 0)]
    model = GridCNNClassifier(**(MODEL | {"max_steps": 20}))
    given = {"groups": PATIENTS, "sample_weight": np.where(AMOUNTS > 12, 5.0, 0.2)}
    ensemble = CrossValEnsemble(model, cv=folds, random_state=0).fit(GRIDS, TOGETHER, **given)
    test = arrangement_of_ensemble(ensemble, GRIDS, attention=False, random_state=3)
    moved = shuffle_cells(GRIDS, 3)
    again = CrossValEnsemble(model, cv=folds, random_state=0, baseline=False)
    again.fit(moved, TOGETHER, **given)
    assert test.attention is None
    assert test.shuffled.a.value == auc(TOGETHER, ensemble.oof_prediction_[:, 1])
    assert test.shuffled.b.value == auc(TOGETHER, again.oof_prediction_[:, 1])


def test_a_bag_is_not_compared_with_itself():
    model = GridCNNClassifier(module=AttentionMIL, max_steps=2, device="cpu", n_threads=1, random_state=0)
    test = arrangement_test(model, GRIDS, TOGETHER, groups=PATIENTS, cv=2, n_resamples=20, random_state=0)
    assert test.attention is None and "attention" not in str(test)


def test_a_model_that_has_learnt_nothing_uses_nothing():
    def estimate(value):
        return Estimate(value, value - 0.1, value + 0.1, 0.95, 40)

    lost = Comparison(estimate(0.45), estimate(0.2), estimate(0.25), 0.01, "paired bootstrap")
    assert not ArrangementTest("auc", lost, None, None, 0.5).used
    assert ArrangementTest("auc", lost, None, None, 0.3).used


def test_shuffled_cells_keep_outline_and_amounts():
    grid = GRIDS[0]
    (moved,) = shuffle_cells([grid], 0)
    np.testing.assert_array_equal(moved.cells, grid.cells)
    np.testing.assert_array_equal(np.sort(moved.embeddings, axis=0), np.sort(grid.embeddings, axis=0))
    assert (moved.embeddings != grid.embeddings).any(axis=1).mean() > 0.9
    (again,) = shuffle_cells([grid], 0)
    np.testing.assert_array_equal(again.embeddings, moved.embeddings)


def test_eight_orientations_trade_places_alike():
    rng = np.random.RandomState(0)
    first = rng.normal(size=(6, 2)).astype(np.float16)
    cells = np.argwhere(np.ones((2, 3)))
    oriented = np.stack([first + k for k in range(1, 8)])
    (moved,) = shuffle_cells([Grid(first, cells, (2, 3), oriented_embeddings=oriented)], 0)
    for k, version in enumerate(moved.orientations):
        np.testing.assert_allclose(version.embeddings, moved.embeddings + k, atol=0.01)


def test_a_model_that_does_not_learn_from_grids_is_refused():
    with pytest.raises(TypeError, match="Ridge: expected one that learns from grids"):
        arrangement_test(Ridge(), GRIDS, AMOUNTS)
