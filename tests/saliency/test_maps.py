"""Saliency finds the cells that a signal was planted in, for every estimator, and lies where they lie."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter
from sklearn.base import clone
from sklearn.ensemble import StackingRegressor, VotingClassifier, VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sksurv.util import Surv
from torch import nn

from sknic.estimators import AttentionMIL, GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
from sknic.estimators.network import HOTSPOT_BOUND, HOTSPOT_MAPS, HOTSPOT_WEIGHT
from sknic.evaluation import CrossValEnsemble
from sknic.grids import Grid, orient, orient_back
from sknic.plotting import LearningCurveDisplay
from sknic.plotting.overlay import extent_um, overlay
from sknic.saliency import grad_cam, input_gradients, integrated_gradients
from sknic.saliency.maps import to_cells
from sknic.targets.kinds import fitted_learner

SHAPE, N_BACKGROUND = (14, 20), 3
METHODS = [grad_cam, input_gradients, integrated_gradients]


def _cohort(n=48):
    """Noise on tissue; every second slide has a square, the hotter the later. The last columns are background."""
    rng = np.random.RandomState(0)
    grids, hot = [], np.zeros((n, *SHAPE), bool)
    for index in range(n):
        array = rng.normal(size=(3, *SHAPE))
        if index % 2:
            row, column = rng.randint(0, SHAPE[0] - 4), rng.randint(0, SHAPE[1] - 4 - N_BACKGROUND)
            hot[index, row : row + 4, column : column + 4] = True
        array[0][hot[index]] += 2 + 4 * index / n
        array[:, :, -N_BACKGROUND:] = 0
        grids.append(Grid.from_dense(array.astype(np.float16), mpp=0.5, patch_size=128))
    return grids, hot


GRIDS, HOT = _cohort()
HAS_HOT = np.arange(len(GRIDS)) % 2
HEAT = HAS_HOT * (2 + 4 * np.arange(len(GRIDS)) / len(GRIDS))
TIMES = 10 - HEAT + np.random.RandomState(0).rand(len(GRIDS))
# A map explains the grid as it lies; predictions are compared with it that are not averaged over turned grids.
AS_IT_LIES = {"random_state": 0, "average_orientations": False}
OPTIONS = {"max_steps": 600, "n_filters": 32, **AS_IT_LIES}
EXPLAINED = range(13, 37, 2)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Networks this small lose more than they win by a second thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=["regressor", "classifier", "survival"])
def trained(request):
    if request.param == "regressor":
        return GridCNNRegressor(**OPTIONS).fit(GRIDS, HEAT)
    if request.param == "classifier":
        return GridCNNClassifier(**OPTIONS).fit(GRIDS, np.where(HAS_HOT, "hot", "cold"))
    return GridCoxSurvival(**OPTIONS, n_members=1).fit(GRIDS, Surv.from_arrays(np.ones(len(GRIDS), bool), TIMES))


@pytest.fixture(scope="module")
def barely_trained():
    """Enough for what holds for any weights."""
    return GridCNNRegressor(max_steps=32, n_filters=8, **AS_IT_LIES).fit(GRIDS[:8], TIMES[:8])


def _agreement(saliency, hot):
    tissue = np.s_[:, :-N_BACKGROUND]
    return roc_auc_score(hot[tissue].ravel(), saliency[tissue].ravel())


@pytest.mark.parametrize("method, wanted", [(grad_cam, 0.95), (input_gradients, 0.8), (integrated_gradients, 0.95)])
def test_hot_cells_get_the_saliency_and_mirrored_maps_do_not(trained, method, wanted):
    # Medians: the CNN learnt with AVX-512 is another than with AVX2, and Grad-CAM turns 2 of the classifier's 12 maps
    # around there (see its Notes).
    maps = {index: method(trained, GRIDS[index]) for index in EXPLAINED}
    assert np.median([_agreement(maps[i], HOT[i]) for i in maps]) > wanted
    turned = [np.roll(np.rot90(maps[i], 2), -N_BACKGROUND, axis=1) for i in maps]
    for wrong in ([maps[i][::-1] for i in maps], turned):
        assert np.median([_agreement(values, HOT[i]) for values, i in zip(wrong, maps)]) < 0.75


@pytest.mark.parametrize("method", METHODS)
def test_maps_are_finite_float32_and_zero_on_background(barely_trained, method):
    saliency = method(barely_trained, GRIDS[1])
    assert saliency.shape == SHAPE and saliency.dtype == np.float32 and np.isfinite(saliency).all()
    assert not saliency[:, -N_BACKGROUND:].any() and saliency.any()
    assert method is integrated_gradients or saliency.min() >= 0


def _nudged(grid, cell, step):
    embeddings = grid.embeddings.astype(np.float32)
    embeddings[cell] += step
    array = np.zeros((3, *grid.shape), np.float32)
    array[:, grid.cells[:, 0], grid.cells[:, 1]] = embeddings.T
    return array


@pytest.mark.parametrize("padding, crop_size", [("same", "auto"), ("valid", 400)])
def test_input_gradient_is_the_change_of_the_prediction_when_a_cell_changes(padding, crop_size):
    model = GridCNNRegressor(
        padding=padding,
        crop_size=crop_size,
        max_steps=32,
        n_filters=4,
        batch_size=2,
        **AS_IT_LIES,
    ).fit(GRIDS[:2], [0.0, 100.0])
    saliency = input_gradients(model, GRIDS[1])
    for cell in (0, 77, 200):
        slopes = [
            np.diff(model.predict([_nudged(GRIDS[1], cell, sign * 0.01 * np.eye(3)[c]) for sign in (-1, 1)]))[0] / 0.02
            for c in range(3)
        ]
        assert np.linalg.norm(slopes) == pytest.approx(saliency[tuple(GRIDS[1].cells[cell])], rel=0.1, abs=1e-3)


def test_integrated_gradients_sum_to_the_prediction_minus_that_of_an_empty_slide(barely_trained):
    model = barely_trained
    total = integrated_gradients(model, GRIDS[1], n_steps=200).sum()
    with torch.no_grad():
        empty = model.net_.module_(torch.zeros(1, 3, model.canvas_, model.canvas_)).item()
    empty = empty * model.target_scale_[0] + model.target_mean_[0]
    assert total == pytest.approx(model.predict([GRIDS[1]])[0] - empty, rel=0.02, abs=1e-3)


def test_grad_cam_has_what_each_cell_adds_through_the_pooled_branch():
    model = GridCNNRegressor(max_steps=2, n_filters=8, standardize=False, **AS_IT_LIES).fit(GRIDS[:8], TIMES[:8])
    module = model.net_.module_
    with torch.no_grad():  # nothing but the branch decides
        module.head[-1].weight.zero_()
        module.pooled.weight.copy_(torch.tensor([[0.5, -1.0, 2.0]]))
    dense = GRIDS[1].to_dense().astype(float)
    added = np.einsum("crw,c->rw", dense, [0.5, -1.0, 2.0]) / len(GRIDS[1].cells) * model.target_scale_[0]
    np.testing.assert_allclose(grad_cam(model, GRIDS[1]), np.maximum(added, 0), atol=1e-5)


def test_grad_cam_has_what_each_cell_adds_through_the_hot_spot_branch():
    model = GridCNNRegressor(max_steps=2, n_filters=8, standardize=False, hotspot_branch=True, **AS_IT_LIES)
    module = model.fit(GRIDS[:8], TIMES[:8]).net_.module_
    with torch.no_grad():  # nothing but the branch decides
        module.head[-1].weight.zero_()
        module.pooled.weight.zero_()
        module.hotspot.map.weight.zero_()
        module.hotspot.map.weight[:, 0] = 1
        module.hotspot.norm.reset_running_stats()
        module.hotspot.out.weight.zero_()
        module.hotspot.out.weight[:, :HOTSPOT_MAPS] = 1 / HOTSPOT_MAPS
    first = GRIDS[1].to_dense()[0].astype(float)
    active = np.where(first < 0, 0.2 * first, first)
    density = uniform_filter(active, 5, mode="constant")
    row, column = np.unravel_index(density.argmax(), density.shape)
    densest = np.zeros(SHAPE, bool)
    densest[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3] = True
    assert HOT[1][densest].sum() >= 9
    slope = HOTSPOT_WEIGHT / (1 + density.max() / HOTSPOT_BOUND) ** 2  # of what the branch adds, by the density
    expected = np.where(densest, np.maximum(active, 0) / 25 * slope * model.target_scale_[0], 0)
    np.testing.assert_allclose(grad_cam(model, GRIDS[1]), expected, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_crops_cover_a_grid_that_is_larger_than_the_canvas(method):
    model = GridCNNRegressor(crop_size=8, max_steps=32, n_filters=8, random_state=0).fit(GRIDS[:8], TIMES[:8])
    saliency = method(model, GRIDS[0])
    quarters = [
        part for half in np.array_split(saliency[:, :-N_BACKGROUND], 2) for part in np.array_split(half, 2, axis=1)
    ]
    assert all(part.any() for part in quarters)
    if method is not grad_cam:  # whose features are cut at zero
        assert (saliency[tuple(GRIDS[0].cells.T)] != 0).all()


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("row, column", [(8, 9), (9, 8)])
def test_a_feature_is_laid_on_the_cell_that_caused_it(padding, row, column):
    convolution = nn.Conv2d(1, 1, 3, stride=2, padding=padding, bias=False)
    nn.init.ones_(convolution.weight)
    impulse = torch.zeros(1, 1, 24, 30)
    impulse[0, 0, row, column] = 1
    cells = to_cells(convolution(impulse).detach()[0, 0].numpy(), convolution, (24, 30))
    center = [np.average(index, weights=cells) for index in np.indices(cells.shape)]
    np.testing.assert_allclose(center, [row, column], atol=1e-6)


def test_classifiers_explain_the_predicted_class_unless_told_and_the_classes_of_two_are_opposites():
    model = GridCNNClassifier(max_steps=32, n_filters=8, random_state=0).fit(GRIDS[:8], HAS_HOT[:8])
    label = model.predict(GRIDS[1:2])[0]
    by_class = {k: integrated_gradients(model, GRIDS[1], target=k) for k in (0, 1)}
    np.testing.assert_array_equal(integrated_gradients(model, GRIDS[1]), by_class[label])
    np.testing.assert_allclose(by_class[0], -by_class[1], atol=1e-6)
    with pytest.raises(ValueError, match="target=2 is not a class; it must be one of 0, 1"):
        grad_cam(model, GRIDS[1], target=2)


def test_regressors_of_several_outputs_explain_the_one_asked_for():
    y = np.c_[TIMES, -100 * TIMES][:8]
    model = GridCNNRegressor(max_steps=32, n_filters=8, random_state=0).fit(GRIDS[:8], y)
    assert input_gradients(model, GRIDS[1], 1).mean() > 5 * input_gradients(model, GRIDS[1], 0).mean()
    with pytest.raises(ValueError, match="target=2: expected the number of an output, 0 to 1"):
        input_gradients(model, GRIDS[1], 2)


def test_an_ensemble_of_pipelines_gets_the_mean_of_its_models_maps():
    pipeline = make_pipeline(FunctionTransformer(), GridCNNRegressor(max_steps=32, n_filters=8, random_state=0))
    ensemble = CrossValEnsemble(pipeline, cv=2, random_state=0).fit(GRIDS[:8], TIMES[:8])
    parts = [input_gradients(model[-1], GRIDS[1]) for model in ensemble.estimators_]
    np.testing.assert_allclose(input_gradients(ensemble, GRIDS[1]), np.mean(parts, axis=0), rtol=1e-5)


def test_a_search_is_explained_by_the_model_that_it_chose():
    model = GridCNNRegressor(max_steps=16, n_filters=8, random_state=0)
    for searched in (model, make_pipeline(FunctionTransformer(), model)):
        name = "max_steps" if searched is model else "gridcnnregressor__max_steps"
        search = GridSearchCV(searched, {name: [16, 32]}, cv=2, scoring="r2").fit(GRIDS[:8], TIMES[:8])
        chosen = fitted_learner(search)
        assert chosen.max_steps == search.best_params_[name]
        np.testing.assert_array_equal(grad_cam(search, GRIDS[1]), grad_cam(chosen, GRIDS[1]))
        assert LearningCurveDisplay.from_estimator(search).histories == [chosen.history_]
    plt.close("all")


def test_a_map_explains_the_mean_over_turned_grids_where_that_is_what_is_predicted():
    model = GridCNNRegressor(max_steps=32, n_filters=8, random_state=0).fit(GRIDS[:8], HEAT[:8])
    grid, empty = GRIDS[1].to_dense(np.float32), np.zeros((3, *SHAPE), np.float32)
    contributions = integrated_gradients(model, grid, n_steps=64)
    # The empty slide is what the network sees without tissue: one cell, at the mean of its channels.
    empty[:, 0, 0] = model.channel_mean_
    assert contributions.sum() == pytest.approx(np.subtract(*model.predict([grid, empty])), rel=0.05)
    as_it_lies = clone(model).set_params(average_orientations=False).fit(GRIDS[:8], HEAT[:8])
    assert not np.allclose(integrated_gradients(as_it_lies, grid), contributions, rtol=0.05)


def test_orientations_are_turned_back_and_averaged(barely_trained):
    dense = GRIDS[1].to_dense()
    rows, columns = GRIDS[1].cells.T
    shifted = [np.roll(dense, k, axis=0) for k in range(8)]
    turned = np.stack([array[:, rows, columns].T for array in shifted[1:]])
    eight = Grid(GRIDS[1].embeddings, GRIDS[1].cells, SHAPE, oriented_embeddings=turned)
    parts = [orient_back(input_gradients(barely_trained, orient(array, k)), k) for k, array in enumerate(shifted)]
    np.testing.assert_allclose(input_gradients(barely_trained, eight), np.mean(parts, axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("k", range(8))
def test_orient_back_undoes_orient(k):
    array = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(orient_back(orient(array, k), k), array)


def test_a_module_without_convolutions_has_gradients_but_no_grad_cam():
    model = GridCNNRegressor(module=AttentionMIL, max_steps=32, random_state=0).fit(GRIDS[:8], TIMES[:8])
    assert input_gradients(model, GRIDS[1]).any()
    with pytest.raises(ValueError, match="AttentionMIL has no 2-D convolution"):
        grad_cam(model, GRIDS[1])


def test_explaining_leaves_the_model_as_it_was(barely_trained):
    before = barely_trained.predict(GRIDS[:3])
    for method in METHODS:
        method(barely_trained, GRIDS[1])
    np.testing.assert_array_equal(barely_trained.predict(GRIDS[:3]), before)
    assert not any(parameter.grad is not None for parameter in barely_trained.net_.module_.parameters())


class FlatSlide:
    """A grey slide of 20 x 14 cells of 64 um and a bit more, scanned from level-0 pixel (1000, 0)."""

    path, digest, origin, mpp, level_dimensions = "flat.svs", None, (1000, 0), 0.5, [(3624, 1856)]

    def thumbnail(self, max_size):
        return np.full((29, 41, 3), 200, np.uint8), 32.0


def test_overlay_colours_the_pixels_of_the_salient_cell_only():
    grid = Grid(np.ones((1, 3)), [[5, 7]], SHAPE, mpp=0.5, patch_size=128, origin=(1000, 0))
    saliency = np.zeros(SHAPE)
    saliency[5, 7] = 1
    picture = overlay(FlatSlide(), saliency, grid)
    changed = np.argwhere((picture != 200).any(axis=2))
    assert changed.tolist() == [[10, 14], [10, 15], [11, 14], [11, 15]]


def test_overlay_moves_with_a_grid_that_starts_elsewhere_on_the_slide():
    grid = Grid(np.ones((1, 3)), [[5, 7]], SHAPE, mpp=0.5, patch_size=128, origin=(1128, 256))
    assert extent_um(grid, FlatSlide())[::3] == (64, 128)
    saliency = np.zeros(SHAPE)
    saliency[5, 7] = -1
    changed = np.argwhere((overlay(FlatSlide(), saliency, grid) != 200).any(axis=2))
    assert changed.min(axis=0).tolist() == [14, 16]


def test_a_map_of_zeros_leaves_the_slide_as_it_is():
    assert (overlay(FlatSlide(), np.zeros(SHAPE), GRIDS[0]) == 200).all()


def test_an_estimator_without_a_network_is_refused():
    with pytest.raises(TypeError, match="LinearRegression"):
        grad_cam(LinearRegression().fit([[1.0], [2.0]], [1, 2]), GRIDS[0])


@pytest.mark.parametrize("method", METHODS)
def test_a_network_that_masks_the_background_is_explained_too(method):
    model = GridCNNRegressor(max_steps=32, n_filters=8, mask_background=True, **AS_IT_LIES).fit(GRIDS[:8], HEAT[:8])
    heat = method(model, GRIDS[1])
    assert np.isfinite(heat).all() and heat[:, :-N_BACKGROUND].any() and not heat[:, -N_BACKGROUND:].any()
    if method is integrated_gradients:
        grid = GRIDS[1].to_dense(np.float32)
        nearly_empty = np.where(grid == 0, 0, model.channel_mean_[:, None, None] + 1e-3 * grid)
        difference = np.subtract(*model.predict([grid, nearly_empty]))
        assert method(model, grid, n_steps=64).sum() == pytest.approx(difference, rel=0.05)


@pytest.mark.parametrize(
    "ensemble",
    [
        VotingClassifier([("a", GridCNNClassifier())], voting="soft"),
        OneVsRestClassifier(GridCNNClassifier()),
        VotingRegressor([("a", GridCNNRegressor())], weights=[1]),
        StackingRegressor([("a", GridCNNRegressor())], cv=2),
    ],
    ids=lambda ensemble: type(ensemble).__name__,
)
def test_an_ensemble_with_weights_or_codes_of_its_own_is_refused(ensemble):
    quick = {name: 1 for name in ensemble.get_params() if name.endswith("max_steps")}
    fitted = clone(ensemble).set_params(**quick).fit(GRIDS[:8], [1, 2] * 4)
    with pytest.raises(TypeError, match=f"{type(ensemble).__name__} is not a grid estimator"):
        integrated_gradients(fitted, GRIDS[0])
