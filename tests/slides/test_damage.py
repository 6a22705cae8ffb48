"""A damaged slide is a typed error or a picture, never a crash, a hang or a foreign exception."""

import os

import numpy as np
import pytest
import tifffile

from sknic.exceptions import SknicError, UnreadableSlideError
from sknic.slides import Lattice, PatchReader, Slide, tissue_mask

from .conftest import picture, write_aperio, write_generic

# Damage may leave one channel of three.
pytestmark = pytest.mark.filterwarnings("ignore::sknic.exceptions.ColorWarning")


def use(path):
    """Everything that compression does with a slide; the patches."""
    with Slide(path, mpp=0.5) as slide:
        tissue_mask(slide)
        lattice = Lattice.of(slide, mpp=0.5, patch_size=64)
        cells = np.argwhere(np.ones(lattice.shape, bool))[:200]
        return PatchReader(slide, lattice).read(cells)


def empty(path):
    path.touch()


def folder(path):
    path.mkdir()


def text(path):
    path.write_text("This is not a slide.\n" * 1000)


def nothing(path):
    pass


@pytest.mark.parametrize("make", [empty, folder, text, nothing])
def test_what_is_no_slide_is_named(tmp_path, make):
    make(tmp_path / "a.svs")
    with pytest.raises(UnreadableSlideError, match=r"a\.svs"):
        Slide(tmp_path / "a.svs")


def test_a_path_that_no_file_can_have_is_refused():
    with pytest.raises(UnreadableSlideError):
        Slide("a\0b.svs")


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.95, 0.999])
@pytest.mark.parametrize("write", [write_generic, write_aperio])
def test_truncated_slides_are_errors(tmp_path, write, share):
    path = write(tmp_path / ("a.svs" if write is write_aperio else "a.tiff"), picture(512, 512), levels=(1,))
    os.truncate(path, int(os.path.getsize(path) * share))
    with pytest.raises(UnreadableSlideError, match=r"/a\."):
        use(path)


def set_tag(path, name, value):
    """Write a number into a tag of the first directory."""
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags[name]
        offset, size = tag.valueoffset, {3: 2, 4: 4}[tag.dtype]
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(value.to_bytes(size, "little"))


def test_tags_of_a_foreign_type_are_left_to_openslide(tmp_path, monkeypatch):
    path = write_generic(tmp_path / "a.tiff", picture(300, 300), levels=(1,))
    expected = use(path)
    monkeypatch.setattr(tifffile.TiffPage, "jpegtables", (1, 2, 3))
    np.testing.assert_array_equal(use(path), expected)


@pytest.mark.parametrize("value", [0, 1, 60_000])
@pytest.mark.parametrize(
    "name", ["ImageWidth", "ImageLength", "TileWidth", "TileLength", "BitsPerSample", "SamplesPerPixel"]
)
def test_absurd_sizes_are_errors_or_pictures(tmp_path, name, value):
    path = write_generic(tmp_path / "a.tiff", picture(300, 300), levels=(1,))
    set_tag(path, name, value)
    try:
        assert use(path).dtype == np.uint8
    except UnreadableSlideError as error:
        assert "a.tiff" in str(error)


def test_a_size_that_the_file_cannot_hold_is_refused_at_once(tmp_path):
    path = tmp_path / "a.tiff"
    side = 2**20 - 256
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(iter([b""] * (side // 16384 + 1) ** 2), shape=(side, side, 3), dtype=np.uint8, tile=(16384, 16384))
    with pytest.raises(UnreadableSlideError, match="more than the file can contain"):
        Slide(path, mpp=0.5)


@pytest.mark.parametrize(
    "dimensions, downsamples", [([(0, 10)], [1.0]), ([], []), ([(10, 10), (5, 0)], [1.0, 2.0]), ([(9, 9)], [np.nan])]
)
def test_levels_without_pixels_are_errors(tmp_path, monkeypatch, dimensions, downsamples):
    path = write_generic(tmp_path / "a.tiff", picture(128, 128), levels=(1,))
    monkeypatch.setattr("openslide.OpenSlide.level_dimensions", tuple(dimensions))
    monkeypatch.setattr("openslide.OpenSlide.level_downsamples", tuple(downsamples))
    with pytest.raises(UnreadableSlideError, match=r"a\.tiff: level"):
        Slide(path)


def mutate(data, rng):
    """Flip bits, overwrite or cut; half of the time in the headers, where it hurts most."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 8)):
        reach = len(data) if rng.random() < 0.5 else min(len(data), 700)
        at = int(rng.integers(reach))
        kind = rng.integers(4)
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at] = int(rng.integers(256))
        elif kind == 2:
            data[at : at + 4] = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\1\0\0"])
        elif rng.random() < 0.2:
            del data[at:]
            return data or bytearray(1)
    return data


@pytest.mark.filterwarnings("ignore::sknic.exceptions.MppWarning")
@pytest.mark.filterwarnings("ignore::sknic.exceptions.DamagedLevelWarning")
@pytest.mark.parametrize("write", [write_generic, write_aperio])
def test_mutated_slides_are_errors_or_pictures(tmp_path, write):
    suffix = ".svs" if write is write_aperio else ".tiff"
    path = tmp_path / f"a{suffix}"
    write(path, picture(500, 400), levels=(1, 2))
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    outcomes = []
    for _ in range(150):
        path.write_bytes(mutate(data, rng))
        try:
            patches = use(path)
            outcomes.append(patches.shape[1:] == (64, 64, 3) and patches.dtype == np.uint8)
        except SknicError as error:
            outcomes.append(str(path) in str(error))
    assert all(outcomes) and len(outcomes) == 150
