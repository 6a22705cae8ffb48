"""What estimators take for X: nothing empty, nothing that is not a number, and nothing made in two ways."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from sknic.estimators import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival, load_estimator
from sknic.exceptions import EmptyGridError, ProvenanceError, ProvenanceWarning
from sknic.grids import Grid
from sknic.saliency import grad_cam, input_gradients, integrated_gradients

QUICK = {"n_filters": 4, "max_steps": 1, "eval_every": 1, "random_state": 0, "device": "cpu"}
TARGETS = {
    GridCNNClassifier: np.array(["a", "b"] * 3),
    GridCNNRegressor: np.arange(6.0),
    GridCoxSurvival: np.array([(True, time) for time in range(1, 7)], [("event", bool), ("time", float)]),
}
ALL = pytest.mark.parametrize("estimator", TARGETS)
CELLS = np.argwhere(np.ones((3, 3), bool))


def grid(number=1.0, *, fingerprint="encoder a", mpp=0.5, patch_size=128, stride=128, slide=None):
    embeddings = number + np.arange(18, dtype=float).reshape(9, 2)
    return Grid(
        embeddings, CELLS, (3, 3), mpp=mpp, patch_size=patch_size, stride=stride, slide=slide, fingerprint=fingerprint
    )


def six(**header):
    return [grid(number, **header) for number in range(6)]


OTHER = [
    ({"fingerprint": "encoder b"}, "encoder encoder b of .* is not encoder a of"),
    ({"mpp": 1.0}, "um/px 1.0 of .* is not 0.5 of"),
    ({"patch_size": 256}, "patch size 256 of .* is not 128 of"),
    ({"stride": 64}, "stride 64 of .* is not 128 of"),
]


@ALL
@pytest.mark.parametrize(("header", "message"), OTHER)
def test_grids_made_in_two_ways_do_not_mix_in_one_fit(estimator, header, message):
    grids = [*six()[:5], grid(slide="/slides/other.svs", **header)]
    with pytest.raises(ProvenanceError, match=message) as error:
        estimator(**QUICK).fit(grids, TARGETS[estimator])
    assert "X[5] (other.svs)" in str(error.value) and "X[0]" in str(error.value)


@ALL
@pytest.mark.parametrize(("header", "message"), OTHER)
def test_a_fitted_estimator_refuses_grids_made_in_another_way_also_after_it_was_saved(
    tmp_path, estimator, header, message
):
    model = estimator(**QUICK).fit(six(), TARGETS[estimator])
    model.save(tmp_path / "model")
    for each in (model, load_estimator(tmp_path / "model", device="cpu")):
        others = six(**header)
        uses = (partial(each.predict, others), partial(each.score, others, TARGETS[estimator]))
        for use in (*uses, partial(input_gradients, each, others[0])):
            with pytest.raises(ProvenanceError, match=f"{message} the grids that the model was fitted on"):
                use()
        assert len(each.predict(six())) == 6


def test_grids_of_another_encoder_and_length_are_told_by_their_encoder():
    model = GridCNNRegressor(**QUICK).fit(six(), np.arange(6.0))
    longer = [Grid(np.ones((9, 7)), CELLS, (3, 3), mpp=0.5, fingerprint="encoder b") for _ in range(6)]
    with pytest.raises(ProvenanceError, match="encoder encoder b"):
        model.predict(longer)
    with pytest.raises(ProvenanceError, match="encoder encoder b"):
        GridCNNRegressor(**QUICK).fit([*six()[:5], longer[0]], np.arange(6.0))


@pytest.mark.parametrize("maps", [grad_cam, input_gradients, integrated_gradients])
def test_no_saliency_map_is_drawn_of_another_encoders_grid(maps):
    model = GridCNNRegressor(**QUICK).fit(six(), np.arange(6.0))
    with pytest.raises(ProvenanceError, match="encoder b"):
        maps(model, grid(fingerprint="encoder b"))


def test_what_fit_saw_is_kept():
    model = GridCNNRegressor(**QUICK).fit(six(), np.arange(6.0))
    assert model.provenance_ == {"encoder": "encoder a", "mpp": 0.5, "patch_size": 128, "stride": 128}
    model.fit([each.to_dense() for each in six()], np.arange(6.0))
    assert model.provenance_ is None


def test_arrays_and_grids_without_a_header_go_with_everything():
    bare = [Grid(each.embeddings, CELLS, (3, 3)) for each in six()]
    dense = [each.to_dense() for each in six()]
    for X in (bare, dense, six()):
        model = GridCNNRegressor(**QUICK).fit(X, np.arange(6.0))
        for other in (bare, dense, six()):
            assert len(model.predict(other)) == 6


@pytest.mark.parametrize(("mpp", "same"), [(0.5, True), (0.51, True), (0.49, True), (0.6, False), (0.25, False)])
def test_um_per_px_may_differ_by_what_scanners_differ(mpp, same):
    model = GridCNNRegressor(**QUICK).fit(six(), np.arange(6.0))
    if same:
        model.predict(six(mpp=mpp))
    else:
        with pytest.raises(ProvenanceError, match="um/px"):
            model.predict(six(mpp=mpp))


def test_grids_of_unknown_encoders_are_one_encoder_and_mixing_them_with_known_ones_warns():
    unknown = six(fingerprint=None)
    model = GridCNNRegressor(**QUICK).fit(unknown, np.arange(6.0))
    assert len(model.predict(unknown)) == 6
    with pytest.warns(ProvenanceWarning, match="the grids that the model was fitted on: the file does not name"):
        model.predict(six())
    with pytest.warns(ProvenanceWarning, match=r"X\[5\]: the file does not name its encoder, while that of X\[0\]"):
        mixed = GridCNNRegressor(**QUICK).fit([*six()[:5], grid(fingerprint=None)], np.arange(6.0))
    assert mixed.provenance_["encoder"] == "encoder a"
    with pytest.raises(ProvenanceError, match="um/px"):
        model.predict(six(fingerprint=None, mpp=1.0))


@ALL
def test_a_grid_without_a_cell_is_refused_by_name_and_an_array_of_zeros_is_not(estimator):
    empty = Grid(np.zeros((0, 2)), np.zeros((0, 2)), (3, 3), slide="/slides/blank.svs")
    with pytest.raises(EmptyGridError, match=r"no tissue cells in X\[5\] \(blank.svs\)"):
        estimator(**QUICK).fit([*six()[:5], empty], TARGETS[estimator])
    model = estimator(**QUICK).fit([*six()[:5], np.zeros((2, 3, 3), np.float32)], TARGETS[estimator])
    with pytest.raises(EmptyGridError, match="blank.svs"):
        model.predict([empty])
    assert len(model.predict([np.zeros((2, 3, 3), np.float32)])) == 1


@ALL
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_with_its_file(tmp_path, estimator, number):
    damaged = grid()
    damaged.embeddings.flags.writeable = True  # as a damaged file may have it
    damaged.embeddings[4, 1] = number
    model = estimator(**QUICK).fit(six(), TARGETS[estimator])
    for bad, name in ((damaged, r"X\[1\]"), (damaged.to_dense(), r"X\[1\]")):
        with pytest.raises(ValueError, match=f"{name}.* contains NaN or infinity"):
            model.predict([grid(), bad])
        with pytest.raises(ValueError, match=f"{name}.* contains NaN or infinity"):
            estimator(**QUICK).fit([grid(), bad, *six()[:4]], TARGETS[estimator])


@ALL
@pytest.mark.parametrize("groups", [["a", None] * 3, [1, "a"] * 3, [1.0, np.nan] * 3, range(5)])
def test_groups_that_do_not_name_a_patient_for_each_grid_are_refused(estimator, groups):
    with pytest.raises(ValueError, match="^groups.*expected"):
        estimator(**QUICK).fit(six(), TARGETS[estimator], groups=groups)


class Narrow(GridCNNClassifier):
    """A subclass with parameters of its own choice."""

    def __init__(self, *, lr=1e-2):
        super().__init__(lr=lr, **QUICK)


def test_a_subclass_with_fewer_parameters_is_checked_like_its_parent():
    assert Narrow().fit(six(), TARGETS[GridCNNClassifier]).predict(six()).shape == (6,)
    with pytest.raises(ValueError, match="lr=-1"):
        Narrow(lr=-1).fit(six(), TARGETS[GridCNNClassifier])


def test_a_frame_of_grids_is_a_sequence_of_grids():
    y = TARGETS[GridCNNRegressor]
    model = GridCNNRegressor(**QUICK).fit(pd.DataFrame({"grid": six()}), y)
    column = np.empty((6, 1), object)
    column[:, 0] = six()
    for X in (pd.DataFrame({"grid": six()}), column):
        np.testing.assert_array_equal(model.predict(six()), model.predict(X))


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (set(six()), "X of type set: expected a sequence of Grids"),  # it has no order, and y has one
        (dict(enumerate(six())), "X of type dict: expected a sequence of Grids"),
        (pd.DataFrame({"grid": six(), "age": range(6)}), "X of type DataFrame: expected a sequence of Grids"),
        ([np.ones((2, 3, 3), complex)] * 6, r"X\[0\] is complex128: expected real numbers"),
        ([np.ma.array(np.ones((2, 3, 3)), mask=np.eye(3, dtype=bool)[None].repeat(2, 0))] * 6, r"X\[0\] is masked"),
    ],
)
def test_what_is_no_sequence_of_grids_is_refused_in_our_words(X, message):
    with pytest.raises(ValueError, match=message):
        GridCNNRegressor(**QUICK).fit(X, TARGETS[GridCNNRegressor])
