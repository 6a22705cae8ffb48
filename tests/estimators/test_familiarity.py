"""Slides that look unlike those of the training are told, and those that look alike are not."""

import copy
import warnings

import numpy as np
import pytest

from sknic import CrossValEnsemble, Grid, GridCNNRegressor, GridCoxSurvival
from sknic.estimators import files, load_estimator
from sknic.estimators.familiarity import FAR, MIN_SLIDES, SlideSpread
from sknic.evaluation.run_once import run_once
from sknic.exceptions import UnfamiliarSlidesWarning

QUICK = {"n_filters": 4, "max_steps": 2, "random_state": 0, "device": "cpu"}
SIDE, CHANNELS = 6, 8


def slides(n, seed=0, shift=0.0):
    """Slides whose mean embeddings have a standard deviation of 0.5; `shift` is that of another stain."""
    random = np.random.RandomState(seed)
    cells = np.argwhere(np.ones((SIDE, SIDE))).astype(np.int32)
    found = []
    for _ in range(n):
        values = random.normal(size=(len(cells), CHANNELS)) + random.normal(0, 0.5, CHANNELS) + shift
        found.append(Grid(values.astype(np.float16), cells, (SIDE, SIDE)))
    return found


@pytest.fixture(scope="module")
def model():
    return GridCNNRegressor(**QUICK).fit(slides(24), np.arange(24.0))


def test_slides_of_the_same_origin_are_about_one_deviation_away(model):
    distances = model.distance_to_training(slides(40, seed=1))
    assert 0.8 < np.median(distances) < 1.3 and distances.max() < 2.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(slides(40, seed=1))


def test_the_distance_is_the_root_mean_square_over_the_channels():
    same, other = slides(24), slides(3, seed=1, shift=3.0)
    means = np.stack([np.asarray(grid.embeddings, float).mean(axis=0) for grid in same])
    spread = SlideSpread.of(same)
    (first, *_) = spread.distances(other)
    z = (np.asarray(other[0].embeddings, float).mean(axis=0) - means.mean(axis=0)) / means.std(axis=0, ddof=1)
    assert first == pytest.approx(np.sqrt((z**2).mean()), rel=1e-5)
    assert spread.distances(same).mean() < 1 < FAR < first


def test_slides_of_another_stain_are_named_and_counted(model):
    mixed = slides(2, seed=1) + slides(4, seed=2, shift=4.0)
    with pytest.warns(UnfamiliarSlidesWarning, match=r"training: X\[2\], X\[3\], X\[4\] and 1 more\. "):
        outputs = model.run_networks(mixed)
    np.testing.assert_array_equal(outputs.distances > FAR, [False, False, True, True, True, True])
    np.testing.assert_array_equal(outputs.distances, model.distance_to_training(mixed))
    with warnings.catch_warnings():  # it was said when the networks were run
        warnings.simplefilter("error")
        model.predict(outputs)


def test_few_slides_and_tables_have_no_spread():
    few = GridCNNRegressor(**QUICK).fit(slides(MIN_SLIDES - 1), np.arange(MIN_SLIDES - 1.0))
    few.predict(slides(2, seed=1, shift=9.0))
    with pytest.raises(ValueError, match="does not know how far its training slides are apart"):
        few.distance_to_training(slides(1))
    table = np.random.RandomState(0).normal(size=(20, CHANNELS))
    assert GridCNNRegressor(**QUICK).fit(table, np.arange(20.0)).slide_mean_ is None


def test_a_channel_that_never_varies_does_not_make_every_slide_unfamiliar():
    cells = np.argwhere(np.ones((SIDE, SIDE))).astype(np.int32)
    still = [Grid(np.full((len(cells), 2), 300, np.float16), cells, (SIDE, SIDE)) for _ in range(12)]
    nearly = Grid(np.full((len(cells), 2), 300.25, np.float16), cells, (SIDE, SIDE))
    assert SlideSpread.of(still).distances([nearly]).max() <= 1
    silent = slides(24)
    embeddings = [np.array(grid.embeddings) for grid in silent]
    for values in embeddings:
        values[:, 0] = 0
    embeddings[0][0, 0] = 1e-3  # silent on all slides but one
    silent = [Grid(values, grid.cells, grid.shape) for values, grid in zip(embeddings, silent)]
    assert SlideSpread.of(silent).distances(slides(40, seed=1)).max() < FAR


def test_the_level_of_a_channel_does_not_matter():
    high = [Grid(np.asarray(grid.embeddings, np.float32) * 4 + 20_000, grid.cells, grid.shape) for grid in slides(64)]
    high = [Grid(np.asarray(grid.embeddings, np.float16), grid.cells, grid.shape) for grid in high]
    assert SlideSpread.of(high[:24]).distances(high[24:]).max() < FAR


def test_a_biopsy_may_differ_more_from_the_mean_than_a_resection():
    spread = SlideSpread.of(slides(24))
    whole = slides(40, seed=1)
    pieces = [Grid(np.asarray(grid.embeddings)[:4], grid.cells[:4], grid.shape) for grid in whole]
    assert np.median(spread.distances(pieces)) < 1.5 < FAR < spread.distances(slides(3, seed=1, shift=4.0)).min()


def test_arrays_without_tissue_have_no_distance():
    arrays = [np.zeros((CHANNELS, SIDE, SIDE), np.float32) for _ in range(2)]
    arrays += [np.random.RandomState(n).normal(size=(CHANNELS, SIDE, SIDE)).astype(np.float32) for n in range(20)]
    model = GridCNNRegressor(**QUICK).fit(arrays, np.arange(22.0))
    np.testing.assert_array_equal(np.isnan(model.distance_to_training(arrays)), np.arange(22) < 2)


def test_slides_of_few_patients_do_not_show_how_slides_differ():
    assert SlideSpread.of(slides(24), np.arange(24) // 3) is None
    assert SlideSpread.of(slides(24), np.arange(24) // 2) is not None


def test_a_saved_model_knows_its_slides_and_an_old_one_is_silent(model, tmp_path, monkeypatch):
    model.save(tmp_path / "model")
    other = slides(3, seed=1, shift=4.0)
    back = load_estimator(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(back.distance_to_training(other), model.distance_to_training(other), rtol=1e-6)
    learnt = {name: value for name, value in files._learnt_of(model).items() if not name.startswith("slide_")}
    monkeypatch.setattr(files, "_learnt_of", lambda _: learnt)
    model.save(tmp_path / "old")
    load_estimator(tmp_path / "old", device="cpu").predict(other)  # a warning would be an error


def test_the_folds_of_an_ensemble_warn_too():
    X, groups = slides(32), np.arange(32)
    ensemble = CrossValEnsemble(GridCNNRegressor(**QUICK), cv=2, baseline=False).fit(X, np.arange(32.0), groups=groups)
    with pytest.warns(UnfamiliarSlidesWarning, match=r"X\[0\], X\[1\], X\[2\]\. "):
        _, outputs = run_once(ensemble, slides(3, seed=1, shift=4.0))
    of_models = [model.distance_to_training(slides(3, seed=1, shift=4.0)) for model in ensemble.estimators_]
    np.testing.assert_allclose(outputs.distances, np.max(of_models, axis=0))


def test_fit_does_not_warn_of_its_own_slides():
    X = slides(59) + slides(1, seed=1, shift=4.0)
    y = np.array([(True, time) for time in range(1, 61)], dtype=[("event", bool), ("time", float)])
    weights = np.r_[np.ones(59), 0]
    model = GridCoxSurvival(**QUICK, n_members=1).fit(X, y)  # a warning would be an error
    assert model.distance_to_training(X)[-1] > FAR
    model.fit(X, y, sample_weight=weights)
    assert model.distance_to_training(X)[-1] > FAR


def test_a_model_that_was_pickled_before_does_not_know_its_slides(model):
    old = copy.copy(model)
    for name in ("slide_mean_", "slide_scale_", "slide_cells_"):
        del vars(old)[name]
    np.testing.assert_array_equal(old.predict(slides(3, shift=4.0)).shape, (3,))
