"""The lattice has floor(size / stride) cells, and its blocks hold every cell once."""

import numpy as np
import pytest

from sknic.slides import Lattice, Slide


@pytest.mark.parametrize(
    "size, patch_size, stride, shape",
    [
        ((1000, 860), 128, 128, (6, 7)),
        ((1000, 860), 128, 64, (13, 15)),
        ((127, 500), 128, 128, (3, 0)),
        ((256, 256), 256, 64, (4, 4)),
    ],
)
def test_its_shape_is_the_size_over_the_stride(size, patch_size, stride, shape):
    assert Lattice(size, 0.5, patch_size, stride).shape == shape


def test_it_is_built_from_a_slide(generic):
    with Slide(generic) as slide:
        lattice = Lattice.of(slide, mpp=0.5, patch_size=64)
    assert (lattice.slide_size, lattice.mpp, lattice.patch_size, lattice.stride) == ((500, 430), 0.5, 64, 64)


def test_it_is_hashable_and_frozen():
    lattice = Lattice((10, 10), 0.5, 2, 2)
    assert lattice == Lattice((10, 10), 0.5, 2, 2) and hash(lattice) == hash(Lattice((10, 10), 0.5, 2, 2))
    with pytest.raises(AttributeError):
        lattice.stride = 3


@pytest.mark.parametrize("patch_size, stride", [(0, 1), (1, 0), (2.5, 1), (1, -1)])
def test_impossible_sizes_are_refused(patch_size, stride):
    with pytest.raises(ValueError, match="whole number of pixels"):
        Lattice((10, 10), 0.5, patch_size, stride)


@pytest.mark.parametrize("share", [1.0, 0.3, 0.01])
@pytest.mark.parametrize("max_cells", [1, 2, 100, 256, 10_000])
def test_bands_hold_every_cell_once(share, max_cells):
    lattice = Lattice((5000, 7000), 0.5, 100, 100)
    cells = np.argwhere(np.random.default_rng(0).random(lattice.shape) < share)
    bands = list(lattice.bands(cells, max_cells))
    assert all(0 < len(band) <= max_cells and band.dtype == np.int32 for band in bands)
    assert sorted(map(tuple, np.concatenate(bands).tolist())) == sorted(map(tuple, cells.tolist()))


def test_bands_are_squares_where_tissue_is_everywhere():
    lattice = Lattice((6400, 6400), 0.5, 100, 100)
    for band in lattice.bands(np.argwhere(np.ones((64, 64), bool)), 256):
        assert (np.ptp(band, axis=0) == 15).all()


def test_few_cells_share_a_band():
    lattice = Lattice((6400, 6400), 0.5, 100, 100)
    assert len(list(lattice.bands([(0, 0), (30, 30), (63, 63)], 256))) == 1


def test_no_cells_have_no_bands():
    assert list(Lattice((10, 10), 0.5, 1, 1).bands(np.empty((0, 2), int), 256)) == []


def test_a_band_needs_room_for_a_cell():
    with pytest.raises(ValueError, match="max_cells=0"):
        list(Lattice((10, 10), 0.5, 1, 1).bands([(0, 0)], 0))
