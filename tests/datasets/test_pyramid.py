import filecmp

import numpy as np
import openslide
import pytest
import tifffile

from sknic.datasets import write_pyramid
from sknic.datasets.pyramid import read_description


def picture(width, height):
    """A smooth picture, so that JPEG changes it little."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 / width, y * 255 / height, 128 + 60 * np.sin((x + y) / 90)], -1).astype(np.uint8)


@pytest.mark.parametrize("layout, suffix, step", [("generic", "tiff", 2), ("aperio", "svs", 4)])
@pytest.mark.parametrize("size", [(2304, 1501), (300, 70)])
def test_openslide_reads_back_pixels_levels_and_mpp(tmp_path, layout, suffix, step, size):
    pixels = picture(*size)
    path = write_pyramid(tmp_path / f"slide.{suffix}", pixels, mpp=0.25, layout=layout)
    with openslide.OpenSlide(path) as slide:
        assert slide.dimensions == size
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)
        assert slide.level_dimensions == tuple(
            (size[0] // step**level, size[1] // step**level) for level in range(slide.level_count)
        )
        for level, dimensions in enumerate(slide.level_dimensions):
            read = np.asarray(slide.read_region((0, 0), level, dimensions).convert("RGB"))
            expected = pixels[step**level // 2 :: step**level, step**level // 2 :: step**level]
            expected = expected[: dimensions[1], : dimensions[0]]
            assert np.abs(read.astype(int) - expected).mean() < 3
        assert slide.level_count == ({2: 3, 4: 2}[step] if size[0] > 1024 else 1)


def test_bands_give_the_same_bytes_as_the_whole_picture(tmp_path):
    pixels = picture(700, 1100)
    whole = write_pyramid(tmp_path / "whole.tiff", pixels, mpp=0.5)
    asked = []

    def read(y, n_rows):
        asked.append(n_rows)
        return pixels[y : y + n_rows]

    bands = write_pyramid(tmp_path / "bands.tiff", read, (700, 1100), mpp=0.5)
    assert filecmp.cmp(whole, bands, shallow=False)
    assert max(asked) <= 256


@pytest.mark.parametrize("layout", ["generic", "aperio"])
def test_the_description_is_found_again(tmp_path, layout):
    path = write_pyramid(tmp_path / "slide.svs", picture(300, 300), mpp=0.5, layout=layout, description="recipe 17")
    assert read_description(path) == "recipe 17"
    assert openslide.OpenSlide(path).properties["openslide.mpp-x"] == "0.5"


@pytest.mark.parametrize("layout", ["generic", "aperio"])
def test_a_slide_can_keep_its_mpp_to_itself(tmp_path, layout):
    path = write_pyramid(tmp_path / "slide.svs", picture(300, 300), mpp=None, layout=layout)
    assert "openslide.mpp-x" not in openslide.OpenSlide(path).properties


def test_levels_can_be_chosen(tmp_path):
    path = write_pyramid(tmp_path / "slide.tiff", picture(900, 600), mpp=0.5, downsamples=(1, 4))
    assert openslide.OpenSlide(path).level_dimensions == ((900, 600), (225, 150))


@pytest.mark.parametrize("content", [b"", b"II*\0", b"no tiff at all"])
def test_a_damaged_file_has_no_description(tmp_path, content):
    path = tmp_path / "slide.tiff"
    path.write_bytes(content)
    assert read_description(path) is None
    assert read_description(tmp_path / "absent.tiff") is None


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    def read(y, n_rows):
        raise RuntimeError("no more pixels")

    with pytest.raises(RuntimeError, match="no more pixels"):
        write_pyramid(tmp_path / "slide.tiff", read, (600, 600), mpp=0.5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "change, message",
    [
        ({"layout": "zeiss"}, "layout='zeiss'"),
        ({"downsamples": (2, 4)}, "downsamples"),
        ({"downsamples": (1, 3)}, "downsamples"),
        ({"pixels": np.zeros((8, 8, 3))}, "expected uint8"),
        ({"pixels": lambda y, n_rows: None}, "size=None"),
    ],
)
def test_bad_arguments_are_named(tmp_path, change, message):
    arguments = {"pixels": picture(64, 64), "mpp": 0.5} | change
    with pytest.raises(ValueError, match=message):
        write_pyramid(tmp_path / "slide.tiff", **arguments)


def test_a_large_slide_becomes_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr("sknic.datasets.pyramid._CLASSIC_TIFF_PIXELS", 1000)
    path = write_pyramid(tmp_path / "slide.tiff", picture(300, 300), mpp=0.5)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
    assert openslide.OpenSlide(path).dimensions == (300, 300)
