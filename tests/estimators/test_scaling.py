"""Channels are standardized over tissue, whatever the grids' number and size, and once for all."""

import numpy as np
import pytest
import torch

from sknic.estimators import GridCNNClassifier, GridCNNRegressor, load_estimator
from sknic.estimators.scaling import ChannelScaling
from sknic.grids import Grid

from .conftest import make_grid

QUICK = {"n_filters": 4, "max_steps": 2, "eval_every": 2, "random_state": 0, "device": "cpu"}


def test_every_cell_counts_alike():
    random = np.random.RandomState(0)
    grids = [make_grid(random, 4.0, n_cells=n) for n in (3, 30, 60)]
    cells = np.concatenate([grid.embeddings for grid in grids]).astype(np.float64)
    scaling = ChannelScaling.of(grids)
    np.testing.assert_allclose(scaling.mean, cells.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scaling.scale, cells.std(axis=0), rtol=1e-5)
    assert scaling.mean.dtype == scaling.scale.dtype == np.float32


def test_a_channel_that_does_not_vary_keeps_its_spread():
    scaling = ChannelScaling.of([Grid(np.full((6, 2), 7.0), np.argwhere(np.ones((2, 3))), (2, 3))])
    np.testing.assert_array_equal(scaling.scale, 1)
    np.testing.assert_array_equal(scaling(np.full((1, 2), 7, np.float16)), 0)


def test_a_channel_that_differs_by_rounding_is_not_blown_up():
    nearly = np.full((400, 3), [7.0, 0.0, 7.0], np.float16)
    nearly[0, 0] = np.nextafter(np.float16(7), np.float16(8))  # one step of float16 in one of 400 cells
    nearly[::2, 1:] += np.float16(0.25)
    scaling = ChannelScaling.of([Grid(nearly, np.argwhere(np.ones((20, 20))), (20, 20))])
    np.testing.assert_allclose(scaling.scale, [1, 0.125, 0.125])
    assert abs(float(scaling(np.array([[7.25, 0, 7]], np.float32))[0, 0]) - 0.25) < 1e-3


def test_arrays_that_cannot_be_written_and_tensors_are_scaled_alike():
    scaling = ChannelScaling(np.array([1, 2], np.float32), np.array([2, 4], np.float32))
    locked = np.array([[3, 2]], np.float16)
    locked.setflags(write=False)
    for embeddings in (locked, torch.from_numpy(np.array(locked)), locked.astype(np.float32)):
        np.testing.assert_array_equal(scaling(embeddings), [[1, 0]])
    np.testing.assert_array_equal(locked, [[3, 2]])


def test_the_scale_of_an_embedding_changes_nothing(cohort):
    grids, scores, *_ = cohort
    large = [Grid(grid.embeddings.astype(np.float32) * 1024, grid.cells, grid.shape) for grid in grids]
    predictions = [GridCNNRegressor(**QUICK).fit(X, scores).predict(X) for X in (grids, large)]
    np.testing.assert_allclose(*predictions, rtol=1e-3)


def test_only_training_grids_are_measured_and_the_file_keeps_it(cohort, tmp_path):
    grids, _, labels, _ = cohort
    model = GridCNNClassifier(**QUICK, validation_fraction=0.5).fit(grids, labels)
    assert not np.allclose(model.channel_mean_, ChannelScaling.of(grids).mean, rtol=1e-3)
    model.save(tmp_path / "model")
    back = load_estimator(tmp_path / "model", device="cpu")
    np.testing.assert_array_equal(back.channel_mean_, model.channel_mean_)
    assert back.channel_scale_.dtype == np.float32


@pytest.mark.parametrize("standardize", [True, False])
def test_without_it_nothing_is_learnt_of_the_channels(cohort, standardize):
    model = GridCNNRegressor(**QUICK, standardize=standardize).fit(cohort[0], cohort[1])
    assert (model.channel_mean_ is None) != standardize
