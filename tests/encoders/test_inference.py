"""The fast way through a network gives what the network gives."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from sknic import load_encoder
from sknic.encoders.inference import Embedder, MiddleInHalf, fold, to_pixels
from sknic.encoders.network_encoder import SCALE, SHIFT
from sknic.encoders.networks import Chain, Flatten, Residual, encoder_layers, new_encoder, residual_layers
from sknic.exceptions import PatchSizeError


def norm(kind, n):
    return (kind, {"num_features": n, "eps": 1e-3, "momentum": 0.2})


def conv(n_in, n_out, **settings):
    return ("conv", {"in_channels": n_in, "out_channels": n_out, "kernel_size": 3, **settings})


LEAKY = ("leaky_relu", {"negative_slope": 0.2})
CHAINS = {
    "the paper's": encoder_layers(5, 31, (4, 4)),
    "BatchNorm before the activation": [conv(3, 4), norm("batch_norm", 4), LEAKY, ("global_average", {})],
    "BatchNorm twice": [conv(3, 4), LEAKY, norm("batch_norm", 4), norm("batch_norm", 4), conv(4, 5), ("flatten", {})],
    "BatchNorm before padding": [
        conv(3, 4),
        LEAKY,
        norm("batch_norm", 4),
        conv(4, 5, padding=1),
        LEAKY,
        norm("batch_norm", 5),
        ("pad", {"padding": [0, 1, 0, 1]}),
        conv(5, 5),
        ("flatten", {}),
    ],
    "BatchNorm at the end": [conv(3, 4), LEAKY, norm("batch_norm", 4), ("flatten", {})],
    "flat BatchNorm": [
        ("global_average", {}),
        ("linear", {"in_features": 3, "out_features": 6}),
        LEAKY,
        norm("batch_norm_1d", 6),
        LEAKY,
    ],
    "residual": residual_layers(5, (4, 6, 6)),
    "residual after a BatchNorm": [
        conv(3, 4),
        LEAKY,
        norm("batch_norm", 4),
        ("residual", {"in_channels": 4, "out_channels": 4, "stride": 1}),
        ("residual", {"in_channels": 4, "out_channels": 6, "stride": 2}),
        ("flatten", {}),
    ],
    "nothing to fold": [LEAKY, ("flatten", {})],
}


def with_statistics(layers):
    """A chain whose BatchNorms have seen something."""
    torch.manual_seed(0)
    network = Chain(layers)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            for tensor in (layer.weight.data, layer.bias.data, layer.running_mean, layer.running_var):
                tensor.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize("layers", CHAINS.values(), ids=CHAINS)
def test_a_folded_network_is_the_same_function_without_batchnorm(layers):
    with torch.random.fork_rng():
        network = with_statistics(layers)
    pixels = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (2, 3, 31, 31)).astype(np.float32))
    scale, shift = torch.tensor([0.01, 0.02, 0.03]), torch.tensor([-1.0, 0.5, 0.0])
    with torch.no_grad():
        wanted = network(pixels * scale[:, None, None] + shift[:, None, None])
        folded = fold(network, scale, shift)
        got = folded(pixels.clone())
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-4)
    assert not any(isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d) for layer in folded.modules())


@pytest.mark.parametrize("size", [31, 32, 64])
def test_a_residual_block_halves_widths_odd_and_even(size):
    block = Residual(3, 5, stride=2).eval()
    with torch.no_grad():
        assert block(torch.zeros(1, 3, size, size)).shape == (1, 5, (size + 1) // 2, (size + 1) // 2)


def test_the_paper_body_shrinks_64_px_to_3x3():
    network = new_encoder()
    assert [tuple(layer.weight.shape) for layer in network if isinstance(layer, nn.Linear)] == [(128, 3 * 3 * 128)]
    # All values of the published file: kernels, biases and four numbers per BatchNorm channel.
    assert sum(t.numel() for t in network.state_dict().values() if t.is_floating_point()) == 595_968


def test_flatten_runs_in_height_width_channel_order():
    x = torch.arange(24).reshape(1, 2, 3, 4)
    assert Chain([("flatten", {})])(x).tolist()[0] == x[0].permute(1, 2, 0).flatten().tolist()


def test_pixels_are_averaged_2x2_without_rounding(patches):
    noisy = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    pooled = to_pixels(torch.from_numpy(noisy), 4)
    wanted = noisy.reshape(2, 4, 2, 4, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(pooled.numpy(), wanted)
    assert pooled.is_contiguous(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def embedder():
    with torch.random.fork_rng():
        return Embedder(fold(with_statistics(encoder_layers(5, 31, (4, 4)))), 5, 31, batch_size=7)


def test_threads_may_share_an_embedder(embedder):
    patches = np.random.default_rng(0).integers(0, 256, (60, 31, 31, 3)).astype(np.uint8)
    alone = embedder(patches)
    with ThreadPoolExecutor(4) as pool:
        together = np.concatenate(list(pool.map(embedder, np.split(patches, 12))))
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-3)


def test_no_patches_give_no_embeddings(embedder):
    assert embedder(np.empty((0, 31, 31, 3), np.uint8)).shape == (0, 5)


def test_a_read_only_or_strided_array_is_as_good(embedder):
    patches = np.random.default_rng(0).integers(0, 256, (6, 31, 62, 3)).astype(np.uint8)
    view = patches[::2, :, ::2]
    view.flags.writeable = False
    np.testing.assert_array_equal(embedder(view), embedder(view.copy()))


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 30, 30, 3), np.uint8),
        np.zeros((2, 31, 31, 4), np.uint8),
        np.zeros((2, 31, 62, 3), np.uint8),
        np.zeros((31, 31, 3), np.uint8),
        np.zeros((2, 31, 31, 3), np.float32),
        np.zeros((2, 5)),
    ],
    ids=lambda wrong: f"{wrong.dtype} {wrong.shape}",
)
def test_other_shapes_and_types_are_refused_by_name(embedder, wrong):
    with pytest.raises(PatchSizeError, match="px|shape"):
        embedder(wrong)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="int4"):
        Embedder(nn.Flatten(), 1, None, precision="int4")


@pytest.mark.parametrize("precision, tolerance", [("bfloat16", 5e-2), ("float16", 5e-3)])
def test_half_precision_is_near(embedder, precision, tolerance):
    patches = np.random.default_rng(0).integers(0, 256, (6, 31, 31, 3)).astype(np.uint8)
    half = Embedder(embedder.network, 5, 31, precision=precision)(patches)
    embedder.network.float()
    exact = embedder(patches)
    assert np.abs(half - exact).max() < tolerance * np.abs(exact).max()


def test_first_and_last_layer_in_float32_leave_less_of_the_error_of_bfloat16(patches):
    encoder = load_encoder("sknic-he-1", device="cpu")
    exact = encoder.transform(patches)
    whole = Embedder(fold(encoder.network_, *map(torch.as_tensor, (SCALE, SHIFT))), 128, 64, precision="bfloat16")
    errors = [
        np.linalg.norm(embed(patches) - exact) / np.linalg.norm(exact)
        for embed in (encoder.embedder(precision="bfloat16"), whole)
    ]
    assert 0 < 2 * errors[0] < errors[1] < 0.02


def test_a_network_of_two_layers_has_no_middle():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), Flatten(), nn.Linear(16, 2))
    pixels = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(MiddleInHalf(network, torch.bfloat16)(pixels), network(pixels))
