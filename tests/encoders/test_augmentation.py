"""Augmentation changes what it says, per patch, by the seed, and colors as scikit-image defines them."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.color import hed2rgb, hsv2rgb, rgb2hed, rgb2hsv

from sknic.encoders.augmentation import (
    PRESETS,
    Augmentation,
    _Draw,
    base_grid,
    blur,
    elastic,
    flip,
    flip_grid,
    from_hsv,
    hue_saturation,
    optical_density,
    resolve_augmentation,
    stain,
    to_hsv,
)


@pytest.fixture
def x():
    return torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def channels_last(x):
    return x.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_keeps_shape_range_and_its_input(x, preset):
    before = x.clone()
    out = PRESETS[preset](x, seeded())
    assert out.shape == x.shape and out.dtype == torch.float32
    assert out.min() >= 0 and out.max() <= 1
    assert torch.equal(x, before)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_seed_decides_and_every_patch_differs(preset):
    x = torch.rand(1, 3, 16, 16, generator=seeded()).repeat(8, 1, 1, 1)
    out = PRESETS[preset](x, seeded())
    assert torch.equal(out, PRESETS[preset](x, seeded()))
    assert not torch.equal(out, PRESETS[preset](x, seeded(1)))
    assert len({tuple(patch.flatten().tolist()) for patch in out}) == 8


def test_without_a_generator_torchs_own_seed_decides(x):
    with torch.random.fork_rng():
        outs = [PRESETS["heavy"](x) for seed in (0, 0) if torch.manual_seed(seed)]
    assert torch.equal(*outs)


def test_nothing_asked_nothing_changed(x):
    assert torch.equal(Augmentation(flip=False)(x), x)


def test_flips_are_the_eight_orientations(x):
    patch = x[:1].repeat(8, 1, 1, 1)
    out = flip(patch, torch.arange(8))
    for k in range(8):
        image = patch[k].numpy()
        wanted = np.rot90(image[..., ::-1] if k >= 4 else image, k % 4, axes=(1, 2))
        np.testing.assert_array_equal(out[k].numpy(), wanted)


def test_flipped_grids_sample_the_eight_orientations_exactly(x):
    patch = x[:1].repeat(8, 1, 1, 1)
    grid = flip_grid(base_grid(patch), torch.arange(8))
    out = torch.nn.functional.grid_sample(patch, grid, align_corners=False)
    wanted = flip(patch, torch.arange(8))
    found = [any(torch.allclose(a, b, atol=1e-5) for b in wanted) for a in out]
    assert all(found)
    distances = torch.cdist(out.flatten(1), out.flatten(1)) + torch.eye(8) * 100
    assert distances.min() > 1


def test_scaling_magnifies_about_the_center():
    x = torch.zeros(1, 3, 64, 64)
    x[:, :, 24:40, 24:40] = 1
    out = Augmentation(flip=False, scale=(1.25, 1.25))(x)
    np.testing.assert_allclose(out[0, 0].sum().sqrt(), 16 * 1.25, rtol=0.02)
    np.testing.assert_allclose(out[0, 0].numpy(), out[0, 0].flip(0, 1).numpy(), atol=1e-5)


def test_elastic_displacements_are_blurred_uniform_noise(x):
    x = torch.zeros(200, 3, 64, 64)
    alpha, sigma = torch.full((200,), 100.0), torch.full((200,), 10.0)
    pixels = elastic(x, alpha, sigma, _Draw(x, seeded())) * 32
    middle = pixels[:, 30:34, 30:34]
    # Uniform noise has the deviation 1 / sqrt(3); a Gaussian of sigma s divides it by 2 s sqrt(pi).
    np.testing.assert_allclose(middle.std(), 100 / np.sqrt(3) / (2 * 10 * np.sqrt(np.pi)), rtol=0.1)


def test_blur_is_a_gaussian():
    x = torch.rand(2, 3, 33, 33, generator=seeded())
    out = blur(x, torch.tensor([1.0, 2.0]))
    for patch, blurred, sigma in zip(x.numpy(), out.numpy(), (1.0, 2.0)):
        wanted = gaussian_filter(patch, (0, sigma, sigma), truncate=10)
        np.testing.assert_allclose(blurred[:, 10:-10, 10:-10], wanted[:, 10:-10, 10:-10], atol=2e-4)


def test_the_papers_blur_of_a_tenth_of_a_pixel_is_none(x):
    torch.testing.assert_close(blur(x, torch.full((16,), 0.2)), x, atol=2e-5, rtol=0)


def test_stains_are_six_times_those_of_scikit_image(x):
    hed = rgb2hed(channels_last(x))
    density = channels_last(optical_density(x))
    from skimage.color import hed_from_rgb

    np.testing.assert_allclose(np.maximum(density @ hed_from_rgb / 6, 0), hed, atol=1e-5)


def test_changed_stains_are_mixed_as_scikit_image_mixes_them():
    hed = np.random.default_rng(0).uniform(0.02, 0.1, (4, 8, 8, 3))
    rgb = hed2rgb(hed)
    factor = np.random.default_rng(1).uniform(0.8, 1.2, (4, 3))
    shift = np.random.default_rng(2).uniform(-0.05, 0.05, (4, 3))
    wanted = hed2rgb(hed * factor[:, None, None] + shift[:, None, None] / 6)
    x, factor, shift = (torch.from_numpy(a.astype(np.float32)) for a in (rgb.transpose(0, 3, 1, 2), factor, shift))
    np.testing.assert_allclose(channels_last(stain(x, factor, shift)), wanted, atol=1e-4)


def test_stains_that_are_not_changed_leave_the_pixels(x):
    torch.testing.assert_close(stain(x, torch.ones(16, 3), torch.zeros(16, 3)), x, atol=1e-4, rtol=1e-3)


def test_hue_saturation_and_value_are_those_of_scikit_image(x):
    hue, saturation, value = to_hsv(x)
    wanted = rgb2hsv(channels_last(x))
    np.testing.assert_allclose(torch.stack([hue, saturation, value], -1).numpy(), wanted, atol=1e-5)
    np.testing.assert_allclose(channels_last(from_hsv(hue, saturation, value)), hsv2rgb(wanted), atol=1e-5)


def test_hue_turns_and_saturation_moves_as_stated(x):
    shifts = torch.linspace(-0.9, 0.9, 16)
    out = channels_last(hue_saturation(x, shifts, shifts))
    hsv = rgb2hsv(channels_last(x))
    for patch, shift, got in zip(hsv, shifts.numpy(), out):
        hue, saturation, value = np.moveaxis(patch, -1, 0)
        saturation = saturation * (1 + shift) if shift < 0 else saturation * (1 + (1 - saturation) * shift)
        np.testing.assert_allclose(got, hsv2rgb(np.stack([(hue + shift) % 1, saturation, value], -1)), atol=1e-4)


@pytest.mark.parametrize("x", [torch.zeros(2, 3, 4, 4), torch.ones(2, 3, 4, 4), torch.full((2, 3, 4, 4), 0.5)])
def test_black_white_and_gray_stay_finite(x):
    assert PRESETS["strong"](x, seeded()).isfinite().all()


def test_brightness_and_contrast_are_factors(x):
    brighter = Augmentation(flip=False, brightness=(0.5, 0.5))(x)
    torch.testing.assert_close(brighter, x / 2)
    flat = Augmentation(flip=False, contrast=(0.0, 0.0))(x)
    assert flat.std((1, 2, 3)).max() < 1e-6


def test_noise_has_the_sigma_drawn():
    x = torch.full((4, 3, 64, 64), 0.5)
    out = Augmentation(flip=False, noise=(0.05, 0.05))(x, seeded())
    np.testing.assert_allclose(out.std(), 0.05, rtol=0.02)


def test_colors_are_computed_in_float32_under_autocast(x):
    with torch.autocast("cpu", torch.bfloat16):
        out = PRESETS["heavy"](x, seeded())
    torch.testing.assert_close(out, PRESETS["heavy"](x, seeded()))


def test_a_callable_and_none_are_used_and_an_unknown_name_is_not():
    patches = torch.rand(2, 3, 5, 5)
    assert resolve_augmentation(None) is None
    assert torch.equal(resolve_augmentation(lambda x: x.flip(3))(patches), patches.flip(3))
    with pytest.raises(ValueError, match="gentle"):
        resolve_augmentation("gentle")
