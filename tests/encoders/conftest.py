"""Small patches, networks and Keras files for the tests of this folder."""

import json

import h5py
import numpy as np
import pytest


@pytest.fixture(scope="session")
def patches():
    """Sixteen patches of smooth color, uint8 (16, 64, 64, 3)."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (16, 8, 8, 3)).astype(np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def layer(kind, name, *sources, **config):
    """Keras' configuration of one layer of a functional model."""
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": [[[source, 0, 0, {}] for source in sources]] if sources else [],
    }


def conv(name, *sources, filters=4, **config):
    settings = {"kernel_size": [3, 3], "strides": [2, 2], "padding": "valid", "activation": "linear", "use_bias": True}
    return layer("Conv2D", name, *sources, **{**settings, "filters": filters, **config})


def dense(name, *sources, units=5, **config):
    return layer("Dense", name, *sources, **{"activation": "linear", "use_bias": True, "units": units, **config})


def write_keras(path, layers, weights, output, kind="Model"):
    """Write a Keras HDF5 file; weights is {layer: {kind: array}}."""
    config = {"layers": layers, "input_layers": [[layers[0]["name"], 0, 0]], "output_layers": [[output, 0, 0]]}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": kind, "config": config})
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{kind}:0".encode() for kind in arrays]
            for kind, array in arrays.items():
                group.create_dataset(f"{name}/{kind}:0", data=array.astype(np.float32))
    return path


@pytest.fixture
def tiny_keras(tmp_path):
    """A Keras file of 9 px patches: one convolution, dense 5."""
    random = np.random.default_rng(1)
    layers = [
        layer("InputLayer", "input", batch_input_shape=[None, 9, 9, 3]),
        conv("conv", "input"),
        layer("LeakyReLU", "leaky", "conv", alpha=0.2),
        layer("Flatten", "flat", "leaky"),
        dense("code", "flat"),
    ]
    weights = {
        "conv": {"kernel": random.normal(size=(3, 3, 3, 4)), "bias": random.normal(size=4)},
        "code": {"kernel": random.normal(size=(64, 5)), "bias": random.normal(size=5)},
    }
    return write_keras(tmp_path / "tiny.h5", layers, weights, "code")
