"""Where a grid lies on its slide: the same level-0 px in every writer and reader."""

import h5py
import numpy as np
import pytest

from sknic import Grid, MeanRGBEncoder, SlideCompressor
from sknic.datasets import write_pyramid
from sknic.exceptions import GridFileError, MissingMppError, SlideMismatchError
from sknic.grids import GridHeader, Placement
from sknic.plotting.overlay import extent_um, overlay
from sknic.plotting.patches import cell_pixels
from sknic.slides import Slide
from sknic.viewer import open_views
from sknic.viewer.grid_frame import GridFrame

CELL = 128  # level-0 px of a cell in the files below
CORNERS = np.array([[128, 256], [256, 256], [384, 512]])  # x, y in level-0 px
CELLS = [[2, 1], [2, 2], [4, 3]]  # row, column

# What CLAM and TRIDENT write for the same corners on a slide of 0.265 um/px that calls itself 40x.
FLAVORS = {
    "clam at level 1": {"patch_size": 64, "patch_level": 1, "downsample": (2.0, 2.0), "level_dim": (1024, 1024)},
    "clam without attributes": {},
    "trident": {
        "patch_size": 64,
        "patch_size_level0": 128,
        "level0_magnification": 40,
        "target_magnification": 20,
        "overlap": 0,
        "name": "s",
        "level0_width": 1024,
        "level0_height": 1024,
    },
    "trident without magnification": {"patch_size": 64, "patch_size_level0": 128, "overlap": 0, "name": "s"},
}


@pytest.fixture(scope="module")
def slide_path(tmp_path_factory):
    """A slide at 0.265 um/px whose cell (row, column) is of a colour of its own."""
    colours = np.random.default_rng(0).integers(60, 200, (8, 8, 3), dtype=np.uint8)
    pixels = colours.repeat(CELL, axis=0).repeat(CELL, axis=1)
    return write_pyramid(tmp_path_factory.mktemp("slide") / "s.tiff", pixels, mpp=0.265)


@pytest.fixture(params=FLAVORS)
def foreign(request, tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["features"] = np.arange(9, dtype=np.float32).reshape(3, 3)
        file["coords"] = CORNERS
        file["coords"].attrs.update(FLAVORS[request.param])
    return Grid.read(tmp_path / "s.h5")


def _corners(grid):
    """Level-0 px, from what the grid holds at each embedding."""
    order = np.argsort(np.asarray(grid.embeddings)[:, 0])
    return Placement.of(grid.header).corners(grid.cells)[order]


def test_a_foreign_file_keeps_its_level0_pixels(foreign):
    np.testing.assert_array_equal(_corners(foreign), CORNERS)


def test_written_by_sknic_it_still_keeps_them(foreign, tmp_path):
    again = foreign.write(tmp_path / "own.h5")
    np.testing.assert_array_equal(_corners(again), CORNERS)
    with h5py.File(again.path) as file:
        np.testing.assert_array_equal(file["coords"][:][np.argsort(file["features"][:, 0])], CORNERS)
        assert file["coords"].attrs["patch_size_level0"] == CELL


def test_tiles_for_qupath_lie_there(foreign):
    rings = [tile["geometry"]["coordinates"][0] for tile in foreign.to_geojson({"n": np.arange(3)})["features"]]
    np.testing.assert_array_equal(sorted(ring[0] for ring in rings), sorted(CORNERS.tolist()))
    assert all(ring[2][0] - ring[0][0] == CELL for ring in rings)


def test_anndata_has_the_centers_there(foreign):
    data = foreign.to_anndata()
    assert data.uns["spatial_unit"] == "level-0 px"
    np.testing.assert_array_equal(data.obsm["spatial"][np.argsort(data.X[:, 0])], CORNERS + CELL / 2)


def test_the_overlay_colours_the_cell_there(foreign, slide_path):
    values = np.zeros(foreign.shape)
    values[tuple(foreign.cells[np.argmax(np.asarray(foreign.embeddings)[:, 0])])] = 1
    changed = np.argwhere((overlay(slide_path, values, foreign) != overlay(slide_path, values * 0, foreign)).any(2))
    x, y = CORNERS[-1]
    np.testing.assert_array_equal([changed.min(0), changed.max(0)], [[y, x], [y + CELL - 1, x + CELL - 1]])


def test_the_viewer_draws_it_there(foreign, slide_path):
    with Slide(slide_path) as slide:
        frame = GridFrame(foreign, slide, 0)
    x, y, width, height = frame.picture(np.ones((3, 3))).place
    rows, columns = foreign.shape
    assert (width / columns, height / rows) == (CELL, CELL)
    np.testing.assert_array_equal((foreign.cells[0] * CELL)[::-1] + (x, y), _corners(foreign)[0])


def test_a_grid_of_ours_lies_where_its_patches_were_read(slide_path, tmp_path):
    grid = SlideCompressor(MeanRGBEncoder(), patch_size=64, mpp=0.53, tissue=None).transform([slide_path])[0]
    with Slide(slide_path) as slide:
        for (x, y), embedding in zip(Placement.of(grid.header).corners(grid.cells), grid.embeddings):
            patch = MeanRGBEncoder().fit().transform(slide.read(int(x) // 2, int(y) // 2, 64, 64, mpp=0.53)[None])
            np.testing.assert_allclose(patch[0], embedding, atol=2e-3)
        assert extent_um(grid, slide) == pytest.approx((0, 8 * CELL * 0.265, 8 * CELL * 0.265, 0))


def test_a_slide_of_another_size_is_refused_with_both_names(slide_path, tmp_path):
    other = write_pyramid(tmp_path / "other.tiff", np.full((512, 640, 3), 200, np.uint8), mpp=0.265)
    grid = Grid(np.ones((1, 2)), [[0, 0]], (4, 5), mpp=0.265, patch_size=CELL, slide="a.tiff", slide_size=(640, 512))
    with Slide(other) as slide:
        Placement.on(grid.header, slide)
    with Slide(slide_path) as slide, pytest.raises(SlideMismatchError, match=r"a\.tiff \(640 x 512 px\).*s\.tiff"):
        Placement.on(grid.header, slide)


def test_a_slide_of_another_content_is_refused_with_both_names(slide_path, tmp_path):
    pixels = np.random.default_rng(1).integers(60, 200, (8 * CELL, 8 * CELL, 3), dtype=np.uint8)
    other = write_pyramid(tmp_path / "other.tiff", pixels, mpp=0.265)
    grid = SlideCompressor(MeanRGBEncoder(), patch_size=64, mpp=0.53, tissue=None).transform([slide_path])[0]
    with pytest.raises(SlideMismatchError, match=r"s\.tiff.*other\.tiff"):
        overlay(other, np.zeros(grid.shape), grid)


def test_tiles_of_a_grid_whose_level0_pixels_are_not_known_are_refused():
    grid = Grid(np.ones((1, 2)), [[0, 0]], (1, 1), mpp=0.5, patch_size=128)
    with pytest.raises(MissingMppError, match="slide_mpp"):
        grid.to_geojson()
    assert grid.to_anndata().uns["spatial_unit"] == "cells"


@pytest.mark.parametrize(
    ("name", "value"),
    [("mpp", 0), ("mpp", "0.5 um"), ("mpp", np.nan), ("patch_size", -1), ("stride", 0), ("slide_mpp", -0.5),
     ("origin", (1,)), ("origin", "ab"), ("slide_size", (-1, 5)), ("shape", (3,)), ("shape", (-1, 2))],
)  # fmt: skip
def test_a_header_refuses_values_that_make_no_sense(name, value):
    with pytest.raises(ValueError, match=f"{name}="):
        GridHeader(**{"shape": (1, 1), name: value})


def test_a_file_of_a_later_version_says_so(tmp_path, monkeypatch):
    from dataclasses import make_dataclass

    from sknic.grids import hdf5

    later = make_dataclass("Later", [("stain", str, "H&E")], bases=(GridHeader,), frozen=True)
    hdf5.write_grid_file(tmp_path / "later.h5", later((1, 1)), np.ones((1, 2)), np.zeros((1, 2), int))
    with pytest.raises(GridFileError, match=r"written by sknic .*; this is .*stain"):
        Grid.read(tmp_path / "later.h5")


def _trident(path, coords, **attributes):
    with h5py.File(path, "w") as file:
        file["features"] = np.arange(len(coords), dtype=np.float32)[:, None] + [0.5, 0.25]
        file["coords"] = coords
        file["coords"].attrs.update({"patch_size": 256, "overlap": 0, "name": "s", **attributes})
    return Grid.read(path)


def test_a_patch_size_rounded_to_whole_pixels_does_not_drift_over_the_slide(tmp_path):
    """40x at 0.2528 um/px: 256 px at 20x are 517.36 level-0 px, and the file says 517."""
    corners = np.rint(np.argwhere(np.ones((3, 400)))[:, ::-1] * 517.36).astype(int)
    grid = _trident(tmp_path / "s.h5", corners, patch_size_level0=517)
    assert grid.shape == (3, 400) and grid.n_cells == 1200
    found = Placement.of(grid.header).corners(grid.cells[np.lexsort(grid.cells.T[::-1])])
    assert np.abs(found - corners).max() <= 1


def test_a_file_that_has_row_before_column_is_refused(tmp_path):
    corners = np.argwhere(np.ones((4, 8))) * 512  # y before x, on a slide of 4096 x 2048 px
    with pytest.raises(GridFileError, match="row before column"):
        _trident(tmp_path / "s.h5", corners, patch_size_level0=512, level0_width=4096, level0_height=2048)


def test_bounds_of_a_foreign_grid_are_those_of_the_slide(tmp_path):
    class Bounded:
        path, digest, mpp, origin, level_dimensions = "s.mrxs", None, 0.25, (1000, 3000), [(9000, 9000)]

    grid = _trident(tmp_path / "s.h5", np.array([[1512, 3512], [2024, 3512]]), patch_size_level0=512)
    first = grid.to_geojson({"n": [1, 2]}, slide=Bounded)["features"][0]
    assert first["geometry"]["coordinates"][0][0] == [512, 512]
    assert grid.to_geojson({"n": [1, 2]})["features"][0]["geometry"]["coordinates"][0][0] == [1512, 3512]


def test_overlap_that_clam_does_not_record_is_seen_in_the_coords(tmp_path):
    corners = np.argwhere(np.ones((5, 6)))[:, ::-1] * 128 + [64, 0]
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["features"] = np.arange(1, 31, dtype=np.float32)[:, None]
        file["coords"] = corners
        file["coords"].attrs.update({"patch_size": 256, "patch_level": 0, "downsample": (1.0, 1.0)})
    grid = Grid.read(tmp_path / "s.h5")
    assert (grid.n_cells, grid.stride, grid.patch_size) == (30, 128, 256)
    np.testing.assert_array_equal(_corners(grid), corners)


@pytest.mark.parametrize(("patch", "stride"), [(128, 64), (128, 32), (64, 128), (128, 128)])
def test_a_cell_is_drawn_in_the_middle_of_its_patch(slide_path, patch, stride):
    shape = (1024 // stride, 1024 // stride)
    grid = Grid(np.ones((1, 2)), [[5, 3]], shape, mpp=0.265, patch_size=patch, stride=stride, slide_mpp=0.265)
    center = np.array([3, 5]) * stride + patch / 2
    values = np.zeros(shape)
    values[5, 3] = 1
    with Slide(slide_path) as slide:
        changed = np.argwhere((overlay(slide, values, grid) != overlay(slide, values * 0, grid)).any(2))[:, ::-1]
        (view,) = open_views([slide_path], [grid], tissue=None)
        found = view.cell(0, 5, 3)
        (ring,) = grid.to_geojson({"n": np.ones(1)}, slide=slide)["features"][0]["geometry"]["coordinates"]
        np.testing.assert_array_equal(
            cell_pixels(slide, grid, 5, 3), slide.read(3 * stride, 5 * stride, patch, patch, slide.mpp)
        )
    np.testing.assert_allclose((changed.min(0) + changed.max(0) + 1) / 2, center, atol=0.5)
    np.testing.assert_array_equal(changed.max(0) + 1 - changed.min(0), stride)
    np.testing.assert_allclose(np.array([found["x"], found["y"]]) * 1000 / 0.265, center)
    np.testing.assert_array_equal(np.mean(ring[:4], axis=0), center)
