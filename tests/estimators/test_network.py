"""The networks: the paper's layers and sizes, canvases of any size, and a bag that is blind to places."""

import numpy as np
import pytest
import torch

from sknic.estimators import AttentionMIL, GridCNN
from sknic.estimators.network import (
    HOTSPOT_BOUND,
    HOTSPOT_MAPS,
    HOTSPOT_WEIGHT,
    MIN_VALID_CANVAS,
    HotspotBranch,
    is_tissue,
)


def test_the_papers_network_has_eight_separable_blocks_of_128_filters_and_a_dense_layer_of_128():
    network = GridCNN(128, 3)
    strides = [block.depthwise.stride[0] for block in network.blocks]
    assert strides == [2, 2, 2, 2, 2, 2, 1, 1]
    for block in network.blocks:
        assert block.depthwise.weight.shape == (128, 1, 3, 3)
        assert block.pointwise.weight.shape == (128, 128, 1, 1)
        assert block.dropout.p == 0.2
    assert [tuple(p.shape) for p in network.head.parameters() if p.ndim == 2] == [(128, 128), (3, 128)]


def test_valid_padding_turns_a_400_canvas_into_one_position():
    network = GridCNN(4, 2, n_filters=8, padding="valid").eval()
    sizes = []
    x = torch.zeros(1, 4, 400, 400)
    for block in network.blocks:
        x = block(x)
        sizes.append(x.shape[-1])
    assert sizes == [199, 99, 49, 24, 11, 5, 3, 1]
    assert network(torch.zeros(1, 4, MIN_VALID_CANVAS, MIN_VALID_CANVAS)).shape == (1, 2)
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 4, MIN_VALID_CANVAS - 1, MIN_VALID_CANVAS - 1))


@pytest.mark.parametrize("size", [1, 2, 3, 17, 63, 64, 65, 130])
def test_same_padding_takes_a_canvas_of_any_size(size):
    assert GridCNN(4, 2, n_filters=8).eval()(torch.zeros(2, 4, size, size)).shape == (2, 2)


def test_same_padding_sees_the_edge_and_the_middle_of_the_canvas():
    network = GridCNN(4, 1, n_filters=8).double().eval()
    x = torch.randn(1, 4, 48, 48, dtype=torch.float64, requires_grad=True)
    network(x).sum().backward()
    assert (x.grad.abs().sum(1)[0] > 0).all()


def test_the_pooled_branch_begins_at_zero_and_adds_the_mean_of_the_tissue():
    torch.manual_seed(0)
    network = GridCNN(4, 2, n_filters=8, pooled_branch=True).eval()
    crops = torch.randn(3, 4, 9, 9)
    crops[:, :, 5:] = 0  # background does not count
    crops[2] = 0
    alone = network.head(network.blocks(crops).mean(dim=(2, 3)))
    torch.testing.assert_close(network(crops), alone)
    torch.nn.init.normal_(network.pooled.weight)
    mean = torch.cat([crops[:2, :, :5].mean(dim=(2, 3)), torch.zeros(1, 4)])
    torch.testing.assert_close(network(crops), alone + mean @ network.pooled.weight.T)
    assert GridCNN(4, 2).pooled is None


@pytest.mark.parametrize(("n_channels", "share"), [(400, 1 / 25), (64, 1 / 4), (16, 1), (3, 1)])
def test_the_pooled_branch_learns_from_16_channels_at_a_time_and_predicts_with_all(n_channels, share):
    torch.manual_seed(0)
    network = GridCNN(n_channels, 1, n_filters=4, dropout=0.0, pooled_branch=True)
    torch.nn.init.ones_(network.pooled.weight)
    crops = torch.ones(256, n_channels, 2, 2)
    with torch.no_grad():
        alone = network.head(network.blocks(crops).mean(dim=(2, 3)))
        kept = (network(crops) - alone) * share  # channels of 1, each counted 1 / share times
        n_kept = min(16, n_channels)
        assert float(kept.mean()) == pytest.approx(n_kept, rel=0.05)
        assert float(kept.std()) == pytest.approx((n_kept * (1 - share)) ** 0.5, rel=0.15, abs=1e-4)
        network.eval()
        alone = network.head(network.blocks(crops).mean(dim=(2, 3)))
        torch.testing.assert_close(network(crops) - alone, torch.full((256, 1), float(n_channels)))


def hot_spot(place, side, size=40):
    """A crop of four channels that is 1 in the first, in a square of cells at a place, and 0 elsewhere."""
    crop = torch.zeros(1, 4, size, size)
    row, column = place
    crop[0, 0, row : row + side, column : column + side] = 1
    return crop


def branch_that_sees_the_first_channel():
    """Its two outputs tell the highest density and the mean, see `output_of`."""
    branch = HotspotBranch(4, 2, dropout=0.0).eval()
    with torch.no_grad():
        branch.map.weight.zero_()
        branch.map.weight[:, 0] = 1
        branch.out.weight.copy_(torch.block_diag(*torch.full((2, 1, HOTSPOT_MAPS), 1 / HOTSPOT_MAPS)))
    return branch


def output_of(value):
    return HOTSPOT_WEIGHT * value / (1 + value / HOTSPOT_BOUND)


def test_the_hot_spot_branch_begins_at_zero_and_is_not_in_the_papers_network():
    torch.manual_seed(0)
    network = GridCNN(4, 2, n_filters=8, hotspot_branch=True).eval()
    crops = torch.randn(3, 4, 9, 9)
    torch.testing.assert_close(network(crops), network.head(network.blocks(crops).mean(dim=(2, 3))))
    torch.nn.init.normal_(network.hotspot.out.weight)
    added = network(crops) - network.head(network.blocks(crops).mean(dim=(2, 3)))
    torch.testing.assert_close(added, network.hotspot(crops))
    assert added.abs().min() > 1e-6
    assert GridCNN(4, 2).hotspot is None


@pytest.mark.parametrize(("side", "density"), [(5, 1), (7, 1), (3, 9 / 25), (1, 1 / 25)])
@pytest.mark.parametrize("place", [(3, 30), (20, 8)])
def test_the_hot_spot_branch_sees_the_density_of_the_densest_place_wherever_it_is(side, density, place):
    branch = branch_that_sees_the_first_channel()
    with torch.no_grad():
        assert float(branch(hot_spot(place, side))[0, 0]) == pytest.approx(output_of(density), rel=1e-4)
        two = torch.maximum(hot_spot(place, side), hot_spot((33, 33), 1))
        assert float(branch(two)[0, 0]) == pytest.approx(output_of(density), rel=1e-4)  # a weaker place does not matter


def test_the_hot_spot_branch_sees_the_mean_of_the_tissue_as_well():
    branch = branch_that_sees_the_first_channel()
    crop = hot_spot((3, 30), 6)
    crop[0, 1, :20, :10] = crop[0, 1, 3:9, 30:36] = 1  # tissue that is not hot, and the hot cells
    with torch.no_grad():
        assert float(branch(crop)[0, 1]) == pytest.approx(output_of(36 / (200 + 36)), rel=1e-4)


def test_the_hot_spot_branch_takes_crops_smaller_than_its_square_and_empty_ones():
    branch = branch_that_sees_the_first_channel()
    with torch.no_grad():
        assert branch(hot_spot((0, 0), 2, size=2))[0].tolist() == pytest.approx(
            [output_of(4 / 25), output_of(1)], rel=1e-4
        )
        assert branch(torch.zeros(1, 4, 9, 9))[0].tolist() == [0, 0]


@pytest.mark.parametrize("n_channels", [3, 32, 128])
def test_the_hot_spot_branch_learns_from_32_channels_at_a_time_and_predicts_with_all(n_channels):
    torch.manual_seed(0)
    branch = HotspotBranch(n_channels, 1, dropout=0.2)
    torch.nn.init.ones_(branch.out.weight)
    crops = torch.randn(8, n_channels, 6, 6)
    drawn = set()
    for _ in range(40):
        branch.zero_grad()
        (branch(crops) ** 2).sum().backward()
        used = branch.map.weight.grad.abs().sum(dim=(0, 2, 3)) > 0
        assert used.sum() == min(32, n_channels)
        drawn |= set(used.nonzero()[:, 0].tolist())
    assert len(drawn) == n_channels
    branch.eval()
    branch.zero_grad()
    (branch(crops) ** 2).sum().backward()
    assert (branch.map.weight.grad.abs().sum(dim=(0, 2, 3)) > 0).all()


def test_predictions_of_the_hot_spot_branch_are_normalized_by_what_all_channels_show():
    torch.manual_seed(0)
    branch, crops = HotspotBranch(256, 1, dropout=0.0), torch.randn(16, 256, 12, 12) + 0.3
    for _ in range(5):
        branch(crops)
    seen = []
    branch.norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.no_grad():
        branch.eval()(crops)
    (normalized,) = seen
    torch.testing.assert_close(normalized.mean(dim=0), torch.zeros(2 * HOTSPOT_MAPS), atol=0.01, rtol=0)
    torch.testing.assert_close(normalized.std(dim=0), torch.ones(2 * HOTSPOT_MAPS), atol=0.05, rtol=0)


def test_what_the_hot_spot_branch_adds_is_bounded():
    branch = branch_that_sees_the_first_channel()
    with torch.no_grad():
        far = [float(branch(hot_spot((3, 3), 9) * value)[0, 0]) for value in (10, 1000, 1e5)]
    assert far == sorted(far) and len(set(far)) == 3  # in order all the same
    assert far[-1] < HOTSPOT_WEIGHT * HOTSPOT_BOUND


def test_a_cell_is_background_only_where_every_channel_is_zero():
    crops = torch.zeros(1, 3, 2, 3)
    crops[0, 1, 0] = torch.tensor([1e-30, -1e-30, torch.nan])
    crops[0, 2, 1, 0] = -0.0
    assert is_tissue(crops).tolist() == [[[True, True, True], [False, False, False]]]


def test_attention_is_blind_to_the_places_of_cells_and_to_background():
    network = AttentionMIL(4, 2).eval()
    crops = torch.randn(3, 4, 5, 5)
    wider = torch.zeros(3, 4, 8, 8)
    wider[..., 2:7, 1:6] = crops.flatten(2)[..., torch.randperm(25)].view(3, 4, 5, 5)
    torch.testing.assert_close(network(crops), network(wider))


def test_attention_to_an_empty_crop_is_finite_and_trains():
    network = AttentionMIL(4, 2)
    crops = torch.randn(2, 4, 3, 3)
    crops[1] = 0
    network(crops).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
    assert torch.isfinite(network(torch.zeros(2, 4, 3, 3))).all()


def crops(size, tissue=8, n=40):
    x = torch.zeros(n, 3, size, size)
    x[:, :, :tissue, :tissue] = torch.from_numpy(np.random.RandomState(0).normal(size=(n, 3, tissue, tissue)))
    return x


@pytest.mark.parametrize("mask_background", [True, False])
def test_a_masked_background_is_not_there(mask_background):
    network = GridCNN(3, 1, pooled_branch=True, mask_background=mask_background)
    small, large = crops(64), crops(128)

    def outputs(x):
        torch.manual_seed(0)  # the same features are dropped
        return network(x).detach()

    assert torch.allclose(outputs(small), outputs(large), atol=1e-5) == mask_background


def test_without_background_there_is_nothing_to_mask():
    torch.manual_seed(0)
    plain, masked = GridCNN(3, 2), GridCNN(3, 2, mask_background=True)
    masked.load_state_dict(plain.state_dict())
    x = torch.randn(6, 3, 40, 40)
    for network in (plain, masked):
        network.train()
        torch.manual_seed(1)
        network(x)
    for name, value in plain.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(masked.state_dict()[name], value, msg=name)
    torch.testing.assert_close(masked.eval()(x), plain.eval()(x))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_crop_without_tissue_has_outputs_too(padding):
    size = 40 if padding == "same" else MIN_VALID_CANVAS + 5
    network = GridCNN(2, 1, n_filters=4, padding=padding, pooled_branch=True, mask_background=True).eval()
    x = torch.zeros(2, 2, size, size)
    x[1, :, 20:30, 11:25] = 1.0
    assert torch.isfinite(network(x)).all()
