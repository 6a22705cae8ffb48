import pickle

import anndata
import numpy as np
import pytest

from sknic import Grid
from sknic.exceptions import GridFileError
from sknic.grids import orient, orient_cells


def test_dense_holds_each_embedding_at_its_cell_and_zero_elsewhere(grid):
    dense = grid.to_dense()
    assert dense.shape == (4, 5, 7)
    assert dense.dtype == np.float16
    for (row, column), embedding in zip(grid.cells, grid.embeddings):
        np.testing.assert_array_equal(dense[:, row, column], embedding)
    assert (dense != 0).any(axis=0).sum() == grid.n_cells


def test_dense_and_back_is_the_same_grid(grid):
    again = Grid.from_dense(grid.to_dense())
    np.testing.assert_array_equal(again.to_dense(), grid.to_dense())


def test_a_crop_is_a_window_of_the_dense_grid_padded_with_zeros(grid):
    padded = np.pad(grid.to_dense(np.float32), ((0, 0), (3, 3), (3, 3)))
    for row, column in [(-3, -3), (0, 0), (2, 4), (4, -1)]:
        window = padded[:, row + 3 : row + 7, column + 3 : column + 6]
        np.testing.assert_array_equal(grid.crop(row, column, 4, 3), window)


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


def test_an_oriented_grid_holds_its_own_embeddings_at_turned_cells(oriented_grid):
    grids = oriented_grid.orientations
    assert len(grids) == 8
    for k, turned in enumerate(grids):
        dense = orient(oriented_grid.to_dense(np.float32) + k * (oriented_grid.to_dense() != 0), k)
        np.testing.assert_allclose(turned.to_dense(np.float32), dense, atol=2e-2)


@pytest.mark.parametrize("which", ["grid", "oriented_grid"])
def test_a_written_grid_reads_the_same(which, request, tmp_path):
    grid = request.getfixturevalue(which)
    stored = grid.write(tmp_path / "slide.h5")
    assert stored.path == str(tmp_path / "slide.h5")
    for name in (
        "shape",
        "mpp",
        "patch_size",
        "stride",
        "slide",
        "slide_mpp",
        "origin",
        "fingerprint",
        "n_cells",
    ):
        assert getattr(stored, name) == getattr(grid, name), name
    for a, b in zip(grid.orientations, stored.orientations, strict=True):
        np.testing.assert_array_equal(a.to_dense(), b.to_dense())


def test_a_stored_grid_pickles_as_its_path(grid, tmp_path):
    stored = grid.write(tmp_path / "slide.h5")
    pickled = pickle.dumps(stored)
    assert len(pickled) < 300
    np.testing.assert_array_equal(pickle.loads(pickled).to_dense(), grid.to_dense())


def test_a_grid_in_memory_pickles_whole(grid):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(grid)).to_dense(), grid.to_dense())


def test_an_empty_grid_is_written_and_read(tmp_path):
    stored = Grid(np.empty((0, 4)), np.empty((0, 2)), (3, 3)).write(tmp_path / "empty.h5")
    assert stored.to_dense().shape == (4, 3, 3)
    assert not stored.to_dense().any()


def test_a_list_of_grids_is_an_object_array(grid):
    array = np.empty(2, object)
    array[:] = [grid, grid]
    assert array.shape == (2,)
    assert array[0] is grid


@pytest.mark.parametrize(
    ("embeddings", "cells", "message"),
    [
        (np.zeros((2, 3)), [[0, 0]], "expected"),
        (np.zeros((1, 3)), [[5, 0]], "inside"),
        (np.zeros(3), [[0, 0]], "expected"),
        (np.ones((2, 3)), [[0, 0], [0, 0.9]], r"cells contain 0\.9: expected whole rows and columns"),
        (np.ones((3, 3)), [[1, 0], [0, 0], [1, 0]], r"cell \(1, 0\) has 2 embeddings: expected one"),
    ],
)
def test_embeddings_and_cells_that_do_not_fit_are_refused(embeddings, cells, message):
    with pytest.raises(ValueError, match=message):
        Grid(embeddings, cells, (2, 2))


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(GridFileError, match=r"nowhere\.h5"):
        Grid.read(tmp_path / "nowhere.h5")


def test_geojson_counts_level0_pixels_from_the_bounds_as_qupath_does(grid, tmp_path):
    values = np.arange(grid.n_cells)
    collection = grid.to_geojson({"risk": values}, tmp_path / "cells.geojson")
    first = collection["features"][1]
    row, column = grid.cells[1]
    # 128 px at 0.5 um/px are 256 px of the slide's 0.25 um/px.
    assert first["geometry"]["coordinates"][0][0] == [256 * column, 256 * row]
    assert first["geometry"]["coordinates"][0][2] == [256 + 256 * column, 256 + 256 * row]
    assert first["properties"]["measurements"] == {"risk": 1.0}
    assert (tmp_path / "cells.geojson").stat().st_size > 100


def test_geojson_of_a_grid_from_features_of_ones_own_lies_at_its_origin():
    grid = Grid(np.ones((1, 4)), [[0, 1]], (2, 2), mpp=0.5, patch_size=128, slide_mpp=0.25, origin=(1000, 2000))
    (cell,) = grid.to_geojson({"v": [1]})["features"]
    assert cell["geometry"]["coordinates"][0][0] == [1256, 2000]


def test_geojson_annotates_the_cells_that_are_asked_for_in_that_order(grid):
    values = {"saliency": np.arange(grid.n_cells)}
    features = grid.to_geojson(values, annotate={"most salient": [4, 1]})["features"]
    assert [feature["properties"]["measurements"]["saliency"] for feature in features] == [4, 1]
    assert features[0]["geometry"] == grid.to_geojson(values)["features"][4]["geometry"]
    assert features[0]["properties"]["objectType"] == "annotation"
    assert features[0]["properties"]["classification"] == {"name": "most salient"}


def test_geojson_refuses_values_of_another_length(grid):
    with pytest.raises(ValueError, match="risk"):
        grid.to_geojson({"risk": np.zeros(3)})


def test_anndata_holds_embeddings_cells_and_the_centers_of_the_patches(grid, tmp_path):
    grid.to_anndata().write_h5ad(tmp_path / "cells.h5ad")
    cells = anndata.read_h5ad(tmp_path / "cells.h5ad")
    np.testing.assert_array_equal(cells.X, grid.embeddings)
    np.testing.assert_array_equal(cells.obs[["row", "column"]], grid.cells)
    # 128 px at 0.5 um/px are 256 px of the slide's 0.25 um/px; x before y; the bounds' corner is counted in.
    np.testing.assert_array_equal(cells.obsm["spatial"], 256 * grid.cells[:, ::-1] + 128 + np.array([100, 200]))
