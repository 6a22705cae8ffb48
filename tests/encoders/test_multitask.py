"""The multitask encoder learns, draws evenly, copes with gaps, keeps its promises about memory and seeds."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from sknic import MultitaskEncoder, load_encoder
from sknic.encoders.multitask_data import read_data
from sknic.exceptions import DegenerateDataError, ModelFileError, MppWarning, PatchSizeError, UnmeasuredTaskWarning
from sknic.files.weights import read_weights
from sknic.learning import checkpoint

SIZE = 31


def coloured(n, random):
    """Patches whose brightness is "dark" or "light" and whose stripes are 0 (none), 1 (rows) or 2 (columns)."""
    tone, stripe = random.integers(0, 2, n), random.integers(0, 3, n)
    patches = np.where(tone[:, None, None, None], 170, 80) + random.normal(0, 10, (n, SIZE, SIZE, 3))
    waves = 40 * np.sin(np.arange(SIZE) * 1.5)
    patches[stripe == 1] += waves[:, None, None]
    patches[stripe == 2] += waves[:, None]
    frame = pd.DataFrame({"tone": np.array(["dark", "light"])[tone], "stripe": stripe.astype(float)})
    return patches.clip(0, 255).astype(np.uint8), frame


@pytest.fixture(scope="module")
def data():
    """Patches of two tasks; most have one label, some both, some none."""
    X, y = coloured(160, np.random.default_rng(0))
    y.loc[:69, "tone"] = None
    y.loc[90:, "stripe"] = np.nan
    y.loc[150:, "tone"] = None
    return X, y


def small(**settings):
    quick = {"code_size": 6, "batch_size": 24, "max_steps": 10, "eval_every": 5, "augmentation": None}
    return MultitaskEncoder(**{**quick, "random_state": 0, "device": "cpu", **settings})


@pytest.fixture(scope="module")
def fitted(data):
    return small(max_steps=60, lr=3e-3).fit(*data)


def weights(encoder):
    return torch.cat([p.flatten().float() for p in encoder.network_.state_dict().values()])


def test_it_learns_both_tasks(fitted):
    X, y = coloured(60, np.random.default_rng(1))
    scores = fitted.score_tasks(X, y)
    assert scores.loc["tone", "accuracy"] > 0.9
    assert scores.loc["stripe", "balanced_accuracy"] > 0.8
    assert fitted.score(X, y) == pytest.approx(scores["balanced_accuracy"].mean())


def test_what_it_says_about_itself(fitted, data):
    X, _ = data
    assert fitted.task_names_ == ["tone", "stripe"]
    assert [classes.tolist() for classes in fitted.classes_] == [["dark", "light"], [0, 1, 2]]
    assert (fitted.patch_size, fitted.input_size, fitted.mpp, fitted.code_size) == (SIZE, SIZE, 0.5, 6)
    assert fitted.transform(X[:5]).shape == (5, 6)
    rows = fitted.history_
    assert [row["step"] for row in rows] == list(range(5, 61, 5))
    assert {"train_tone", "train_stripe", "lr", "patches_per_s"} <= set(rows[0])
    assert rows[0]["valid_loss"] == pytest.approx((rows[0]["valid_tone"] + rows[0]["valid_stripe"]) / 2)
    accuracies = rows[0]["valid_tone_accuracy"], rows[0]["valid_stripe_accuracy"]
    assert rows[0]["valid_accuracy"] == pytest.approx(np.mean(accuracies))


def test_training_makes_the_held_out_loss_much_better(fitted):
    rows = fitted.history_
    assert min(row["valid_loss"] for row in rows) < 0.5 * rows[0]["valid_loss"]
    assert max(row["valid_accuracy"] for row in rows) > 0.9


def test_the_weights_that_are_kept_are_the_best_of_what_is_monitored(data):
    """Those of a training that stopped at its best evaluation, by the same seed."""
    settings = {"lr": 0.02, "max_steps": 40, "patience": None}
    for monitor, best in (("loss", np.argmin), ("accuracy", np.argmax)):
        encoder = small(monitor=monitor, **settings).fit(*data)
        place = best([row[f"valid_{monitor}"] for row in encoder.history_])
        stopped = small(monitor=monitor, **{**settings, "max_steps": 5 * (int(place) + 1)}).fit(*data)
        assert torch.equal(weights(encoder), weights(stopped))


def test_predictions_have_the_labels_types_and_probabilities_sum_to_one(fitted, data):
    X, _ = data
    predicted = fitted.predict(X[:7])
    assert predicted.shape == (7, 2)
    assert set(predicted[:, 0]) <= {"dark", "light"} and set(predicted[:, 1]) <= {0, 1, 2}
    for probabilities, n_classes in zip(fitted.predict_proba(X[:7]), (2, 3)):
        assert probabilities.shape == (7, n_classes)
        np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)


def test_one_column_of_labels_gives_one_column_of_answers(data):
    X, y = data
    encoder = small().fit(X[70:150], y["tone"][70:150].tolist())
    assert encoder.classes_.tolist() == ["dark", "light"]
    assert encoder.predict(X[:4]).shape == (4,) and encoder.predict_proba(X[:4]).shape == (4, 2)
    assert 0 <= encoder.score(X[70:150], y["tone"][70:150]) <= 1


GAPS = {
    "-1": (np.int64, -1),
    "NaN": (float, np.nan),
    "None": (object, None),
    "pandas.NA": ("Int64", pd.NA),
}


@pytest.mark.parametrize("kind, gap", GAPS.values(), ids=GAPS)
def test_a_missing_label_may_be_written_in_every_usual_way(data, kind, gap):
    X, y = data
    column = y["stripe"].fillna(-1).astype(int)
    wanted = small(max_steps=1).fit(X, pd.DataFrame({"stripe": column}))
    y = pd.Series([gap if value == -1 else value for value in column], dtype=kind, name="stripe")
    encoder = small(max_steps=1).fit(X, y.to_frame())
    assert encoder.classes_[0].tolist() == [0, 1, 2]
    assert torch.equal(weights(encoder), weights(wanted))


@pytest.mark.parametrize("labels", [[True, False], ["b", "a"], [0.5, 1.5], [-7, 3], list("βα")], ids=str)
def test_labels_of_any_type_come_back(data, labels):
    X, _ = data
    encoder = small(max_steps=1).fit(X[:40], labels * 20)
    assert encoder.classes_.tolist() == sorted(labels)
    assert set(encoder.predict(X[:5]).tolist()) <= set(labels)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(data):
    first, same, other = (small(random_state=seed, augmentation="light").fit(*data) for seed in (0, 0, 1))
    assert torch.equal(weights(first), weights(same))
    assert not torch.equal(weights(first), weights(other))


def test_random_states_and_parameters_are_left_alone(data):
    X, y = data
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    encoder, X_before, y_before = small(random_state=None), X.copy(), y.copy()
    parameters = encoder.get_params()
    encoder.fit(X, y)
    assert encoder.get_params() == parameters
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    np.testing.assert_array_equal(X, X_before)
    pd.testing.assert_frame_equal(y, y_before)


def test_a_clone_is_unfitted_and_a_pickle_is_not(fitted, data):
    assert not hasattr(clone(fitted), "network_")
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(data[0][:5]), fitted.transform(data[0][:5]))


def test_a_saved_encoder_comes_back_whole(fitted, data, tmp_path):
    fitted.save(tmp_path / "encoder.safetensors")
    again = load_encoder(tmp_path / "encoder.safetensors", device="cpu")
    X = data[0][:9]
    np.testing.assert_array_equal(again.transform(X), fitted.transform(X))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.get_params() == fitted.get_params()
    assert again.history_ == fitted.history_ and again.fingerprint() == fitted.fingerprint()


def test_tasks_names_the_columns_to_learn(data):
    X, y = data
    encoder = small(tasks=["stripe"], max_steps=1).fit(X, y)
    assert encoder.task_names_ == ["stripe"]
    assert encoder.score_tasks(X, y).index.tolist() == ["stripe"]
    with pytest.raises(ValueError, match="color"):
        small(tasks=["color"]).fit(X, y)


def test_init_starts_from_another_encoder_and_its_heads(fitted, data, tmp_path):
    fitted.save(tmp_path / "encoder.safetensors")
    X, y = data
    for init in (fitted, tmp_path / "encoder.safetensors", str(tmp_path / "encoder.safetensors")):
        encoder = small(init=init, lr=1e-12, min_lr=1e-12, max_steps=1).fit(X, y)
        np.testing.assert_allclose(encoder.heads_.modules[1][1].weight, fitted.heads_.modules[1][1].weight, atol=1e-6)
        np.testing.assert_allclose(encoder.network_[0].weight, fitted.network_[0].weight, atol=1e-6)
    other = small(init=fitted, lr=1e-12, min_lr=1e-12, max_steps=1).fit(X, y.rename(columns={"tone": "shade"}))
    assert not np.allclose(other.heads_.modules[0][1].weight, fitted.heads_.modules[0][1].weight)


def test_init_trains_on_and_leaves_the_encoder_it_starts_from(fitted, data):
    before, head = fitted.fingerprint(), fitted.heads_.modules[0][1].weight.clone()
    encoder = small(init=fitted, lr=0.1, validation_fraction=None).fit(*data)
    assert fitted.fingerprint() == before and torch.equal(fitted.heads_.modules[0][1].weight, head)
    assert encoder.fingerprint() != before and not torch.equal(encoder.heads_.modules[0][1].weight, head)


def test_a_network_from_init_may_learn_more_slowly_than_its_new_heads(fitted, data):
    X, y = data
    settings = {"init": fitted, "tasks": ["tone"], "max_steps": 1}
    slow, usual = (small(init_lr=init_lr, **settings).fit(X, y) for init_lr in (0.0, None))
    assert torch.equal(slow.network_[0].weight, fitted.network_[0].weight)
    assert not torch.equal(usual.network_[0].weight, fitted.network_[0].weight)
    assert not torch.equal(slow.heads_.modules[0][1].weight, fitted.heads_.modules[0][1].weight)


@pytest.mark.filterwarnings("ignore::sknic.exceptions.UnmeasuredTaskWarning")
def test_a_task_whose_labels_are_all_held_out_is_named(data):
    X, _ = data
    random = np.random.default_rng(0)
    groups = np.arange(160) // 40
    held_out = {}
    for group in range(4):
        y = pd.DataFrame({"a": random.integers(0, 2, 160), "b": np.where(groups == group, np.arange(160) % 2, -1)})
        try:
            small(max_steps=1).fit(X, y, groups=groups)
        except DegenerateDataError as error:
            held_out[group] = str(error)
    assert len(held_out) == 1 and "['b']" in next(iter(held_out.values()))


def test_init_of_another_size_is_refused(fitted, data):
    with pytest.raises(ValueError, match="code_size=7: expected 6, that of the encoder given as init"):
        small(init=fitted, code_size=7).fit(*data)
    with pytest.raises(PatchSizeError, match="40 px"):
        small(init=fitted).fit(np.full((4, 40, 40, 3), 9, np.uint8), [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("settings", "widths"),
    [({"filters": [4, 8, 16]}, [4, 8, 16]), ({"body": "residual", "filters": [4, 6]}, [4, 6, 6, 6])],
    ids=["plain", "residual"],
)
def test_another_body_is_trained_saved_and_read(data, tmp_path, settings, widths):
    encoder = small(**settings).fit(*data)
    convolutions = [layer for layer in encoder.network_.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == widths
    encoder.save(tmp_path / "encoder.safetensors")
    read = load_encoder(tmp_path / "encoder.safetensors", device="cpu")
    assert read.get_params()["body"] == encoder.body and list(read.filters) == settings["filters"]
    np.testing.assert_array_equal(read.transform(data[0][:3]), encoder.transform(data[0][:3]))


def test_a_body_that_shrinks_a_patch_to_nothing_is_refused(data):
    with pytest.raises(ValueError, match="too small for 6 convolutions of stride 2"):
        small(filters=[4] * 6).fit(*data)


def test_an_encoder_to_start_from_brings_its_own_body(data, fitted):
    for settings in ({"filters": (4, 4)}, {"body": "residual"}):
        with pytest.raises(ValueError, match="body=.* filters=.* together with init="):
            small(init=fitted, **settings).fit(*data)


def test_init_takes_patches_of_twice_the_size(fitted, data):
    X, y = data
    encoder = small(init=fitted, max_steps=1).fit(X.repeat(2, axis=1).repeat(2, axis=2), y)
    assert (encoder.patch_size, encoder.input_size) == (2 * SIZE, SIZE)


def test_groups_are_held_out_whole(data):
    X, y = data
    groups = np.arange(160) // 4
    held = read_data(X, y, None, groups, None)
    train, valid, unlabelled = held.split(0.2, np.random.RandomState(0))
    assert len(valid) and not set(groups[train]) & set(groups[valid])
    assert not set(groups[unlabelled]) & set(groups[valid])
    assert set(train) | set(valid) == set(range(150)) and set(unlabelled) <= set(range(150, 160))
    assert len(valid) == pytest.approx(30, abs=4)


def test_nothing_may_be_held_out(data):
    encoder = small(validation_fraction=None).fit(*data)
    assert "valid_loss" not in encoder.history_[0] and encoder.history_[-1]["event_best"] in (True, False)


def test_every_center_of_a_class_counts_alike_in_batches_and_in_validation():
    """Ten dark patches of a rare center are as dark as the rest, but labelled light: they are learnt all the same."""
    X, y = coloured(200, np.random.default_rng(0))
    dark = np.flatnonzero(y["tone"] == "dark")
    center = np.full(200, "usual")
    center[dark[:10]], y.loc[dark[:10], "tone"] = "rare", "light"
    (blocks,) = read_data(X, y, ["tone"], None, center).blocks(np.arange(200))
    assert sorted(map(len, blocks)) == sorted([10, len(dark) - 10, 200 - len(dark)])
    settings = {"tasks": "tone", "max_steps": 1, "eval_every": 1, "lr": 1e-9, "min_lr": 1e-9}
    alike, even = (small(**settings).fit(X, y, centers=centers) for centers in (None, center))
    assert alike.history_[0]["valid_tone"] != even.history_[0]["valid_tone"]
    with pytest.raises(ValueError, match=r"centers of shape \(1,\): expected \(200,\)"):
        small().fit(X, y, centers=["a"])


@pytest.mark.parametrize("task_weights", [{"tone": 3.0}, "uncertainty", "gradnorm"], ids=str)
def test_tasks_may_be_weighed(data, task_weights):
    encoder = small(task_weights=task_weights, max_steps=2).fit(*data)
    assert all(np.isfinite(row["train_loss"]) for row in encoder.history_)
    if isinstance(task_weights, str):
        assert encoder.history_[-1]["weight_tone"] != encoder.history_[-1]["weight_stripe"]


@pytest.mark.parametrize("rows", [slice(None), slice(0, 150)], ids=["some unlabelled", "all labelled"])
def test_patches_may_be_learnt_from_without_their_labels(data, rows):
    X, y = data
    settings = {"unlabelled_weight": 0.5, "augmentation": "light", "max_steps": 60}
    encoder = small(**settings).fit(X[rows], y[rows])
    losses = [row["train_unlabelled"] for row in encoder.history_]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("labels", [["a", "b"], ["a", None]], ids=["two labels", "one label"])
def test_the_same_patch_under_two_labels_is_refused(data, labels):
    X, y = data
    X, y = X.copy(), pd.DataFrame({"tone": y["tone"], "other": ["a", "b"] * 80})
    X[101] = X[100]
    y.loc[[100, 101], "tone"] = "dark"
    y.loc[[100, 101], "other"] = labels
    if labels[1] is None:
        small(max_steps=1).fit(X, y)
        return
    with pytest.raises(ValueError, match=r"X\[100\] and X\[101\] are the same patch, but y calls it a and b .*'other'"):
        small().fit(X, y)


@pytest.mark.parametrize("schedule, last", [("plateau", 1e-3), ("cosine", 1e-5)])
def test_the_schedule_ends_at_its_learning_rate(data, schedule, last):
    rows = small(schedule=schedule, max_steps=40, patience=None).fit(*data).history_
    assert rows[-1]["lr"] == pytest.approx(last)
    assert len(rows) == 8


def test_bfloat16_learns_as_float32_does(data):
    losses = {}
    for precision in ("float32", "bfloat16"):
        encoder = small(precision=precision, max_steps=30).fit(*data)
        assert {tensor.dtype for tensor in encoder.network_.parameters()} == {torch.float32}
        losses[precision] = [row["valid_loss"] for row in encoder.history_]
    assert losses["float32"] != losses["bfloat16"]
    np.testing.assert_allclose(losses["bfloat16"], losses["float32"], atol=0.02)


class Interrupting:
    """An augmentation that raises KeyboardInterrupt in its n-th batch, as Ctrl-C does."""

    def __init__(self, n):
        self.left = n

    def __call__(self, x):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return x

    def __str__(self):
        return "the same in each run"


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_an_interrupted_training_goes_on_to_the_same_weights(data, tmp_path, monkeypatch, schedule):
    monkeypatch.setattr(checkpoint.Checkpoint.__init__, "__defaults__", (0,))  # at each evaluation
    settings = {"schedule": schedule, "max_steps": 30, "task_weights": "gradnorm", "unlabelled_weight": 0.1}
    whole = small(augmentation=Interrupting(0), **settings).fit(*data)
    settings["checkpoint"] = tmp_path / "training"
    for after in (24, 8):
        with pytest.raises(KeyboardInterrupt):
            small(augmentation=Interrupting(after), **settings).fit(*data)
    resumed = small(augmentation=Interrupting(0), **settings).fit(*data)
    assert torch.equal(weights(whole), weights(resumed))
    assert [row["valid_loss"] for row in whole.history_] == [row["valid_loss"] for row in resumed.history_]
    with pytest.raises(ModelFileError, match="lr differ"):
        small(augmentation=Interrupting(0), **settings, lr=1e-4).fit(*data)
    with pytest.raises(ModelFileError, match="data differ"):
        small(augmentation=Interrupting(0), **settings).fit(data[0][::-1], data[1])
    with pytest.raises(ValueError, match="random_state=None: expected an integer with checkpoint="):
        small(**settings, random_state=None).fit(*data)


def test_a_training_is_not_resumed_from_another_encoder_of_the_same_path(data, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint.Checkpoint.__init__, "__defaults__", (0,))  # at each evaluation
    start = tmp_path / "start.safetensors"
    small(max_steps=5).fit(*data).save(start)
    settings = {"init": start, "max_steps": 30, "checkpoint": tmp_path / "training"}
    with pytest.raises(KeyboardInterrupt):
        small(augmentation=Interrupting(13), **settings).fit(*data)
    small(max_steps=5, random_state=1).fit(*data).save(start)
    with pytest.raises(ModelFileError, match="init differ"):
        small(augmentation=Interrupting(0), **settings).fit(*data)


def test_a_training_is_resumed_by_another_process(data, tmp_path, monkeypatch):
    """There a function has another address, and a setting taken from an array is a number of numpy."""
    monkeypatch.setattr(checkpoint.Checkpoint.__init__, "__defaults__", (0,))  # at each evaluation
    settings = {"max_steps": 10, "checkpoint": tmp_path / "training", "random_state": np.int64(0)}

    def same(x):
        return x

    small(augmentation=same, filters=np.array([4, 4, 4, 4]), **settings).fit(*data)
    (key,) = [read_weights((tmp_path / "training").read_bytes(), checkpoint.FORMAT)[0]["key"]]
    assert "0x" not in str(key) and (key["random_state"], key["filters"]) == (0, [4, 4, 4, 4])
    with pytest.raises(ModelFileError, match="augmentation differ"):
        small(augmentation=lambda x: x, filters=[4, 4, 4, 4], **settings).fit(*data)


def test_ctrl_c_keeps_the_best_weights_so_far(data):
    encoder = small(augmentation=Interrupting(13), max_steps=30)
    with pytest.raises(KeyboardInterrupt):
        encoder.fit(*data)
    assert [row["step"] for row in encoder.history_] == [5, 10]
    assert torch.equal(weights(encoder), weights(small(max_steps=10).fit(*data)))
    assert encoder.predict(data[0][:3]).shape == (3, 2)


WRONG = {
    "no labels": ({}, lambda X, y: (X, None), ValueError, "y"),
    "too few labels": ({}, lambda X, y: (X, y[:10]), ValueError, "10 rows"),
    "one class": ({}, lambda X, y: (X, np.zeros(160)), DegenerateDataError, r"y\['task'\] with labels of 1 class"),
    "no label at all": ({}, lambda X, y: (X, np.full(160, -1)), DegenerateDataError, "0 class"),
    "two columns of one name": ({}, lambda X, y: (X, y.set_axis(["a", "a"], axis=1)), ValueError, "different names"),
    "float patches": ({}, lambda X, y: (X / 255, y), PatchSizeError, "float64"),
    "patches of zeros and ones": ({}, lambda X, y: ((X > 99).astype(np.uint8), y), PatchSizeError, "0 or 1: .* 255"),
    "flat patches": ({}, lambda X, y: (X.reshape(160, -1), y), PatchSizeError, "shape"),
    "small patches": ({}, lambda X, y: (X[:, :20, :20], y), ValueError, "20 px"),
    "small batches": ({"batch_size": 3}, lambda X, y: (X, y), ValueError, "batch_size=3"),
    "an unknown weight": ({"task_weights": {"x": 1}}, lambda X, y: (X, y), ValueError, "x"),
    "a weight of zero": ({"task_weights": {"tone": 0}}, lambda X, y: (X, y), ValueError, "above 0"),
    "an unknown weighing": ({"task_weights": "best"}, lambda X, y: (X, y), ValueError, "best"),
    "an augmentation to 255": (
        {"augmentation": lambda x: x * 255},
        lambda X, y: (X, y),
        ValueError,
        r"to 2\d\d: expected 0 to 1",
    ),
    "an augmentation to nan": ({"augmentation": lambda x: x / 0 * 0}, lambda X, y: (X, y), ValueError, "nan"),
    "a normalizing augmentation": (
        {"augmentation": lambda x: (x - 0.45) / 0.225},
        lambda X, y: (X, y),
        ValueError,
        "pixels from -",
    ),
    "a cropping augmentation": (
        {"augmentation": lambda x: x[..., 1:]},
        lambda X, y: (X, y),
        ValueError,
        r"returned \(24, 3, 31, 30\)",
    ),
    "an unknown augmentation": ({"augmentation": "gentle"}, lambda X, y: (X, y), ValueError, "gentle"),
}


@pytest.mark.parametrize("settings, change, error, words", WRONG.values(), ids=WRONG)
def test_wrong_input_is_refused_by_name(data, settings, change, error, words):
    with pytest.raises(error, match=words):
        small(**settings).fit(*change(*data))


def test_a_task_without_held_out_labels_is_told_of(data):
    X, y = data
    groups = np.where(y["stripe"].notna(), "one slide", np.arange(len(y)).astype(str))
    with pytest.warns(UnmeasuredTaskWarning, match="no labels of 'stripe' are held out"):
        encoder = small().fit(X, y, groups=groups)
    assert "valid_tone" in encoder.history_[-1] and "valid_stripe" not in encoder.history_[-1]


@pytest.mark.parametrize("column", ["groups", "centers"])
def test_patches_of_unknown_sources_are_not_those_of_one(column):
    patches = np.full((4, 64, 64, 3), 9, np.uint8)
    with pytest.raises(ValueError, match=rf"{column}\[2\]=.*: expected a value for each sample; 2 of 4 missing"):
        small().fit(patches, [0, 1, 0, 1], **{column: [1.0, 2.0, np.nan, np.nan]})


def test_a_start_at_another_um_per_px_is_told_of(data, fitted):
    start = small(mpp=1.0, max_steps=5).fit(*data)
    with pytest.warns(MppWarning, match=r"mpp=0\.5: the encoder given as init was trained at 1 um/px"):
        small(init=start, max_steps=5).fit(*data)
