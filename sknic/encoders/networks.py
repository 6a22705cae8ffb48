"""Torch networks as chains of plain layers that a file can describe: the paper's encoder body and its heads."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2
EPSILON = 1e-3
MOMENTUM = 0.2
PAPER_FILTERS = (128, 128, 128, 128)
RESIDUAL_FILTERS = (32, 64, 128, 256)


class Flatten(nn.Module):
    """Flatten (n, C, height, width) in height, width, channel order, as the published encoders do."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class GlobalAverage(nn.Module):
    """Mean over height and width."""

    def forward(self, x):
        return x.mean((2, 3))


class Residual(nn.Module):
    """A residual block: two 3x3 convolutions beside a shortcut (He et al. 2016).

    Where the shape changes, the shortcut averages and projects (He et al. 2019), so that no pixel is skipped.
    """

    def __init__(self, in_channels, out_channels, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
        self.norm1 = nn.BatchNorm2d(out_channels, EPSILON, MOMENTUM)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(out_channels, EPSILON, MOMENTUM)
        self.average = nn.AvgPool2d(stride, ceil_mode=True) if stride > 1 else nn.Identity()
        is_same = in_channels == out_channels
        self.project = nn.Identity() if is_same else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x):
        y = F.leaky_relu(self.norm1(self.conv1(x)), SLOPE)
        return F.leaky_relu(self.norm2(self.conv2(y)) + self.project(self.average(x)), SLOPE)


# Everything a file may ask for: the name of a layer, its module, and its settings in order.
_LAYERS = {
    "conv": (nn.Conv2d, ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")),
    "linear": (nn.Linear, ("in_features", "out_features")),
    "batch_norm": (nn.BatchNorm2d, ("num_features", "eps", "momentum")),
    "batch_norm_1d": (nn.BatchNorm1d, ("num_features", "eps", "momentum")),
    "leaky_relu": (nn.LeakyReLU, ("negative_slope",)),
    "relu": (nn.ReLU, ()),
    "elu": (nn.ELU, ("alpha",)),
    "tanh": (nn.Tanh, ()),
    "sigmoid": (nn.Sigmoid, ()),
    "pad": (nn.ZeroPad2d, ("padding",)),
    "max_pool": (nn.MaxPool2d, ("kernel_size", "stride")),
    "average_pool": (nn.AvgPool2d, ("kernel_size", "stride")),
    "global_average": (GlobalAverage, ()),
    "flatten": (Flatten, ()),
    "residual": (Residual, ("in_channels", "out_channels", "stride")),
}


class Chain(nn.Sequential):
    """A chain of layers, built from a description that JSON can store.

    Parameters
    ----------
    layers : sequence of (str, dict)
        Name and settings of each layer, e.g. `("leaky_relu", {"negative_slope": 0.2})`.

    Attributes
    ----------
    description : list of [str, dict]

    Raises
    ------
    ValueError
        For an unknown layer or setting, or a value of the wrong kind.
    """

    def __init__(self, layers):
        super().__init__(*(_build(name, settings) for name, settings in layers))
        self.description = [[name, dict(settings)] for name, settings in layers]

    @property
    def out_features(self):
        """Number of outputs of this chain per sample, from the last layer that defines it."""
        for layer in reversed(self):
            for name in ("out_features", "num_features", "out_channels"):
                if hasattr(layer, name):
                    return getattr(layer, name)
        return 3


def restore(layers, state):
    """Build a chain around given weights, in evaluation mode.

    Only sizes that the weights have are allocated, whatever the layers state, and no random numbers are drawn.

    Raises
    ------
    ValueError, RuntimeError
        If layers and weights do not match.
    """
    with torch.device("meta"):
        network = Chain(layers)
    network.load_state_dict(state, assign=True)
    return network.eval()


def _build(name, settings):
    if name not in _LAYERS:
        raise ValueError(f"layer {name!r} is unknown; known are {', '.join(_LAYERS)}")
    module, known = _LAYERS[name]
    for key, value in settings.items():
        if key not in known:
            raise ValueError(f"layer {name!r} has no setting {key!r}")
        numbers = value if isinstance(value, list | tuple) else [value]
        if not all(type(number) in (int, float) and 0 <= number < 2**20 for number in numbers) or len(numbers) > 4:
            raise ValueError(f"{key}={value!r} of layer {name!r} must be one or a few numbers of a sensible size")
    return module(**{key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()})


def conv_block(in_channels, out_channels, stride=2):
    """One block of the body in the order of the published weights: conv, leaky ReLU, BatchNorm."""
    return [
        ("conv", {"in_channels": in_channels, "out_channels": out_channels, "kernel_size": 3, "stride": stride}),
        ("leaky_relu", {"negative_slope": SLOPE}),
        ("batch_norm", {"num_features": out_channels, "eps": EPSILON, "momentum": MOMENTUM}),
    ]


def encoder_layers(code_size=128, input_size=64, filters=PAPER_FILTERS):
    """Layers of the paper's encoder: strided 3x3 convolutions, then a linear code (section 3).

    Parameters
    ----------
    code_size : int
    input_size : int
        Width of the patches in px; 64 shrinks to 31, 15, 7 and 3.
    filters : sequence of int
        Number of filters of each convolution.

    Raises
    ------
    ValueError
        If the patches are too small for that many convolutions.
    """
    layers, channels, size = [], 3, input_size
    for width in filters:
        layers += conv_block(channels, width)
        channels, size = width, (size - 1) // 2
    if size < 1:
        raise ValueError(f"patches of {input_size} px are too small for {len(filters)} convolutions of stride 2")
    return [
        *layers,
        ("flatten", {}),
        ("linear", {"in_features": channels * size * size, "out_features": code_size}),
    ]


def residual_layers(code_size=128, filters=RESIDUAL_FILTERS):
    """Layers of the residual body: a strided convolution, residual blocks of stride 2, the mean, and a linear code.

    With the default filters it is deeper than the paper's body at the same number of multiplications per patch.

    Parameters
    ----------
    code_size : int
    filters : sequence of int
        Number of filters of the first convolution and of each block.
    """
    first, *rest = filters
    return [
        ("conv", {"in_channels": 3, "out_channels": first, "kernel_size": 3, "stride": 2}),
        ("batch_norm", {"num_features": first, "eps": EPSILON, "momentum": MOMENTUM}),
        ("leaky_relu", {"negative_slope": SLOPE}),
        *(
            ("residual", {"in_channels": channels, "out_channels": width, "stride": 2})
            for channels, width in zip(filters, rest)
        ),
        ("global_average", {}),
        ("linear", {"in_features": filters[-1], "out_features": code_size}),
    ]


def keras_init(module):
    """Initialize kernels as in the published code: He-uniform convolutions, Glorot-uniform dense layers."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    if getattr(module, "bias", None) is not None and not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
        nn.init.zeros_(module.bias)


def new_encoder(code_size=128, input_size=64, body="plain", filters=None):
    """An untrained encoder network; see `encoder_layers` (body "plain") and `residual_layers` ("residual")."""
    if body == "residual":
        layers = residual_layers(code_size, filters or RESIDUAL_FILTERS)
    else:
        layers = encoder_layers(code_size, input_size, filters or PAPER_FILTERS)
    return Chain(layers).apply(keras_init)


class Head(nn.Sequential):
    """The head of a task on the code: dropout, 256 units, leaky ReLU, dropout, classes (section 3)."""

    def __init__(self, code_size, n_classes, n_units=256, dropout=0.1):
        super().__init__(
            nn.Dropout(dropout),
            nn.Linear(code_size, n_units),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout),
            nn.Linear(n_units, n_classes),
        )
        self.apply(keras_init)


class Generator(nn.Module):
    """Generates patches, -1 to 1, from codes: a dense layer to 2x2, then doublings by transposed convolutions.

    Parameters
    ----------
    code_size : int
    size : int
        Width of the patches in px.
    """

    def __init__(self, code_size, size):
        super().__init__()
        self.size = size
        n_doublings = max(1, math.ceil(math.log2(size / 2)))
        filters = [min(32 * 2**i, 512) for i in reversed(range(n_doublings))]
        self.dense = nn.Linear(code_size, filters[0] * 4)
        layers = [nn.BatchNorm2d(filters[0]), nn.LeakyReLU(SLOPE)]
        for width, following in zip(filters, filters[1:]):
            layers += [nn.ConvTranspose2d(width, following, 4, 2, 1), nn.BatchNorm2d(following), nn.LeakyReLU(SLOPE)]
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(filters[-1], 3, 4, 2, 1), nn.Tanh())

    def forward(self, code):
        x = self.body(self.dense(code).unflatten(1, (-1, 2, 2)))
        return x if x.shape[2] == self.size else F.interpolate(x, (self.size, self.size), mode="bilinear")


class PairDiscriminator(nn.Module):
    """Distinguishes pairs (patch, its code) from pairs (generated patch, its code); one logit."""

    def __init__(self, code_size, size, filters=(64, 128, 256, 256)):
        super().__init__()
        layers, channels, width = [], 3, size
        for following in filters:
            layers += [spectral_norm(nn.Conv2d(channels, following, 4, 2, 1)), nn.LeakyReLU(SLOPE), nn.Dropout2d(0.1)]
            channels, width = following, width // 2
        self.image = nn.Sequential(*layers, nn.Flatten())
        self.code = nn.Sequential(spectral_norm(nn.Linear(code_size, 512)), nn.LeakyReLU(SLOPE))
        self.pair = nn.Sequential(
            spectral_norm(nn.Linear(channels * width * width + 512, 512)),
            nn.LeakyReLU(SLOPE),
            spectral_norm(nn.Linear(512, 1)),
        )

    def forward(self, x, code):
        return self.pair(torch.cat([self.image(x), self.code(code)], dim=1)).squeeze(1)
