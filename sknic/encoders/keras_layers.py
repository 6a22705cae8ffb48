"""Turns the configuration of a Keras model into the layers and weights of a Chain."""

import numpy as np
import torch

# Layers that do nothing when an encoder is applied.
_IDLE = {"InputLayer", "Dropout", "SpatialDropout2D", "GaussianNoise", "GaussianDropout", "ActivityRegularization"}
_ACTIVATIONS = {
    "linear": [],
    "relu": [("relu", {})],
    "tanh": [("tanh", {})],
    "sigmoid": [("sigmoid", {})],
    "elu": [("elu", {"alpha": 1.0})],
}


def translate(config, weights):
    """Translate a Keras model of square RGB patches whose first output is computed by a single chain of layers.

    Parameters
    ----------
    config : dict
        Keras' `model_config`: a Sequential or a Model, nested ones included.
    weights : object with `read(layer, kind, shape)` and `in`

    Returns
    -------
    layers : list of (str, dict)
        For `Chain`.
    state : dict of str to tensor
        Its weights.
    input_size : int
        Width of the patches in px.

    Raises
    ------
    ValueError, KeyError, TypeError, IndexError
        If the model is something else.
    """
    chain = _chain(config)
    input_size = _input_size(config, chain)
    translation = _Translation(weights, input_size)
    for layer in chain:
        translation.add(layer["class_name"], layer["config"])
    return translation.layers, translation.state, input_size


def _chain(model):
    """Layers from input to first output, models inside the model unrolled."""
    config = model["config"]
    if model["class_name"] == "Sequential":
        layers = config["layers"] if isinstance(config, dict) else config
    elif model["class_name"] in ("Model", "Functional"):
        layers = _path(config)
    else:
        return [model]
    return [inner for layer in layers for inner in _chain(layer)]


def _path(config):
    """Layers of a functional model on the way to its first output, in order."""
    layers = {layer["name"]: layer for layer in config["layers"]}
    name, path = config["output_layers"][0][0], []
    while len(path) <= len(layers):
        layer = layers[name]
        path.append(layer)
        if not layer["inbound_nodes"]:
            return path[::-1]
        # The first call of a layer that is used twice, as by a Siamese network, is as good as the other.
        sources = layer["inbound_nodes"][0]
        if len(sources) != 1:
            raise ValueError(f"layer {name!r} joins {len(sources)} branches; only chains of layers are read")
        name = sources[0][0]
    raise ValueError("the layers form a cycle")


def _input_size(config, chain):
    found = [layer["config"].get("batch_input_shape") for layer in chain]
    shape = next((shape for shape in found if shape), None)
    if shape is None:
        raise ValueError("the model states no input shape")
    _, height, width, channels = shape
    if type(height) is not int or height != width or not 8 <= height <= 4096 or channels != 3:
        raise ValueError(f"its input has shape {shape}: expected square RGB patches of a fixed size")
    return height


class _Translation:
    """The chain so far, and the size of its output."""

    def __init__(self, weights, size):
        self.weights = weights
        self.layers, self.state = [], {}
        self.size, self.channels = size, 3

    def add(self, kind, config):
        """Append one Keras layer."""
        if kind in _IDLE:
            return
        method = getattr(self, f"_add_{kind.lower()}", None) if isinstance(kind, str) else None
        if method is None:
            raise ValueError(f"layer {config.get('name')!r} is a {kind}, which sknic cannot read")
        if config.get("data_format", "channels_last") != "channels_last":
            raise ValueError(f"layer {config.get('name')!r} is not channels_last")
        method(config)

    def _put(self, name, settings, **tensors):
        self.state.update({f"{len(self.layers)}.{key}": value for key, value in tensors.items()})
        self.layers.append((name, settings))

    def _activate(self, activation):
        if activation not in _ACTIVATIONS:
            raise ValueError(f"activation {activation!r} is unknown")
        for name, settings in _ACTIVATIONS[activation]:
            self._put(name, settings)

    def _bias(self, config, size):
        return self.weights.read(config["name"], "bias", (size,)) if config["use_bias"] else torch.zeros(size)

    def _add_conv2d(self, config):
        kernel, stride = _square(config["kernel_size"]), _square(config["strides"])
        if _square(config.get("dilation_rate", [1, 1])) != 1 or config.get("groups", 1) != 1:
            raise ValueError(f"layer {config['name']!r} is dilated or grouped")
        self._pad(config["padding"], kernel, stride)
        out = _positive(config["filters"])
        weight = self.weights.read(config["name"], "kernel", (kernel, kernel, self.channels, out))
        settings = {"in_channels": self.channels, "out_channels": out, "kernel_size": kernel, "stride": stride}
        weight = weight.permute(3, 2, 0, 1).contiguous()
        self._put("conv", settings, weight=weight, bias=self._bias(config, out))
        self._shrink(kernel, stride)
        self.channels = out
        self._activate(config["activation"])

    def _pad(self, padding, kernel, stride):
        if padding == "valid":
            return
        if padding != "same":
            raise ValueError(f"padding {padding!r} is unknown")
        # TensorFlow puts the odd pixel to the right and below.
        total = max((-(-self.size // stride) - 1) * stride + kernel - self.size, 0)
        before, after = total // 2, total - total // 2
        if total:
            self._put("pad", {"padding": [before, after, before, after]})
            self.size += total

    def _shrink(self, kernel, stride):
        self.size = (self.size - kernel) // stride + 1
        if self.size < 1:
            raise ValueError("the patches are too small for the layers")

    def _add_batchnormalization(self, config):
        axis = config["axis"][0] if isinstance(config["axis"], list) else config["axis"]
        if axis not in (-1, 3 if self.size else 1):
            raise ValueError(f"layer {config['name']!r} normalizes axis {axis}, not the channels")
        n = self.channels
        read = self.weights.read
        tensors = {
            "weight": read(config["name"], "gamma", (n,)) if config["scale"] else torch.ones(n),
            "bias": read(config["name"], "beta", (n,)) if config["center"] else torch.zeros(n),
            "running_mean": read(config["name"], "moving_mean", (n,)),
            "running_var": read(config["name"], "moving_variance", (n,)),
            "num_batches_tracked": torch.tensor(0),
        }
        momentum = round(1 - config["momentum"], 6)
        settings = {"num_features": n, "eps": config["epsilon"], "momentum": momentum}
        self._put("batch_norm" if self.size else "batch_norm_1d", settings, **tensors)

    def _add_dense(self, config):
        if self.size:
            raise ValueError(f"layer {config['name']!r} is dense on an image")
        out = _positive(config["units"])
        weight = self.weights.read(config["name"], "kernel", (self.channels, out)).T.contiguous()
        self._put(
            "linear", {"in_features": self.channels, "out_features": out}, weight=weight, bias=self._bias(config, out)
        )
        self.channels = out
        self._activate(config["activation"])

    def _add_flatten(self, config):
        self._put("flatten", {})
        self.channels, self.size = self.channels * max(self.size, 1) ** 2, 0

    def _add_globalaveragepooling2d(self, config):
        self._put("global_average", {})
        self.size = 0

    def _add_maxpooling2d(self, config):
        self._pool("max_pool", config)

    def _add_averagepooling2d(self, config):
        self._pool("average_pool", config)

    def _pool(self, name, config):
        kernel, stride = _square(config["pool_size"]), _square(config["strides"])
        if config["padding"] != "valid":
            raise ValueError(f"layer {config['name']!r} pads; only 'valid' pooling is read")
        self._put(name, {"kernel_size": kernel, "stride": stride})
        self._shrink(kernel, stride)

    def _add_zeropadding2d(self, config):
        (top, bottom), (left, right) = np.broadcast_to(config["padding"], (2, 2)).tolist()
        if (top, bottom) != (left, right):
            raise ValueError(f"layer {config['name']!r} pads the sides differently")
        self._put("pad", {"padding": [left, right, top, bottom]})
        self.size += top + bottom

    def _add_leakyrelu(self, config):
        slope = config["alpha"] if "alpha" in config else config["negative_slope"]
        self._put("leaky_relu", {"negative_slope": slope})

    def _add_elu(self, config):
        self._put("elu", {"alpha": float(config["alpha"])})

    def _add_relu(self, config):
        if config.get("max_value") is not None or config.get("threshold"):
            raise ValueError(f"layer {config['name']!r} is a capped ReLU")
        slope = config.get("negative_slope")
        self._put("leaky_relu", {"negative_slope": float(slope)}) if slope else self._put("relu", {})

    def _add_activation(self, config):
        self._activate(config["activation"])


def _positive(value):
    if type(value) is not int or not 1 <= value < 2**20:
        raise ValueError(f"{value!r} is not a sensible number of units")
    return value


def _square(value):
    first, second = (value, value) if isinstance(value, int) else value
    if first != second:
        raise ValueError(f"{value} differs by axis; only square windows are read")
    return _positive(first)
