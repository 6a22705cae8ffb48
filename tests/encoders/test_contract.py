"""Every encoder keeps the contract: scikit-learn's data-free checks, sizes, fingerprint, pickle."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from sknic import (
    BiGANEncoder,
    ContrastiveEncoder,
    MeanRGBEncoder,
    MultitaskEncoder,
    TorchEncoder,
    VAEEncoder,
    load_encoder,
)
from sknic.encoders import KerasEncoder

ENCODERS = [
    BiGANEncoder(),
    ContrastiveEncoder(),
    KerasEncoder(),
    MeanRGBEncoder(),
    MultitaskEncoder(),
    TorchEncoder(torch.nn.Flatten()),
    VAEEncoder(),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: type(encoder).__name__)
def test_scikit_learns_data_free_checks_pass(encoder, data_free_checks):
    for check in data_free_checks:
        check(type(encoder).__name__, clone(encoder))


QUESTIONS = {
    "transform": lambda encoder: encoder.transform(np.zeros((1, 64, 64, 3), np.uint8)),
    "embedder": lambda encoder: encoder.embedder(),
    "fingerprint": lambda encoder: encoder.fingerprint(),
    "save": lambda encoder: encoder.save("never-written"),
    "patch_size": lambda encoder: encoder.patch_size,
    "input_size": lambda encoder: encoder.input_size,
}


@pytest.mark.parametrize("ask", QUESTIONS.values(), ids=QUESTIONS)
def test_an_unfitted_encoder_says_so(ask):
    with pytest.raises(NotFittedError):
        ask(MultitaskEncoder())


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda encoder: type(encoder).__name__)
def test_whoever_needs_no_fit_says_so(encoder):
    needs = isinstance(encoder, (BiGANEncoder, ContrastiveEncoder, MultitaskEncoder, VAEEncoder))
    assert encoder.__sklearn_tags__().requires_fit == needs


def test_mean_rgb_needs_no_fit_and_takes_every_size():
    encoder = MeanRGBEncoder(device="cpu")
    check_is_fitted(encoder)
    for size in (1, 64, 100):
        np.testing.assert_allclose(encoder.transform(np.full((2, size, size, 3), 255, np.uint8)), 1, rtol=1e-6)


def test_the_fingerprint_changes_with_every_weight_and_with_nothing_else(tiny_keras):
    encoder, same = (load_encoder(tiny_keras, device="cpu") for _ in range(2))
    before = encoder.fingerprint()
    assert same.fingerprint() == before == encoder.set_params(device="auto").fingerprint()
    for tensor in encoder.network_.state_dict().values():
        tensor.add_(1)
        assert encoder.fingerprint() != before
        tensor.sub_(1)


def test_transform_follows_a_changed_weight(tiny_keras):
    encoder = load_encoder(tiny_keras, device="cpu")
    patches = np.zeros((1, 9, 9, 3), np.uint8)
    before = encoder.transform(patches)
    encoder.network_[-1].bias.data.add_(0)  # Torch cannot see a change through .data;
    encoder.network_.state_dict()["3.bias"].add_(1.0)  # it sees this one.
    np.testing.assert_allclose(encoder.transform(patches), before + 1, rtol=1e-4)


def test_a_pickled_encoder_is_the_same_and_carries_no_cache(tiny_keras):
    encoder = load_encoder(tiny_keras, device="cpu")
    patches = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3)).astype(np.uint8)
    empty = len(pickle.dumps(encoder))
    wanted = encoder.transform(patches)
    assert len(pickle.dumps(encoder)) == empty
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(patches), wanted)


def test_features_have_names(tiny_keras):
    encoder = load_encoder(tiny_keras, device="cpu")
    assert list(encoder.get_feature_names_out()) == [f"kerasencoder{i}" for i in range(5)]
    frame = encoder.set_output(transform="pandas").transform(np.zeros((2, 9, 9, 3), np.uint8))
    assert frame.shape == (2, 5)
