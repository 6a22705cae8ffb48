import numpy as np
import pytest

from sknic.grids import orient, orient_back, orient_cells


@pytest.mark.parametrize("k", range(8))
def test_cells_and_pixels_turn_alike(k):
    array = np.arange(15).reshape(1, 3, 5)
    cells = np.argwhere(array[0] >= 0)
    turned_cells, shape = orient_cells(cells, (3, 5), k)
    turned = orient(array, k)
    assert turned.shape[1:] == shape
    np.testing.assert_array_equal(turned[0][tuple(turned_cells.T)], array[0][tuple(cells.T)])


def test_the_eight_orientations_differ():
    array = np.arange(6).reshape(1, 2, 3)
    assert len({orient(array, k).tobytes() + bytes(orient(array, k).shape) for k in range(8)}) == 8


@pytest.mark.parametrize("k", range(8))
@pytest.mark.parametrize("axes", [(-2, -1), (0, 1), (1, 2)])
def test_orient_back_undoes_orient(k, axes):
    array = np.random.default_rng(0).random((3, 4, 5))
    np.testing.assert_array_equal(orient_back(orient(array, k, axes), k, axes), array)


@pytest.mark.parametrize("k", range(8))
def test_patches_turn_as_planes_do(k):
    patches = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3)
    planes = orient(patches.transpose(0, 3, 1, 2), k).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(orient(patches, k, axes=(1, 2)), planes)
