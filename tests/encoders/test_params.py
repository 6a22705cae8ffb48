"""Every parameter of an encoder is checked in fit, and a wrong value is named with what is expected."""

import re

import numpy as np
import pytest
from torch import nn

from sknic import BiGANEncoder, ContrastiveEncoder, MeanRGBEncoder, MultitaskEncoder, TorchEncoder, VAEEncoder

X = np.random.default_rng(0).integers(0, 256, (24, 63, 63, 3), dtype=np.uint8)
Y = np.arange(24) % 2
TRAINED = [BiGANEncoder, ContrastiveEncoder, MultitaskEncoder, VAEEncoder]
WRONG = [
    ("code_size", 0),
    ("code_size", 2.5),
    ("mpp", 0),
    ("mpp", -1),
    ("mpp", "a"),
    ("augmentation", "gentle"),
    ("augmentation", 3),
    ("max_steps", 0),
    ("max_steps", 1.5),
    ("eval_every", 0),
    ("eval_every", None),
    ("batch_size", 0),
    ("batch_size", 1),
    ("batch_size", "8"),
    ("lr", 0),
    ("lr", np.nan),
    ("validation_fraction", 0),
    ("validation_fraction", 1.0),
    ("device", "gpu"),
    ("random_state", -1),
    ("random_state", "a"),
    ("verbose", -1),
]
OF_MULTITASK = [
    ("body", "resnet50"),
    ("filters", 128),
    ("filters", ()),
    ("filters", (64, 0)),
    ("filters", (64, 64.5)),
    ("tasks", 3),
    ("init", 3),
    ("schedule", "linear"),
    ("min_lr", 0),
    ("min_lr", 1.0),
    ("init_lr", -1),
    ("patience", 0),
    ("weight_decay", -0.1),
    ("monitor", "time"),
    ("task_weights", "best"),
    ("task_weights", 3),
    ("unlabelled_weight", -1),
    ("precision", "float16"),
    ("precision", None),
    ("checkpoint", 3),
    ("n_threads", 0),
]
OF_OTHERS = [
    (VAEEncoder, "gamma", -1),
    (VAEEncoder, "patience", 0),
    (ContrastiveEncoder, "precision", "half"),
    (MeanRGBEncoder, "patch_size", 0),
    (MeanRGBEncoder, "mpp", np.inf),
]


def refused(encoder, name, value):
    with pytest.raises(ValueError, match=rf"^{re.escape(f'{name}={value!r}')}: expected "):
        encoder(**{name: value}).fit(X, Y)


@pytest.mark.parametrize("encoder", TRAINED)
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_by_name(encoder, name, value):
    refused(encoder, name, value)


@pytest.mark.parametrize(("name", "value"), OF_MULTITASK)
def test_so_is_that_of_a_parameter_of_the_multitask_encoder(name, value):
    refused(MultitaskEncoder, name, value)


@pytest.mark.parametrize(("encoder", "name", "value"), OF_OTHERS)
def test_so_is_that_of_a_parameter_of_one_encoder(encoder, name, value):
    refused(encoder, name, value)


@pytest.mark.parametrize(("name", "value"), [("input_size", 0), ("mpp", 0), ("output", 3), ("batch_size", 0)])
def test_so_is_that_of_a_module(name, value):
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match=rf"^{re.escape(f'{name}={value!r}')}: expected "):
        TorchEncoder(module, **{name: value}).fit()


@pytest.mark.parametrize("encoder", TRAINED)
def test_every_parameter_has_its_rule(encoder):
    assert set(encoder._rules) == set(encoder().get_params())


@pytest.mark.parametrize("encoder", [*TRAINED, MeanRGBEncoder, TorchEncoder])
def test_parameters_after_the_first_are_given_by_name(encoder):
    with pytest.raises(TypeError, match="positional"):
        encoder(8, 9)
