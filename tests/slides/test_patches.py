"""Patches are OpenSlide's pixels, whichever way they are read."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openslide
import pytest
import tifffile

from sknic.exceptions import UnreadableSlideError
from sknic.slides import Lattice, PatchReader, Slide, tiff_tiles

from .conftest import picture, write_aperio, write_generic


def all_cells(lattice):
    return np.argwhere(np.ones(lattice.shape, bool)).astype(np.int32)


def read_both(path, mpp, patch_size=64, stride=None, slide_mpp=None):
    """All patches of a slide through tiles and through OpenSlide."""
    with Slide(path, mpp=slide_mpp) as slide:
        lattice = Lattice.of(slide, mpp=mpp, patch_size=patch_size, stride=stride)
        tiles, reference = PatchReader(slide, lattice), PatchReader(slide, lattice, backend="openslide")
        assert (tiles.backend, reference.backend) == ("tiles", "openslide")
        return tiles.read(all_cells(lattice)), reference.read(all_cells(lattice))


@pytest.mark.parametrize("mpp", [0.2, 0.25, 0.252, 0.3])
def test_tiles_and_openslide_give_the_same_pixels(any_slide, mpp):
    np.testing.assert_array_equal(*read_both(any_slide, mpp))


@pytest.mark.parametrize("mpp", [0.5, 0.75])
@pytest.mark.parametrize("colour", ["rgb", "ycbcr"])
def test_tiles_are_averaged_where_an_svs_lacks_the_level(tmp_path, pixels, colour, mpp):
    np.testing.assert_array_equal(*read_both(write_aperio(tmp_path / "a.svs", pixels, colour=colour), mpp))


@pytest.mark.parametrize("mpp", [0.25, 0.5, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("patch_size, stride", [(64, 64), (100, 30)])
def test_every_level_gives_the_same_pixels(generic, mpp, patch_size, stride):
    ours, theirs = read_both(generic, mpp, patch_size, stride)
    np.testing.assert_array_equal(ours, theirs)


def test_they_are_what_anyone_reads_with_openslide(generic):
    ours, _ = read_both(generic, 0.5)
    handle = openslide.OpenSlide(generic)
    by_hand = [handle.read_region((c * 128, r * 128), 1, (64, 64)).convert("RGB") for r in range(6) for c in range(7)]
    np.testing.assert_array_equal(ours, np.stack(by_hand))


@pytest.mark.parametrize("mpp", [0.25, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("backend", ["auto", "openslide"])
def test_they_are_what_the_slide_reads(generic, mpp, backend):
    with Slide(generic) as slide:
        lattice = Lattice.of(slide, mpp=mpp, patch_size=48, stride=32)
        cells = all_cells(lattice)[::7]
        expected = [slide.read(c * 32, r * 32, 48, 48, mpp) for r, c in cells.tolist()]
        np.testing.assert_array_equal(PatchReader(slide, lattice, backend).read(cells), expected)


def test_snapped_patches_stay_in_place(generic):
    """Slides of 0.2517 um/px are read as they are, and the last patch lies where it would at exactly 0.25."""
    with Slide(generic, mpp=0.2517) as slide:
        lattice = Lattice.of(slide, mpp=0.5, patch_size=32)
        (patch,) = PatchReader(slide, lattice).read([(0, 14)])
        x = round(14 * 32 * 0.5 / (2 * 0.2517))
        np.testing.assert_array_equal(patch, slide.read_level(1, x, 0, 32, 32))


def test_levels_of_uneven_downsample_give_their_stored_pixels(tmp_path, pixels):
    path = write_generic(tmp_path / "uneven.tiff", pixels)
    with Slide(path) as slide, tifffile.TiffFile(path) as file:
        assert slide.level_downsamples[1] != 2
        lattice = Lattice.of(slide, mpp=0.5, patch_size=64)
        reader = PatchReader(slide, lattice)
        assert reader.backend == "tiles"
        (patch,) = reader.read([(1, 1)])
        np.testing.assert_array_equal(patch, file.pages[1].asarray()[64:128, 64:128])


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_chroma_subsampling_makes_no_difference(tmp_path, pixels, subsampling):
    path = write_generic(tmp_path / "a.tiff", pixels[:300, :300], levels=(1,), subsampling=subsampling)
    np.testing.assert_array_equal(*read_both(path, 0.25))


@pytest.mark.filterwarnings("ignore::sknic.exceptions.ColorWarning")
@pytest.mark.parametrize("photometric, compression", [("rgb", None), ("rgb", "lzw"), ("minisblack", "jpeg")])
def test_everything_else_goes_through_openslide(tmp_path, pixels, photometric, compression):
    image = pixels[:300, :300, 0] if photometric == "minisblack" else pixels[:300, :300]
    path = tmp_path / "slide.tiff"
    tifffile.imwrite(path, image, tile=(128, 128), compression=compression, photometric=photometric)
    with Slide(path, mpp=0.5) as slide:
        lattice = Lattice.of(slide, mpp=0.5, patch_size=64)
        reader = PatchReader(slide, lattice)
        assert reader.backend == "openslide"
        np.testing.assert_array_equal(reader.read([(1, 1)])[0], slide.read(64, 64, 64, 64, 0.5))


def test_tiles_that_differ_from_openslide_are_not_trusted(generic, monkeypatch):
    monkeypatch.setattr(tiff_tiles.TiffTiles, "_decode", lambda self, index, pixels: pixels.fill(7) or True)
    with Slide(generic) as slide:
        assert PatchReader(slide, Lattice.of(slide, mpp=0.5, patch_size=64)).backend == "openslide"


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize("write", [write_generic, write_aperio])
def test_missing_tiles_look_as_openslide_shows_them(tmp_path, write, level):
    path = write(tmp_path / ("a.svs" if write is write_aperio else "a.tiff"), picture(960, 960), levels=(1, 4))
    forget_tile(path, level, 0)
    ours, theirs = read_both(path, 0.25 * 4**level, patch_size=60)
    np.testing.assert_array_equal(ours, theirs)


def forget_tile(path, level, index):
    """Set a tile's size to 0 in the directory."""
    with tifffile.TiffFile(path) as file:
        tag = file.pages[level].tags["TileByteCounts"]
        offset, size = tag.valueoffset, {3: 2, 4: 4}[tag.dtype]
    with open(path, "r+b") as file:
        file.seek(offset + index * size)
        file.write(bytes(size))


def test_patches_that_pass_the_edge_are_white_there(generic):
    with Slide(generic) as slide:
        lattice = Lattice.of(slide, mpp=0.25, patch_size=400, stride=100)
        patches = PatchReader(slide, lattice).read([(7, 9)])
    assert (
        (patches[0, 160:] == 255).all() and (patches[0, :, 100:] == 255).all() and (patches[0, :100, :50] < 255).any()
    )


def test_cells_come_in_the_order_asked_for(generic):
    with Slide(generic) as slide:
        reader = PatchReader(slide, Lattice.of(slide, mpp=0.25, patch_size=64))
        cells = np.random.default_rng(0).permutation(all_cells(Lattice.of(slide, mpp=0.25, patch_size=64)))
        together = reader.read(cells)
        np.testing.assert_array_equal(together, [reader.read(cell)[0] for cell in cells])


def test_no_cells_give_no_patches(generic):
    with Slide(generic) as slide:
        reader = PatchReader(slide, Lattice.of(slide, mpp=0.25, patch_size=64))
        assert reader.read(np.empty((0, 2), np.int32)).shape == (0, 64, 64, 3)


def test_each_tile_is_decoded_once_a_block_and_only_where_asked(generic, monkeypatch):
    decoded = []
    original = tiff_tiles.TiffTiles._stored_tile
    with Slide(generic) as slide:
        lattice = Lattice.of(slide, mpp=0.25, patch_size=64)
        reader = PatchReader(slide, lattice)
        monkeypatch.setattr(
            tiff_tiles.TiffTiles, "_stored_tile", lambda self, r, c: decoded.append((r, c)) or original(self, r, c)
        )
        reader.read([(r, c) for r in range(4) for c in range(4)])
        assert sorted(decoded) == [(0, 0), (0, 1), (1, 0), (1, 1)]
        reader.read([(12, 0)])
        assert decoded[4:] == [(6, 0)]


@pytest.mark.parametrize("mpp", [0.25, 0.3, 0.5])
def test_threads_share_a_reader(any_slide, mpp):
    with Slide(any_slide) as slide:
        lattice = Lattice.of(slide, mpp=mpp, patch_size=32)
        reader = PatchReader(slide, lattice)
        bands = list(lattice.bands(all_cells(lattice), 16))
        expected = [reader.read(band) for band in bands]
        with ThreadPoolExecutor(4) as pool:
            for ours, theirs in zip(pool.map(PatchReader(slide, lattice).read, bands), expected):
                np.testing.assert_array_equal(ours, theirs)


def test_kept_tiles_stay_within_their_room():
    cache = tiff_tiles._TileCache(1000)
    for i in range(10):
        cache.put(i, np.zeros(300, np.uint8))
    assert cache._bytes == 900 and [i for i in range(10) if cache.get(i) is not None] == [7, 8, 9]


def test_the_file_is_closed_with_the_reader(generic):
    with Slide(generic) as slide:
        reader = PatchReader(slide, Lattice.of(slide, mpp=0.25, patch_size=64))
        descriptor = reader._source._file
        del reader
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_a_damaged_tile_is_an_error_only_where_it_is_read(tmp_path):
    path = write_generic(tmp_path / "a.tiff", picture(1024, 1024), levels=(1,))
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages[0].dataoffsets[9], file.pages[0].databytecounts[9]
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(b"\x55" * size)
    with Slide(path) as slide:
        reader = PatchReader(slide, Lattice.of(slide, mpp=0.25, patch_size=128))
        assert reader.backend == "tiles"
        expected = reader.read([(0, 0)])
        with pytest.raises(UnreadableSlideError, match="a.tiff: cannot read"):
            reader.read([(1, 1)])
        np.testing.assert_array_equal(reader.read([(0, 0)]), expected)
        np.testing.assert_array_equal(slide.read(0, 0, 128, 128), expected[0])


@pytest.mark.parametrize("write", [write_generic, write_aperio])
def test_flipped_bits_show_as_they_do_in_openslide(tmp_path, write):
    path = tmp_path / ("a.svs" if write is write_aperio else "a.tiff")
    write(path, picture(240, 240), levels=(1,), tile=240)
    with tifffile.TiffFile(path) as file:
        offset, size = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    data, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        flipped = bytearray(data)
        flipped[offset + rng.integers(size)] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        with Slide(path) as slide:
            lattice = Lattice.of(slide, mpp=0.25, patch_size=240)
            ours, theirs = (outcome(PatchReader(slide, lattice, backend)) for backend in ("auto", "openslide"))
        assert np.array_equal(ours, theirs)


def outcome(reader):
    try:
        return reader.read([(0, 0)])
    except UnreadableSlideError:
        return "error"


def test_an_unknown_backend_is_named(generic):
    with Slide(generic) as slide, pytest.raises(ValueError, match="backend='fast'"):
        PatchReader(slide, Lattice.of(slide, mpp=0.25, patch_size=64), backend="fast")


@pytest.mark.parametrize(
    "name, mpp, backend", [("CMU-1-Small-Region.svs", None, "tiles"), ("TCGA-CR-7395-01A-01-TS1.svs", 0.5, "openslide")]
)
def test_the_real_slides_give_openslides_pixels(test_data, name, mpp, backend):
    path = str(test_data / "slides" / name)
    with Slide(path, mpp=mpp) as slide:
        reader = PatchReader(slide, Lattice.of(slide, mpp=0.5, patch_size=128))
        assert reader.backend == backend
        cells = [(10, 9), (11, 9), (11, 10)]
        handle, step = openslide.OpenSlide(path), 128 * 0.5 / slide.mpp
        corners = [(round(column * step), round(row * step)) for row, column in cells]
        by_hand = [np.asarray(handle.read_region(corner, 0, (128, 128)).convert("RGB")) for corner in corners]
        np.testing.assert_array_equal(reader.read(cells), by_hand)
