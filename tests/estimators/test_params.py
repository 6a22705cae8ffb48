"""Parameters of the three estimators: each one is checked before anything is trained, and named."""

import numpy as np
import pytest

from sknic.estimators import PAPER_RECIPE, AttentionMIL, GridCNNClassifier, GridCNNRegressor, GridCoxSurvival

QUICK = {"n_filters": 4, "max_steps": 1, "eval_every": 1, "random_state": 0, "device": "cpu"}
GRIDS = [np.full((2, 3, 3), i, np.float32) for i in range(1, 7)]
TARGETS = {
    GridCNNClassifier: ["a", "b"] * 3,
    GridCNNRegressor: np.arange(6.0),
    GridCoxSurvival: np.array([(True, time) for time in range(1, 7)], [("event", bool), ("time", float)]),
}
ALL = pytest.mark.parametrize("estimator", TARGETS)
WRONG = [
    ("crop_size", 0),
    ("crop_size", "small"),
    ("crop_size", 3.0),
    ("padding", "full"),
    ("padding", None),
    ("n_filters", 0),
    ("n_filters", 2.5),
    ("dropout", -0.1),
    ("dropout", 1.0),
    ("dropout", "0"),
    ("l2", -1),
    ("l2", np.nan),
    ("lr", 0),
    ("lr", "a"),
    ("lr", np.inf),
    ("min_lr", -1e-3),
    ("min_lr", 1.0),
    ("schedule", "linear"),
    ("schedule", None),
    ("standardize", "yes"),
    ("average_orientations", 8),
    ("batch_size", 1),
    ("batch_size", "a"),
    ("batch_size", np.float64(8)),
    ("max_steps", 0),
    ("max_steps", 1.5),
    ("eval_every", -3),
    ("eval_every", None),
    ("weight_decay", -0.1),
    ("weight_decay", "adamw"),
    ("patience", 0),
    ("patience", None),
    ("validation_fraction", 0),
    ("validation_fraction", 1.5),
    ("n_crops", 0),
    ("n_crops", True),
    ("module", "GridCNN"),
    ("callbacks", "all"),
    ("device", "gpu"),
    ("device", 3),
    ("n_threads", 0),
    ("n_threads", "many"),
    ("random_state", -1),
    ("random_state", "seed"),
    ("verbose", -1),
    ("verbose", "yes"),
]


@ALL
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_by_name(estimator, name, value):
    with pytest.raises(ValueError, match=rf"^{name}={value!r}: expected ".replace("(", r"\(").replace(")", r"\)")):
        estimator(**{**QUICK, name: value}).fit(GRIDS, TARGETS[estimator])


@pytest.mark.parametrize(
    ("estimator", "name", "value"),
    [(GridCNNClassifier, "balanced", "yes"), (GridCNNClassifier, "balanced", 1), (GridCoxSurvival, "ties", "exact")],
)
def test_so_is_that_of_a_parameter_of_one_estimator(estimator, name, value):
    with pytest.raises(ValueError, match=f"^{name}={value!r}: expected "):
        estimator(**QUICK, **{name: value}).fit(GRIDS, TARGETS[estimator])


@ALL
def test_every_parameter_has_its_rule(estimator):
    assert set(estimator._rules) == set(estimator().get_params())


def test_a_canvas_too_small_for_valid_padding_is_told_the_smallest():
    with pytest.raises(ValueError, match="crop_size=382: expected at least 383"):
        GridCNNRegressor(**QUICK, padding="valid", crop_size=382).fit(GRIDS, TARGETS[GridCNNRegressor])


@ALL
def test_numbers_of_numpy_are_numbers(estimator):
    settings = {"n_filters": np.int64(4), "lr": np.float32(0.01), "crop_size": np.int32(4), "n_threads": np.uint8(1)}
    model = estimator(**{**QUICK, **settings}).fit(GRIDS, TARGETS[estimator])
    assert len(model.predict(GRIDS)) == 6


@ALL
@pytest.mark.parametrize(("name", "value"), [("n_crops", 0), ("n_threads", 0)])
def test_what_a_prediction_uses_is_checked_again(estimator, name, value):
    model = estimator(**QUICK).fit(GRIDS, TARGETS[estimator]).set_params(**{name: value})
    with pytest.raises(ValueError, match=f"^{name}={value}: expected "):
        model.predict(GRIDS)


@ALL
@pytest.mark.parametrize(("name", "value"), [("n_filters", 4), ("dropout", 0.0), ("padding", "valid")])
def test_what_describes_our_network_is_refused_beside_another_one(estimator, name, value):
    model = estimator(max_steps=1, random_state=0, module=AttentionMIL).set_params(**{name: value})
    with pytest.raises(ValueError, match=f"^{name}={value!r}: expected the default.*module="):
        model.fit(GRIDS, TARGETS[estimator])


@ALL
def test_branches_that_are_not_there_are_accepted_beside_another_network(estimator):
    nothing = {"pooled_branch": False, "hotspot_branch": False, "mask_background": False}
    model = estimator(max_steps=1, random_state=0, module=AttentionMIL, **nothing).fit(GRIDS, TARGETS[estimator])
    assert len(model.predict(GRIDS)) == len(GRIDS)
    refused = "hotspot_branch" if estimator is not GridCoxSurvival else "mask_background"
    with pytest.raises(ValueError, match=f"^{refused}=True: expected the default"):
        model.set_params(**{refused: True}).fit(GRIDS, TARGETS[estimator])


@ALL
@pytest.mark.parametrize(("name", "value"), [("min_lr", 1e-4), ("patience", 2)])
def test_what_plateaus_need_is_refused_beside_a_cosine(estimator, name, value):
    with pytest.raises(ValueError, match=f"^{name}={value!r}: expected the default.*schedule='cosine'"):
        estimator(**QUICK, **{name: value}).fit(GRIDS, TARGETS[estimator])


@ALL
def test_the_papers_training_has_a_name(estimator):
    model = estimator(**{**PAPER_RECIPE, **QUICK, "patience": 2}).fit(GRIDS, TARGETS[estimator])
    assert "valid_loss" in model.history_[0]
    assert model.channel_mean_ is None
    assert set(PAPER_RECIPE) <= set(model.get_params())


@ALL
def test_l2_is_refused_beside_weight_decay(estimator):
    with pytest.raises(ValueError, match="^l2=0.01: expected the default.*weight_decay=0.1"):
        estimator(**QUICK, l2=0.01, weight_decay=0.1).fit(GRIDS, TARGETS[estimator])
