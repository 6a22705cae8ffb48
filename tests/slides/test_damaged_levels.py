"""A damaged place of a pyramid level is read from a finer level; level 0 has none."""

import warnings

import numpy as np
import pytest
import tifffile

from sknic import MeanRGBEncoder, SlideCompressor
from sknic.exceptions import DamagedLevelWarning, UnreadableSlideError
from sknic.grids import Grid
from sknic.slides import Lattice, PatchReader, Slide
from sknic.slides.scale import average, scale_of_finer

from .conftest import picture, write_generic


def damage(path, *levels, tiles=None):
    """Overwrite tiles of levels (all by default) with what is not a JPEG."""
    with tifffile.TiffFile(path) as file:
        pages = [file.pages[level] for level in levels]
        places = [
            place
            for page in pages
            for number, place in enumerate(zip(page.dataoffsets, page.databytecounts))
            if tiles is None or number in tiles
        ]
    with open(path, "r+b") as file:
        for offset, n_bytes in places:
            file.seek(offset)
            file.write(b"\0" * n_bytes)
    return path


@pytest.fixture
def pyramid(tmp_path):
    """Path of a slide of 1000 x 840 px at 0.25 um/px with levels 1, 2 and 4."""
    return write_generic(tmp_path / "a.tiff", picture(1000, 840))


@pytest.fixture
def whole(tmp_path):
    """The same without damage."""
    return write_generic(tmp_path / "whole.tiff", picture(1000, 840))


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(
    ("damaged", "level", "served", "times"), [([1], 1, 0, 2), ([2], 2, 1, 2), ([1, 2], 2, 0, 4), ([1], 2, 2, 1)]
)
def test_the_pixels_are_those_of_the_next_finer_level_averaged(pyramid, whole, damaged, level, served, times, factor):
    damage(pyramid, *damaged)
    x, y, width, height = 7, 3, 90, 80
    with Slide(pyramid) as slide, Slide(whole) as intact, warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedLevelWarning)
        wanted = intact.read_level(served, x * times, y * times, width * times * factor, height * times * factor)
        if factor > 1:
            wanted = intact.read_level(served, x * times * factor, y * times * factor, *(np.array(wanted.shape[1::-1])))
        found = slide.read_level(level, x, y, width, height, factor)
        np.testing.assert_array_equal(found, average(wanted, times * factor))


def test_reading_at_a_scale_falls_back_too_and_says_where(pyramid, whole):
    damage(pyramid, 1)
    with Slide(pyramid) as slide, Slide(whole) as intact:
        with pytest.warns(
            DamagedLevelWarning, match=r"a\.tiff: cannot read 100 x 90 px at \(20, 10\) of level 1: .*"
        ) as said:
            found = slide.read(20, 10, 100, 90, mpp=0.5)
        assert "; level 0 is read instead, there and wherever level 1 is damaged" in str(said[0].message)
        np.testing.assert_array_equal(found, average(intact.read(40, 20, 200, 180), 2))
        with warnings.catch_warnings():  # of each level once
            warnings.simplefilter("error")
            slide.read(200, 10, 100, 90, mpp=0.5)
        assert slide.damage.startswith("cannot read 100 x 90 px at (20, 10) of level 1: ") and intact.damage is None


def test_a_tile_elsewhere_is_read_from_the_level_itself(pyramid, whole):
    damage(pyramid, 1, tiles=[0])
    with Slide(pyramid) as slide, Slide(whole) as intact, warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(slide.read_level(1, 128, 128, 64, 64), intact.read_level(1, 128, 128, 64, 64))


@pytest.mark.parametrize("backend", ["auto", "openslide"])
def test_patches_are_those_of_the_level_where_it_is_whole_and_of_the_finer_one_elsewhere(pyramid, whole, backend):
    damage(pyramid, 1, tiles=[1])  # x from 128 to 256 and y to 128, in px of the level
    with Slide(pyramid) as slide, Slide(whole) as intact, warnings.catch_warnings():
        warnings.simplefilter("ignore", DamagedLevelWarning)
        lattice = Lattice.of(slide, mpp=0.5, patch_size=64)
        cells = np.argwhere(np.ones(lattice.shape, bool))
        reader = PatchReader(slide, lattice, backend)
        assert reader.backend == ("tiles" if backend == "auto" else backend)
        found, wanted = reader.read(cells), PatchReader(intact, lattice).read(cells)
        inside = (cells[:, 0] < 2) & (cells[:, 1] >= 2) & (cells[:, 1] < 4)
        np.testing.assert_array_equal(found[~inside], wanted[~inside])
        for (row, column), patch in zip(cells[inside], found[inside]):
            np.testing.assert_array_equal(patch, average(intact.read(column * 128, row * 128, 128, 128), 2))


def test_a_thumbnail_of_a_damaged_level(pyramid, whole):
    damage(pyramid, 2)
    with Slide(pyramid) as slide, Slide(whole) as intact:
        with pytest.warns(DamagedLevelWarning, match="level 1 is read instead"):
            image, mpp = slide.thumbnail(250)
        assert (image.shape, mpp) == ((210, 250, 3), 1.0)
        np.testing.assert_array_equal(image, average(intact.read_level(1, 0, 0, 500, 420), 2))


def test_a_ratio_that_is_not_whole_is_resampled(tmp_path):
    scale, corner = scale_of_finer((1.0, 1.5), 1, (10, 20), 1)
    assert (scale.level, scale.factor, scale.zoom) == (0, 1, 1.5) and corner.tolist() == [15, 30]
    scale, corner = scale_of_finer((1.0, 1.5), 1, (10, 20), 2)  # three px of level 0 to one
    assert (scale.level, scale.factor, scale.zoom) == (0, 3, 1.0) and corner.tolist() == [10, 20]
    scale, corner = scale_of_finer((1.0, 4.001), 1, (10_000, 0), 1)  # the place of far corners is exact
    assert (scale.factor, corner.tolist()) == (4, [10_003, 0])


def test_level_0_stays_an_error_and_so_does_what_no_level_has(pyramid):
    damage(pyramid, 0)
    with Slide(pyramid) as slide, pytest.raises(UnreadableSlideError, match="of level 0"):
        slide.read_level(0, 0, 0, 64, 64)
    damage(pyramid, 1)
    with Slide(pyramid) as slide, pytest.raises(UnreadableSlideError, match=r"64 x 64 px at \(0, 0\) of level 1"):
        slide.read_level(1, 0, 0, 64, 64)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_grid_remembers_it_in_its_file_and_whoever_asked_is_told(pyramid, tmp_path, n_jobs):
    other = write_generic(tmp_path / "b.tiff", picture(1000, 840, seed=1))
    damage(pyramid, 1)
    compressor = SlideCompressor(
        MeanRGBEncoder(patch_size=64, mpp=0.5).fit(), tissue=None, cache_dir=tmp_path / "grids", n_jobs=n_jobs
    )
    for _ in range(2):  # made, then found
        with pytest.warns(DamagedLevelWarning, match=r"1 of 2 slides with a damaged pyramid level:\n.*a\.tiff: cannot"):
            first, second = compressor.transform([pyramid, other])
        assert "of level 1" in Grid.read(first.path).header.damage and second.header.damage is None
    assert "level 0 is read instead" in first._repr_html_()
