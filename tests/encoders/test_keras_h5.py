"""Published Keras files give the published embeddings, and a file that is none gives one clear error."""

import json
import random as python_random

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.signal import correlate2d
from sklearn.base import clone

from sknic import load_encoder
from sknic.encoders import keras_h5, keras_reader
from sknic.exceptions import EncoderFileError

from .conftest import conv, dense, layer, write_keras

FIRST = {
    "multitask-4": [-0.0153014, -0.2387440, 1.2069702, -0.3570752, 0.6686204],
    "bigan": [-0.5154228, 0.7264707, 0.3953536, -0.9537990, 1.0538032],
}


@pytest.fixture(scope="module")
def example(test_data):
    return np.asarray(Image.open(test_data / "encoders" / "example_128.jpg"))[None]


@pytest.mark.parametrize("name", FIRST)
def test_the_published_encoders_give_the_published_numbers(test_data, example, name):
    encoder = load_encoder(test_data / "encoders" / f"encoder_{name}.h5", device="cpu")
    embedding = encoder.transform(example)
    assert embedding.dtype == np.float32 and embedding.shape == (1, 128)
    np.testing.assert_allclose(embedding[0, :5], FIRST[name], atol=1e-4)
    assert (encoder.patch_size, encoder.mpp, encoder.input_size, encoder.code_size) == (128, 0.5, 64, 128)


def test_the_published_mean_rgb_is_the_mean_color(test_data, example):
    encoder = load_encoder(test_data / "encoders" / "encoder_mean-rgb.h5", device="cpu")
    np.testing.assert_allclose(encoder.transform(example)[0], example.mean((0, 1, 2)) / 255 * 2 - 1, atol=1e-6)
    assert (encoder.patch_size, encoder.input_size, encoder.code_size) == (128, 128, 3)


def test_a_loaded_encoder_survives_clone(tiny_keras):
    encoder = load_encoder(tiny_keras)
    assert clone(encoder) is encoder


def by_hand(patch, weights, padding):
    """A 3x3 convolution of stride 2 and a dense layer, in numpy, from the Keras arrays."""
    image = patch / 255 * 2 - 1
    kernel, bias = weights["conv"]["kernel"], weights["conv"]["bias"]
    image = np.pad(image, [padding, padding, (0, 0)])
    maps = [sum(correlate2d(image[..., c], kernel[..., c, f], "valid") for c in range(3)) for f in range(4)]
    maps = np.stack(maps, -1)[::2, ::2] + bias
    norm = weights["norm"]
    maps = np.maximum(maps, 0)
    maps = (maps - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-3) * norm["gamma"] + norm["beta"]
    return maps.flatten() @ weights["code"]["kernel"] + weights["code"]["bias"]


# TensorFlow pads 10 px for stride 2 by 0 before and 1 after.
@pytest.mark.parametrize("padding, size, pad", [("valid", 9, (0, 0)), ("same", 10, (0, 1)), ("same", 9, (1, 1))])
def test_padding_batchnorm_and_flatten_follow_keras(tmp_path, padding, size, pad):
    random = np.random.default_rng(0)
    cells = (size + sum(pad) - 3) // 2 + 1
    weights = {
        "conv": {"kernel": random.normal(size=(3, 3, 3, 4)), "bias": random.normal(size=4)},
        "norm": {name: random.uniform(0.5, 2, size=4) for name in ("gamma", "beta", "moving_mean", "moving_variance")},
        "code": {"kernel": random.normal(size=(cells * cells * 4, 5)), "bias": random.normal(size=5)},
    }
    norm = {"axis": [3], "momentum": 0.8, "epsilon": 1e-3, "center": True, "scale": True}
    layers = [
        layer("InputLayer", "input", batch_input_shape=[None, size, size, 3]),
        conv("conv", "input", padding=padding, activation="relu"),
        layer("BatchNormalization", "norm", "conv", **norm),
        layer("Dropout", "drop", "norm", rate=0.5),
        layer("Flatten", "flat", "drop"),
        dense("code", "flat"),
    ]
    patch = random.integers(0, 256, (1, size, size, 3)).astype(np.uint8)
    encoder = load_encoder(write_keras(tmp_path / "k.h5", layers, weights, "code"), device="cpu")
    np.testing.assert_allclose(encoder.transform(patch)[0], by_hand(patch[0], weights, pad), rtol=1e-4, atol=1e-4)


def test_the_mean_of_a_variational_encoder_with_two_outputs_is_read(tmp_path, tiny_keras):
    with h5py.File(tiny_keras) as file:
        layers = json.loads(file.attrs["model_config"])["config"]["layers"]
    layers.append(dense("log_variance", "flat"))
    random = np.random.default_rng(1)
    weights = {
        "conv": {"kernel": random.normal(size=(3, 3, 3, 4)), "bias": random.normal(size=4)},
        "code": {"kernel": random.normal(size=(64, 5)), "bias": random.normal(size=5)},
        "log_variance": {"kernel": random.normal(size=(64, 5)), "bias": random.normal(size=5)},
    }
    two = load_encoder(write_keras(tmp_path / "vae.h5", layers, weights, "code"), device="cpu")
    patch = np.zeros((1, 9, 9, 3), np.uint8)
    np.testing.assert_array_equal(two.transform(patch), load_encoder(tiny_keras, device="cpu").transform(patch))


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_one_error(tiny_keras, share):
    whole = tiny_keras.read_bytes()
    tiny_keras.write_bytes(whole[: 8 + int(share * (len(whole) - 8))])
    with pytest.raises(EncoderFileError, match="tiny.h5"):
        load_encoder(tiny_keras)


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bits_are_one_error_or_an_encoder(tiny_keras, seed):
    damaged = bytearray(tiny_keras.read_bytes())
    dice = python_random.Random(seed)
    for _ in range(20):
        damaged[dice.randrange(8, len(damaged))] ^= 1 << dice.randrange(8)
    tiny_keras.write_bytes(damaged)
    try:
        encoder = load_encoder(tiny_keras)
    except EncoderFileError:
        return
    assert all(tensor.isfinite().all() for tensor in encoder.network_.state_dict().values())


@pytest.mark.parametrize("last_words", ["import os; os.kill(os.getpid(), 11)", "bytearray(2**40)", "1 / 0"])
def test_a_crash_of_the_hdf5_library_is_one_error(tiny_keras, tmp_path, monkeypatch, last_words):
    (tmp_path / "reader.py").write_text(last_words)
    monkeypatch.setattr(keras_reader, "__file__", str(tmp_path / "reader.py"))
    with pytest.raises(EncoderFileError, match="tiny.h5"):
        load_encoder(tiny_keras)


def test_a_file_that_hangs_the_hdf5_library_is_one_error(tiny_keras, tmp_path, monkeypatch):
    (tmp_path / "reader.py").write_text("while True: pass")
    monkeypatch.setattr(keras_reader, "__file__", str(tmp_path / "reader.py"))
    monkeypatch.setattr(keras_h5, "TIMEOUT", 0.5)
    with pytest.raises(EncoderFileError, match="took more than"):
        load_encoder(tiny_keras)


def edit(path, change):
    with h5py.File(path, "r+") as file:
        change(file)


def external_link(file):
    del file["model_weights/code"]
    file["model_weights/code"] = h5py.ExternalLink("/etc/passwd", "/")


def soft_link(file):
    del file["model_weights/code/code/bias:0"]
    file["model_weights/code/code/bias:0"] = h5py.SoftLink("/model_weights/conv/conv/bias:0")


def replace_bias(**settings):
    def change(file):
        del file["model_weights/code/code/bias:0"]
        file.create_dataset("model_weights/code/code/bias:0", **settings)

    return change


def set_config(find, new):
    def change(file):
        text = file.attrs["model_config"]
        assert find in text
        file.attrs["model_config"] = text.replace(find, new)

    return change


def same_name_twice(file):
    group = file["model_weights/code"]
    group["inner/code/bias:0"] = np.ones(5, "f4")
    names = [str(name).encode() for name in group.attrs["weight_names"]]
    group.attrs["weight_names"] = [*names, b"inner/code/bias:0"]


def deep_config(file):
    del file.attrs["model_config"]
    file.attrs["model_config"] = "[" * 60_000


HOSTILE = {
    "a group that is a link to another file": external_link,
    "a weight that is a link": soft_link,
    "a weight of a trillion zeros": replace_bias(shape=(10**12,), dtype="f4", chunks=(1024,)),
    "a weight that was never stored": replace_bias(shape=(5,), dtype="f4"),
    "a compressed weight": replace_bias(data=np.zeros(5, "f4"), compression="gzip", chunks=(5,)),
    "a weight kept in another file": replace_bias(shape=(5,), dtype="f4", external=[("/etc/passwd", 0, 20)]),
    "a weight of text": replace_bias(data=[b"12345"] * 5),
    "two weights of one name": same_name_twice,
    "weights that are not finite": replace_bias(data=np.full(5, np.nan, "f4")),
    "absurd units": set_config('"units": 5', '"units": 1000000000000'),
    "many units": set_config('"units": 5', '"units": 1000000'),
    "negative units": set_config('"units": 5', '"units": -5'),
    "a layer that holds code": set_config('"LeakyReLU"', '"Lambda"'),
    "a layer named as an attribute": set_config('"LeakyReLU"', '"__class__"'),
    "a circle of layers": set_config('[["input", 0, 0, {}]]', '[["flat", 0, 0, {}]]'),
    "two branches": set_config('[["input", 0, 0, {}]]', '[["input", 0, 0, {}], ["input", 0, 0, {}]]'),
    "an oblong input": set_config("[null, 9, 9, 3]", "[null, 9, 8, 3]"),
    "an absurd input": set_config("[null, 9, 9, 3]", "[null, 900000, 900000, 3]"),
    "a config without end": deep_config,
    "a config of another kind": lambda file: file.attrs.__setitem__("model_config", "[]"),
    "no config": lambda file: file.attrs.__delitem__("model_config"),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_one_error(tiny_keras, change):
    edit(tiny_keras, change)
    with pytest.raises(EncoderFileError, match="tiny.h5"):
        load_encoder(tiny_keras)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_encoder(tmp_path / "none.h5")


def test_reading_leaves_the_random_state_alone(tiny_keras):
    state = torch.get_rng_state()
    load_encoder(tiny_keras)
    assert torch.equal(torch.get_rng_state(), state)
