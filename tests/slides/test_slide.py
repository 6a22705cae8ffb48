"""Slides say their um/px and give the pixels of any rectangle at any um/px."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image

from sknic.exceptions import InvalidMppError, UnreadableSlideError
from sknic.slides import Slide
from sknic.slides.scale import Scale, average, choose_scale

from .conftest import picture, write_generic


def test_it_says_what_it_is(generic):
    with Slide(generic) as slide:
        assert slide.path == generic
        assert (slide.mpp, slide.mpp_source, slide.objective_power) == (0.25, "metadata", None)
        assert slide.dimensions == (1000, 860) and slide.level_mpps == (0.25, 0.5, 1.0)
        assert slide.size(0.5) == (500, 430) and slide.size(0.3) == (833, 716)
        assert "generic.tiff" in repr(slide)


@pytest.mark.parametrize("as_type", [str, Path, np.str_])
def test_any_kind_of_path_will_do(generic, as_type):
    with Slide(as_type(generic)) as slide:
        assert type(slide.path) is str


def test_level_0_comes_as_it_is(single_level, pixels):
    with Slide(single_level) as slide:
        np.testing.assert_array_equal(slide.read(10, 20, 300, 200), pixels[20:220, 10:310])


def test_a_level_of_the_um_per_px_asked_for_comes_as_it_is(generic):
    expected = np.asarray(openslide.OpenSlide(generic).read_region((40, 60), 1, (100, 80)))[..., :3]
    with Slide(generic) as slide:
        np.testing.assert_array_equal(slide.read(20, 30, 100, 80, mpp=0.5), expected)
        np.testing.assert_array_equal(slide.read(20, 30, 100, 80, mpp=0.505), slide.read(20.2, 30.3, 100, 80, mpp=0.5))


@pytest.mark.parametrize("factor", [2, 3, 4, 20])
def test_whole_factors_are_means_rounded_half_up(single_level, pixels, factor):
    block = pixels[: 2 * factor, : 3 * factor].reshape(2, factor, 3, factor, 3).astype(int).sum(axis=(1, 3))
    expected = (2 * block + factor**2) // (2 * factor**2)
    with Slide(single_level) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 3, 2, mpp=0.25 * factor), expected)


@pytest.mark.parametrize("factor", [2, 3, 16, 17])
def test_averaging_does_not_overflow(factor):
    assert (average(np.full((2 * factor, 2 * factor, 3), 255, np.uint8), factor) == 255).all()


@pytest.mark.parametrize("mpp", [0.37, 0.6])
def test_other_scales_are_area_averages(single_level, pixels, mpp):
    zoom = mpp / 0.25
    box = (10 * zoom, 20 * zoom, 110 * zoom, 100 * zoom)
    expected = np.asarray(Image.fromarray(pixels).resize((100, 80), Image.Resampling.BOX, box))
    with Slide(single_level) as slide:
        np.testing.assert_array_equal(slide.read(10, 20, 100, 80, mpp=mpp), expected)


def test_finer_than_level_0_is_interpolated(single_level, pixels):
    box = (10, 20, 60, 60)
    expected = np.asarray(Image.fromarray(pixels).resize((100, 80), Image.Resampling.BILINEAR, box))
    with Slide(single_level) as slide:
        assert np.abs(slide.read(20, 40, 100, 80, mpp=0.125).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("mpp", [0.125, 0.25, 0.4, 0.5, 1.0])
def test_it_is_white_outside_the_slide(generic, mpp):
    with Slide(generic) as slide:
        width, height = slide.size(mpp)
        assert (slide.read(width + 2, 0, 20, 10, mpp) == 255).all()
        assert (slide.read(-40, -40, 30, 20, mpp) == 255).all()
        edge = slide.read(width - 10, height - 10, 20, 20, mpp)
        assert (edge[:9, :9] < 255).any() and (edge[12:] == 255).all() and (edge[:, 12:] == 255).all()


@pytest.mark.parametrize("mpp, rounding", [(0.25, 0), (0.5, 0), (0.6, 1)])
def test_large_reads_are_blocks_that_fit_together(single_level, monkeypatch, mpp, rounding):
    with Slide(single_level) as slide:
        whole = slide.read(-3, 5, 300, 280, mpp)
        monkeypatch.setattr("sknic.slides.levels.BLOCK", 100)
        np.testing.assert_allclose(slide.read(-3, 5, 300, 280, mpp), whole, rtol=0, atol=rounding)


def test_bounds_are_honoured(single_level, pixels, monkeypatch):
    bounds = {"x": "100", "y": "50", "width": "400", "height": "10000"}
    properties = {f"openslide.bounds-{name}": value for name, value in bounds.items()}
    original = openslide.OpenSlide.properties.fget
    monkeypatch.setattr(openslide.OpenSlide, "properties", property(lambda self: {**original(self), **properties}))
    with Slide(single_level) as slide:
        assert slide.origin == (100, 50) and slide.dimensions == (400, 811)
        np.testing.assert_array_equal(slide.read(0, 0, 40, 30), pixels[50:80, 100:140])
        assert slide.thumbnail(200)[0].shape == (162, 80, 3)


@pytest.mark.parametrize(
    "max_size, shape, mpp", [(2000, (861, 1003), 0.25), (502, (430, 501), 0.5), (100, (78, 91), 2.75)]
)
def test_a_thumbnail_of_one_level_fits(single_level, max_size, shape, mpp):
    with Slide(single_level) as slide:
        image, thumbnail_mpp = slide.thumbnail(max_size)
    assert image.shape == (*shape, 3) and thumbnail_mpp == pytest.approx(mpp)


def test_a_thumbnail_comes_from_a_low_level(generic, monkeypatch):
    levels = []
    original = Slide.read_level
    monkeypatch.setattr(
        Slide, "read_level", lambda self, level, *rest: levels.append(level) or original(self, level, *rest)
    )
    with Slide(generic) as slide:
        assert slide.thumbnail(300)[0].shape[:2] == (215, 250)
    assert set(levels) == {2}


def test_a_huge_level_is_read_through_its_tiles(tmp_path, monkeypatch):
    path = write_generic(tmp_path / "a.tiff", picture(800, 600), levels=(1,))
    with Slide(path) as slide:
        expected = slide.thumbnail(100)
        monkeypatch.setattr("sknic.slides.thumbnail._LARGEST_SOURCE", 1000)
        monkeypatch.setattr("sknic.slides.thumbnail._BLOCK", 150)
        ours = slide.thumbnail(100)
    np.testing.assert_array_equal(ours[0], expected[0])
    assert ours[1] == expected[1]


def test_a_pickled_slide_opens_again(generic):
    with Slide(generic, mpp=0.3) as slide:
        copy = pickle.loads(pickle.dumps(slide))
        assert copy.mpp == 0.3
        np.testing.assert_array_equal(copy.read(0, 0, 50, 50), slide.read(0, 0, 50, 50))


def test_threads_read_the_same_pixels(generic):
    corners = [(x, y) for x in range(0, 900, 150) for y in range(0, 800, 150)]
    with Slide(generic) as slide:
        expected = [slide.read(x, y, 100, 100) for x, y in corners]
        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda corner: slide.read(*corner, 100, 100), corners))
    np.testing.assert_array_equal(results, expected)


def test_a_closed_slide_says_so(generic):
    slide = Slide(generic)
    slide.close()
    with pytest.raises(UnreadableSlideError, match="closed"):
        slide.read(0, 0, 10, 10)


@pytest.mark.parametrize("mpp", [0, -1, float("nan"), float("inf")])
def test_a_meaningless_um_per_px_is_refused(generic, mpp):
    with Slide(generic) as slide, pytest.raises(InvalidMppError, match="positive"):
        slide.read(0, 0, 10, 10, mpp=mpp)


@pytest.mark.parametrize(
    "mpp, scale",
    [
        (0.25, Scale(0)),
        (0.5, Scale(0, 2)),
        (0.509, Scale(0, 2)),
        (1.0, Scale(1)),
        (1.98, Scale(1, 2)),
        (0.6, Scale(0, zoom=2.4)),
        (1.3, Scale(1, zoom=1.3)),
        (0.2, Scale(0, zoom=0.8)),
    ],
)
def test_the_cheapest_level_is_chosen(mpp, scale):
    chosen = choose_scale((0.25, 1.0, 4.0), mpp)
    assert (chosen.level, chosen.factor) == (scale.level, scale.factor)
    assert chosen.zoom == pytest.approx(scale.zoom)


def test_the_real_slides_open(test_data):
    with Slide(test_data / "slides" / "CMU-1-Small-Region.svs") as slide:
        assert slide.mpp == 0.499 and slide.objective_power == 20 and slide.dimensions == (2220, 2967)
        assert slide.read(0, 0, 64, 64, mpp=0.5).shape == (64, 64, 3)
