"""The three estimators on grids: they learn, every form of X is the same, and neighbours do not matter."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from skorch.callbacks import Callback, EpochScoring
from sksurv.metrics import integrated_brier_score
from sksurv.util import Surv

from sknic.estimators import AttentionMIL, GridCNN, GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
from sknic.estimators.cox import cox_loss
from sknic.estimators.crops import spread_windows
from sknic.exceptions import DegenerateDataError, TrainingDivergedError, UnfamiliarSlidesWarning
from sknic.grids import Grid
from sknic.grids.orientation import orient_cells

from .conftest import make_grid

SMALL = {
    "n_members": 1,
    "n_filters": 16,
    "dropout": 0.0,
    "max_steps": 360,
    "eval_every": 18,
    "batch_size": 8,
    "random_state": 0,
    "device": "cpu",
}
QUICK = {**SMALL, "max_steps": 2, "eval_every": 2}


@pytest.fixture(scope="module")
def targets(cohort):
    _, scores, labels, _ = cohort
    return {GridCNNRegressor: scores, GridCNNClassifier: labels, GridCoxSurvival: survival_of(scores)}


def survival_of(scores):
    return Surv.from_arrays(np.arange(len(scores)) % 4 != 0, np.exp(-scores) + 0.01 * np.arange(len(scores)))


@pytest.fixture(scope="module")
def models(cohort, targets):
    """The three estimators, trained for some seconds."""
    return {estimator: estimator(**SMALL).fit(cohort[0], y) for estimator, y in targets.items()}


ALL = pytest.mark.parametrize("estimator", [GridCNNRegressor, GridCNNClassifier, GridCoxSurvival])


@ALL
def test_it_learns_the_score_of_new_grids(models, estimator):
    random = np.random.RandomState(1)
    scores = np.linspace(-1.5, 1.5, 12)
    grids = [make_grid(random, score) for score in scores]
    truth = {
        GridCNNRegressor: scores,
        GridCNNClassifier: np.where(scores > 0, "high", "low"),
        GridCoxSurvival: survival_of(scores),
    }
    assert models[estimator].score(grids, truth[estimator]) > 0.75


@ALL
def test_every_form_of_x_gives_the_same_model(cohort, targets, estimator):
    grids, y = cohort[0], targets[estimator]
    box = [Grid.from_dense(np.pad(g.to_dense(), ((0, 0), (0, 12 - g.shape[0]), (0, 9 - g.shape[1])))) for g in grids]
    dense = [grid.to_dense() for grid in box]
    objects = np.empty(len(grids), dtype=object)
    objects[:] = box
    forms = [box, objects, pd.Series(objects), tuple(dense), np.stack(dense)]
    outputs = [estimator(**QUICK).fit(X, y).predict(X) for X in forms]
    for output in outputs[1:]:
        np.testing.assert_array_equal(output, outputs[0])


def test_grids_stream_from_their_files(cohort, tmp_path):
    grids, scores, *_ = cohort
    files = [grid.write(tmp_path / f"{i}.h5") for i, grid in enumerate(grids)]
    model = GridCNNRegressor(**QUICK).fit(files, scores)
    np.testing.assert_array_equal(model.predict(files), GridCNNRegressor(**QUICK).fit(grids, scores).predict(grids))


def test_a_table_is_grids_of_one_cell():
    X = np.random.RandomState(0).normal(size=(12, 5)).astype(np.float16)
    tables = [X, pd.DataFrame(X), X.tolist()]
    grids = [Grid(row[None], [[0, 0]], (1, 1)) for row in X]
    expected = GridCNNRegressor(**QUICK).fit(grids, X[:, 0]).predict(grids)
    for table in tables:
        np.testing.assert_allclose(GridCNNRegressor(**QUICK).fit(table, X[:, 0]).predict(table), expected, rtol=1e-5)


@ALL
def test_a_prediction_does_not_depend_on_what_else_is_predicted(cohort, targets, estimator):
    grids = cohort[0]
    model = estimator(**QUICK).fit(grids, targets[estimator])
    giant = make_grid(np.random.RandomState(2), 3.0, shape=(60, 50), n_cells=2000)
    method = model.predict_proba if estimator is GridCNNClassifier else model.predict
    together = method([*grids, giant])
    np.testing.assert_array_equal(together[:1], method(grids[:1]))
    np.testing.assert_array_equal(together[-1:], method([giant]))


def test_a_prediction_is_the_mean_over_crops_and_orientations(cohort):
    grids, scores, *_ = cohort
    model = GridCNNRegressor(**{**SMALL, "max_steps": 60}, crop_size=4, n_crops=2).fit(grids, scores)
    random = np.random.RandomState(3)
    cells = np.argwhere(np.ones((4, 8), bool))
    embeddings = random.normal(size=(8, 32, 5)).astype(np.float16)
    wide = Grid(embeddings[0], cells, (4, 8))
    parts = []
    for _, column in spread_windows(cells, 4, 2):
        inside = (cells[:, 1] >= column) & (cells[:, 1] < column + 4)
        parts.append(Grid(embeddings[0][inside], cells[inside] - (0, column), (4, 4)))
    model.set_params(average_orientations=False)
    each = model.predict(parts)
    assert model.predict([wide])[0] == pytest.approx(each.mean()) and each.std() > 0
    eight = Grid(embeddings[0], cells, (4, 8), oriented_embeddings=embeddings[1:])
    each = [Grid(g.embeddings, g.cells, g.shape) for g in eight.orientations]
    assert model.predict([eight])[0] == pytest.approx(model.predict(each).mean())


def test_a_prediction_is_the_mean_over_the_turned_grid_where_it_stores_one_orientation(cohort):
    grids, scores, *_ = cohort
    model = GridCNNRegressor(**{**SMALL, "max_steps": 60}).fit(grids, scores)
    averaged = model.predict(grids[:1])[0]
    model.set_params(average_orientations=False)
    turned = [Grid(grids[0].embeddings, *orient_cells(grids[0].cells, grids[0].shape, k)) for k in range(8)]
    each = model.predict(turned)
    assert averaged == pytest.approx(each.mean()) and each.std() > 0


def test_several_outputs_are_learnt_and_given_in_their_own_units(cohort):
    grids, scores, *_ = cohort
    y = np.stack([1000 + 100 * scores, -scores], axis=1)
    model = GridCNNRegressor(**SMALL).fit(grids, y)
    assert model.predict(grids).shape == (24, 2)
    assert model.score(grids, y) > 0.8
    assert GridCNNRegressor(**QUICK).fit(grids, scores).predict(grids).shape == (24,)


@pytest.mark.parametrize("n_channels", [16, 96])
def test_with_a_hot_spot_branch_numbers_have_the_level_and_the_spread_of_the_targets(n_channels):
    """The branch learns from 32 of the channels at a time, and predicts with all."""
    grids, densities = hot_spots(n_channels, 60, seed=0)
    new, truth = hot_spots(n_channels, 40, seed=1)
    model = GridCNNRegressor(**SMALL | {"max_steps": 240}, hotspot_branch=True, average_orientations=False)
    model.fit(grids, densities)
    for slides, y in ((grids, densities), (new, truth)):
        found = model.predict(slides)
        assert abs(np.mean(found - y)) < 0.25 * np.std(y)
        assert 0.6 < np.polyfit(found, y, 1)[0] < 1.6
    assert np.corrcoef(found, truth)[0, 1] > 0.9


def hot_spots(n_channels, n, seed):
    """Grids of noise with a square of one direction of the channels, and its strength."""
    random = np.random.RandomState(seed)
    direction = np.random.RandomState(9).normal(size=n_channels)
    strengths, grids = random.uniform(0, 1, n), random.normal(size=(n, n_channels, 14, 14)).astype(np.float32)
    for grid, strength in zip(grids, strengths):
        row, column = random.randint(0, 9, 2)
        grid[:, row : row + 5, column : column + 5] += strength * direction[:, np.newaxis, np.newaxis]
    return list(grids + 0.5), strengths


def test_probabilities_sum_to_one_in_the_order_of_the_classes(cohort, models):
    grids, model = cohort[0], models[GridCNNClassifier]
    assert model.classes_.tolist() == ["high", "low"]
    probabilities = model.predict_proba(grids)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert (model.predict(grids) == model.classes_[probabilities.argmax(axis=1)]).all()


def test_rare_classes_are_found_with_balanced_batches(cohort):
    grids, scores, *_ = cohort
    rare = scores > 1.4
    model = GridCNNClassifier(**SMALL).fit(grids, rare)
    assert model.predict(grids)[rare].all()


def test_survival_functions_are_those_that_scikit_survival_evaluates(cohort, targets, models):
    grids, y, model = cohort[0], targets[GridCoxSurvival], models[GridCoxSurvival]
    functions = model.predict_survival_function(grids)
    times = np.quantile(y["time"], [0.2, 0.5, 0.8])
    survival = np.array([function(times) for function in functions])
    assert integrated_brier_score(y, y, survival, times) < 0.15
    hazards = np.array([function(times) for function in model.predict_cumulative_hazard_function(grids)])
    np.testing.assert_allclose(survival, np.exp(-hazards))
    assert (np.diff(survival[np.argsort(model.predict(grids)), 1]) <= 0).all()
    array = model.predict_survival_function(grids, return_array=True)
    assert array.shape == (24, len(model.event_times_))
    assert (np.diff(array, axis=1) <= 0).all()


def test_survival_of_slides_unlike_any_before_is_a_probability(models):
    model = models[GridCoxSurvival]
    unlike = [np.full((model.n_features_in_, 6, 6), size, np.float32) for size in (1e10, -1e10)]
    with pytest.warns(UnfamiliarSlidesWarning):
        outputs = model.run_networks(unlike)
    assert model.predict(outputs).max() > 800
    survival = model.predict_survival_function(outputs, return_array=True)
    assert ((survival >= 0) & (survival <= 1)).all()
    assert (model.predict_cumulative_hazard_function(outputs, return_array=True) >= 0).all()


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_survival_targets_may_be_a_table(cohort, targets, ties):
    grids, y = cohort[0], targets[GridCoxSurvival]
    forms = [y, pd.DataFrame({"time": y["time"], "event": y["event"]})]
    risks = [GridCoxSurvival(**QUICK, ties=ties).fit(grids, form).predict(grids) for form in forms]
    assert np.array_equal(risks[0], risks[1])


class Recorder(Callback):
    """Keeps the patients of both sides of the split, which their embeddings spell out."""

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        self.grids = [loader.dataset.grids for loader in (dataset_train, dataset_valid)]
        self.sides = [
            {int(grid.embeddings[0, 0]) for grid in loader.dataset.grids} for loader in (dataset_train, dataset_valid)
        ]


@pytest.mark.parametrize("routing", [False, True])
def test_the_validation_split_keeps_patients_together(routing):
    patients = np.arange(24) // 3
    grids = [Grid(np.full((4, 5), p), np.argwhere(np.ones((2, 2), bool)), (2, 2)) for p in patients]
    recorder = Recorder()
    model = GridCNNRegressor(**QUICK, validation_fraction=0.25, callbacks=[recorder])
    if routing:
        with sklearn.config_context(enable_metadata_routing=True):
            model.set_fit_request(groups=True)
            cross_val_score(model, grids, patients, cv=GroupKFold(2), params={"groups": patients})
    model.fit(grids, patients, groups=patients)
    train, valid = recorder.sides
    assert train and valid and not train & valid


@ALL
@pytest.mark.parametrize("fraction", [None, 0.25])
def test_without_a_validation_set_the_training_loss_decides(cohort, targets, estimator, fraction):
    model = estimator(**QUICK, validation_fraction=fraction).fit(cohort[0], targets[estimator])
    assert ("valid_loss" in model.history_[0]) == (fraction is not None)


def test_the_survival_loss_of_the_validation_set_is_that_of_all_its_slides(cohort, targets):
    grids, y = cohort[0], targets[GridCoxSurvival]
    recorder = Recorder()
    settings = {**QUICK, "batch_size": 4, "callbacks": [recorder]}
    model = GridCoxSurvival(**settings, validation_fraction=0.5).fit(grids, y)
    held_out = [next(i for i, grid in enumerate(grids) if grid is kept) for kept in recorder.grids[1]]
    assert len(held_out) > 2 * settings["batch_size"]
    risk = torch.from_numpy(model.predict([grids[i] for i in held_out]))
    event, time = (torch.from_numpy(y[name][held_out].copy()) for name in ("event", "time"))
    assert model.history_[0]["valid_loss"] == pytest.approx(cox_loss(risk, event, time).item(), rel=1e-4)


@pytest.mark.parametrize(
    "module", [AttentionMIL, lambda n_channels, n_outputs: GridCNN(n_channels, n_outputs, 12, 0.0)]
)
def test_another_network_comes_as_a_class_or_a_function(cohort, module):
    grids, scores, *_ = cohort
    settings = {name: value for name, value in SMALL.items() if name not in ("n_filters", "dropout")}
    model = GridCNNRegressor(**settings, module=module).fit(grids, scores)
    assert model.score(grids, scores) > 0.7


def test_an_instance_of_a_network_is_refused(cohort):
    with pytest.raises(TypeError, match="pass its class"):
        GridCNNRegressor(**QUICK, module=GridCNN(5, 1)).fit(cohort[0], cohort[1])


def test_grids_that_make_no_sense_are_named(cohort):
    grids, scores, *_ = cohort
    model = GridCNNRegressor(**QUICK).fit(grids, scores)
    other = make_grid(np.random.RandomState(0), n_channels=4)
    with pytest.raises(ValueError, match=r"X\[1\] has 4 features, but GridCNNRegressor is expecting 5"):
        model.predict([grids[0], other])
    with pytest.raises(ValueError, match=r"X\[1\] is NoneType"):
        model.predict([grids[0], None])
    with pytest.raises(ValueError, match=r"X\[0\] is str: expected .* SlideCompressor makes grids of slides"):
        model.predict(["slide.svs"])
    with pytest.raises(ValueError, match=r"X\[0\] contains NaN"):
        model.predict([np.full((5, 3, 3), np.nan)])


class CtrlC(Callback):
    def __init__(self, after=0):
        self.after = after

    def on_batch_begin(self, net, training=True, **kwargs):
        if training and len(net.history) > self.after:
            raise KeyboardInterrupt


def test_ctrl_c_stops_cross_validation(cohort):
    grids, scores, *_ = cohort
    with pytest.raises(KeyboardInterrupt):
        cross_val_score(GridCNNRegressor(**QUICK, callbacks=[CtrlC()]), grids, scores, cv=3)


@ALL
def test_after_ctrl_c_the_estimator_predicts_with_the_best_weights_so_far(cohort, targets, estimator):
    grids, y = cohort[0], targets[estimator]
    plateau = {**QUICK, "schedule": "plateau", "validation_fraction": 0.25}
    model = estimator(**{**plateau, "max_steps": 100, "callbacks": [CtrlC(3)]})
    with pytest.raises(KeyboardInterrupt):
        model.fit(grids, y)
    short = estimator(**{**plateau, "max_steps": 6}).fit(grids, y)
    np.testing.assert_array_equal(model.predict(grids), short.predict(grids))
    assert len(model.history_) == 3


def validation_spread(net, dataset, y):
    return float(net.forward(dataset).std())


def test_skorch_callbacks_run_and_their_scores_are_in_the_history(cohort):
    grids, scores, *_ = cohort
    spread = EpochScoring(validation_spread, name="spread")
    model = GridCNNRegressor(**QUICK, validation_fraction=0.25, callbacks=[spread]).fit(grids, scores)
    assert model.history_[0]["spread"] > 0


def test_one_line_per_evaluation_when_verbose(cohort, capsys):
    grids, scores, *_ = cohort
    GridCNNRegressor(**{**QUICK, "max_steps": 6}, verbose=1).fit(grids, scores)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_it_is_searched_by_grid_search(cohort):
    grids, scores, *_ = cohort
    cv = KFold(2, shuffle=True, random_state=0)  # the grids are in the order of their scores
    search = GridSearchCV(GridCNNRegressor(**QUICK), {"lr": [1e-2, 1e-3], "crop_size": ["auto", 5]}, cv=cv)
    search.fit(grids, scores)
    assert search.best_estimator_.predict(grids).shape == (24,)


@ALL
def test_same_seed_same_model_and_another_seed_another(cohort, targets, estimator):
    grids, y = cohort[0], targets[estimator]
    method = "predict_proba" if estimator is GridCNNClassifier else "predict"
    models = [estimator(**{**QUICK, "random_state": seed}).fit(grids, y) for seed in (0, 0, 1)]
    first, same, other = (getattr(model, method)(grids) for model in models)
    np.testing.assert_array_equal(first, same)
    assert (first != other).any()


def fit_predict(model, grids, scores):
    return model.fit(grids, scores).predict(grids), torch.get_num_threads()


def test_same_seed_same_model_in_another_process(cohort):
    grids, scores, *_ = cohort
    model = GridCNNRegressor(**{**SMALL, "max_steps": 54, "n_threads": 1})
    here, _ = fit_predict(clone(model), grids, scores)
    for there, _ in Parallel(n_jobs=2)(delayed(fit_predict)(clone(model), grids, scores) for _ in range(2)):
        np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("kind", [GridCNNRegressor, GridCNNClassifier, GridCoxSurvival])
def test_fit_and_predict_leave_the_callers_random_states_alone(cohort, targets, kind):
    grids = cohort[0]
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    model = kind(**{**QUICK, "random_state": None}).fit(grids, targets[kind])
    model.predict(grids)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_a_fit_that_fails_leaves_the_model_as_it_was(cohort):
    grids, scores, labels, _ = cohort
    regressor = GridCNNRegressor(**QUICK).fit(grids, scores)
    predicted = regressor.predict(grids)
    with pytest.raises(TrainingDivergedError):
        regressor.set_params(lr=1e30).fit(grids, scores * 1000 + 5000)
    np.testing.assert_array_equal(regressor.predict(grids), predicted)
    classifier = GridCNNClassifier(**QUICK).fit(grids, labels)
    probabilities, classes = classifier.predict_proba(grids), classifier.classes_
    with pytest.raises(DegenerateDataError):
        classifier.fit([grid.to_dense()[:2] for grid in grids], ["c"] * len(grids))  # with fewer channels, too
    with pytest.raises(TrainingDivergedError):
        classifier.set_params(lr=1e30).fit(grids, np.where(labels == classes[0], "p", "q"))
    np.testing.assert_array_equal(classifier.classes_, classes)
    np.testing.assert_array_equal(classifier.predict_proba(grids), probabilities)
    unfitted = GridCNNRegressor(**QUICK, lr=1e30)
    with pytest.raises(TrainingDivergedError):
        unfitted.fit(grids, scores)
    with pytest.raises(NotFittedError):
        unfitted.predict(grids)
