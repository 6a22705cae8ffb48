"""Crops: what is cut out is what the grid holds, where tissue is deep, all of it is seen."""

import numpy as np
import pytest
import torch

from sknic import GridCNNRegressor
from sknic.estimators import crops
from sknic.estimators.batches import CohortBatches
from sknic.estimators.crops import (
    ArrayGrid,
    Canvas,
    SpreadCrops,
    TrainingCrops,
    auto_canvas,
    crop_density,
    spread_windows,
    tissue_box,
)
from sknic.estimators.scaling import ChannelScaling
from sknic.grids import Grid, hdf5, orient

from .conftest import make_grid


@pytest.fixture
def random():
    return np.random.RandomState(0)


def square(n, at=(0, 0)):
    """Cells of a full square."""
    return np.argwhere(np.ones((n, n), bool)) + at


@pytest.mark.parametrize("window", [(0, 0), (-3, 2), (4, -5), (20, 20)])
def test_a_crop_equals_the_grids_own(random, window):
    grid = make_grid(random)
    crop = Canvas(6, 5, np.float16).batch([(grid.embeddings, grid.cells - window)])
    np.testing.assert_array_equal(crop[0].numpy(), grid.crop(*window, 6, 6))


def test_batches_are_float32_in_channels_last_memory_and_reuse_it_without_traces(random):
    canvas = Canvas(9, 5, np.float16)
    grids = [make_grid(random) for _ in range(3)]
    first = canvas.batch([(grid.embeddings, grid.cells) for grid in grids])
    assert first.dtype == torch.float32
    assert first.is_contiguous(memory_format=torch.channels_last)
    second = canvas.batch([(grids[2].embeddings[:1], grids[2].cells[:1])])
    assert second.data_ptr() == first.data_ptr()
    assert (second != 0).any(dim=1).sum() == 1


def test_cells_laid_out_on_the_device_make_the_same_batch(random):
    crops = [(grid.embeddings, grid.cells - (2, 1)) for grid in (make_grid(random) for _ in range(3))]
    canvas = Canvas(6, 5, np.float16)
    batch = canvas._on_device([canvas._inside(*crop) for crop in crops])
    np.testing.assert_array_equal(batch.view(3, 6, 6, 5).permute(0, 3, 1, 2), canvas.batch(crops))


def test_the_canvas_is_the_largest_box_of_tissue_and_at_most_400():
    small = Grid(np.ones((9, 2)), square(3, (50, 7)), (90, 90))
    assert auto_canvas([small, Grid(np.ones((1, 2)), [[0, 0]], (5, 5))]) == 3
    assert auto_canvas([Grid(np.ones((2, 2)), [[0, 0], [800, 3]], (900, 9))]) == 400
    assert auto_canvas([Grid(np.ones((0, 2)), np.zeros((0, 2)), (4, 4))]) == 1


def test_the_crop_density_is_the_squared_distance_to_background():
    density = crop_density(square(5))
    expected = np.array([[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 2, 3, 2, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]]) ** 2.0
    np.testing.assert_allclose(density.reshape(5, 5), expected / expected.sum())


def test_one_window_around_tissue_that_fits():
    assert spread_windows(square(4, (10, 20)), 6, 10) == [(9, 19)]
    assert spread_windows(np.zeros((0, 2), int), 6, 10) == [(-2, -2)]


@pytest.mark.parametrize("shape", [(30, 30), (7, 40), (40, 7)])
def test_windows_together_see_all_tissue(random, shape):
    cells = np.argwhere(random.uniform(size=shape) < 0.4) + 3
    windows = spread_windows(cells, 10, 100)
    seen = [((cells >= window) & (cells < np.add(window, 10))).all(axis=1) for window in windows]
    assert np.any(seen, axis=0).all()


def test_the_fewest_windows_see_the_most_tissue():
    cells = np.concatenate([square(8), square(4, (50, 50)), square(2, (90, 0))])
    assert spread_windows(cells, 8, 1) == [(0, 0)]
    assert len(spread_windows(cells, 8, 10)) == 3


def test_a_training_crop_of_tissue_that_fits_holds_it_all_turned_in_one_of_eight_ways(random):
    grid = make_grid(random, shape=(4, 5), n_cells=20)
    crops = TrainingCrops([grid], torch.zeros(1), Canvas(7, 5, np.float16), random)
    dense = grid.to_dense()
    seen = set()
    for _ in range(200):
        crop = crops.__getitems__([0])[0][0].numpy()
        first, size = tissue_box(np.argwhere((crop != 0).any(axis=0)))
        inside = crop[:, first[0] : first[0] + size[0], first[1] : first[1] + size[1]]
        seen |= {k for k in range(8) if np.array_equal(inside, orient(dense, k))}
        assert (crop != 0).any(axis=0).sum() == 20
    assert seen == set(range(8))


def test_a_training_crop_of_larger_tissue_is_full_and_drawn_from_the_depth_of_tissue(random):
    cells = np.concatenate([square(20), [[19, column] for column in range(20, 60)]])
    grid = ArrayGrid(np.ones((len(cells), 1), np.float32), cells, (20, 60))
    crops = TrainingCrops([grid], torch.zeros(1), Canvas(10, 1, np.float32), random)
    tissue = [crops.__getitems__([0])[0].sum().item() for _ in range(100)]
    assert np.mean(tissue) > 90


def test_the_pixels_own_orientations_are_drawn_where_a_grid_holds_them(random):
    cells = square(2)
    oriented = np.stack([np.full((4, 1), k, np.float16) for k in range(1, 8)])
    grid = Grid(np.full((4, 1), 8), cells, (2, 2), oriented_embeddings=oriented)
    crops = TrainingCrops([grid], torch.zeros(1), Canvas(2, 1, np.float16), random)
    values = {crops.__getitems__([0])[0].unique().item() for _ in range(100)}
    assert values == {8, 1, 2, 3, 4, 5, 6, 7}


def test_prediction_goes_over_all_windows_and_orientations(random):
    oriented = np.ones((7, 64, 1), np.float16)
    eight = Grid(np.ones((64, 1)), square(8), (8, 8), oriented_embeddings=oriented)
    one = Grid(np.ones((64, 1)), square(8), (8, 8))
    crops = SpreadCrops([one, eight], torch.zeros(2), Canvas(4, 1, np.float16), 3)
    assert np.bincount(crops.owner).tolist() == [3, 24]
    assert len(crops.__getitems__(list(range(27)))[0]) == 27
    assert len(SpreadCrops([eight], torch.zeros(1), Canvas(4, 1, np.float16), 3, max_orientations=1)) == 3


def test_batches_hold_their_share_of_each_label():
    labels = np.repeat([0, 1], [30, 10])
    batches = list(CohortBatches(labels, 8))
    assert sorted(i for batch in batches for i in batch) == list(range(40))
    assert {int(labels[batch].sum()) for batch in batches} <= {1, 2, 3}


def test_balanced_batches_hold_as_many_of_each_label():
    labels = np.repeat([0, 1], [36, 4])
    batches = list(CohortBatches(labels, 8, balanced=True))
    assert {int(labels[batch].sum()) for batch in batches} <= {3, 4, 5}
    assert {len(batch) for batch in batches} == {8}


@pytest.mark.parametrize("n", range(2, 12))
def test_no_batch_is_a_single_grid(n):
    assert min(len(batch) for batch in CohortBatches(np.zeros(n), 2)) >= 2


def test_crops_that_are_read_together_are_of_one_grid():
    random = np.random.RandomState(0)
    cells = np.argwhere(np.ones((3, 9), bool))
    grids = [Grid(random.normal(size=(27, 1)), cells, (3, 9)), Grid(np.ones((1, 1)), [[0, 0]], (2, 2))]
    crops = SpreadCrops(grids, torch.zeros(2), Canvas(3, 1, np.float16), 3, turned=True)
    assert crops.owner.tolist() == [0] * 24 + [1] * 8
    assert [len(rows) for rows in crops.batches()] == [8, 8, 8, 8]
    assert [len(rows) for rows in crops.batches(5)] == [5, 5, 5, 5, 4, 5, 3]
    assert sorted(sum(crops.batches(5), [])) == list(range(32))


def test_a_grid_of_one_orientation_is_turned_and_one_of_eight_is_not(random):
    embeddings, cells = random.normal(size=(8, 25, 2)).astype(np.float16), square(5)
    one = Grid(embeddings[0], cells, (5, 5))
    eight = Grid(embeddings[0], cells, (5, 5), oriented_embeddings=embeddings[1:])
    for grid, versions in ((one, embeddings[[0] * 8]), (eight, embeddings)):
        crops = SpreadCrops([grid], torch.zeros(1), Canvas(5, 2, np.float16), 1, turned=True)
        for number, version in enumerate(versions):
            expected = orient(version.T.reshape(2, 5, 5), number)
            np.testing.assert_array_equal(crops.__getitems__([number])[0][0], expected)


@pytest.mark.parametrize("n_stored", [1, 8])
def test_a_prediction_reads_the_embeddings_of_a_file_once_per_crop(random, tmp_path, monkeypatch, n_stored):
    oriented = random.normal(size=(7, 25, 3)) if n_stored == 8 else None
    grid = Grid(random.normal(size=(25, 3)), square(5), (5, 5), oriented_embeddings=oriented).write(tmp_path / "g.h5")
    shapes, read_dataset = [], hdf5.read_dataset
    monkeypatch.setattr(hdf5, "read_dataset", lambda path, place: shapes.append(place[1]) or read_dataset(path, place))
    data = SpreadCrops([grid], torch.zeros(1), Canvas(5, 3, np.float16), 1, turned=True)
    assert (25, 3) not in shapes  # where windows are is told by the cells
    data.__getitems__(list(range(8)))
    assert shapes.count((25, 3)) == 8


def test_standardized_channels_leave_background_at_zero(random):
    grid = make_grid(random, mean=5.0)
    scaling = ChannelScaling.of([grid, make_grid(random, mean=-3.0)])
    batch = Canvas(9, 5, np.float16, scaling=scaling).batch([(grid.embeddings, grid.cells)])[0]
    expected = (grid.embeddings.astype(np.float32) - scaling.mean) / scaling.scale
    np.testing.assert_allclose(batch[:, grid.cells[:, 0], grid.cells[:, 1]].T, expected, rtol=1e-5)
    assert (batch != 0).any(dim=0).sum() == len(grid.cells)


@pytest.fixture
def prefetched(monkeypatch):
    """Grids that were asked for ahead, one list per question."""
    asked = []
    monkeypatch.setattr(crops, "prefetch", lambda grids: asked.append(list(grids)))
    return asked


def test_a_prediction_asks_for_the_next_grids_while_it_computes(random, prefetched):
    grids = [make_grid(random) for _ in range(3)]
    data = SpreadCrops(grids, torch.zeros(3), Canvas(40, 5, np.float16), max_crops=1, max_orientations=1)
    for i in range(3):
        data.__getitems__([i])
    assert prefetched == [[grids[1]], [grids[2]], []]


def test_a_training_asks_for_the_grids_of_the_next_batch(random, prefetched):
    grids = [make_grid(random) for _ in range(6)]
    GridCNNRegressor(max_steps=3, eval_every=3, batch_size=2, validation_fraction=None, random_state=0).fit(
        grids, np.arange(6.0)
    )
    first, second = prefetched  # three batches, and the first is not known ahead
    assert len(first) == len(second) == 2
    assert len({id(grid) for grid in first + second}) == 4 and all(grid in grids for grid in first + second)


def test_grids_in_files_and_in_memory_train_the_same_model(random, tmp_path):
    grids = [make_grid(random) for _ in range(6)]
    stored = [grid.write(tmp_path / f"{i}.h5") for i, grid in enumerate(grids)]
    models = [
        GridCNNRegressor(max_steps=4, batch_size=2, validation_fraction=None, random_state=0, n_threads=1).fit(
            each, np.arange(6.0)
        )
        for each in (grids, stored)
    ]
    np.testing.assert_array_equal(*(model.predict(grids) for model in models))
