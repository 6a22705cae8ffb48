import os

import h5py
import numpy as np
import pytest

from sknic import Grid
from sknic.exceptions import GridFileError, SknicWarning
from sknic.grids import hdf5, seal


def verify(path):
    with open(path, "rb") as file:
        seal.verify(file)


def test_the_file_has_what_the_loaders_of_trident_and_clam_read(grid, tmp_path):
    grid.write(tmp_path / "slide.h5")
    with h5py.File(tmp_path / "slide.h5") as file:
        assert file["features"].shape == (grid.n_cells, 4)
        assert file["coords"].shape == (grid.n_cells, 2)
        attributes = dict(file["coords"].attrs)
    assert attributes["patch_size"] == 128
    assert attributes["patch_size_level0"] == 256
    assert attributes["level0_magnification"] == 40
    assert attributes["target_magnification"] == 20
    assert attributes["overlap"] == 0
    assert attributes["name"] == "slide one"


@pytest.mark.parametrize("slide", ["a.svs", "/far" * 1000 + "/a.svs"])
def test_a_file_with_and_one_without_a_header_before_hdf5_read_alike(slide, tmp_path, monkeypatch):
    stored = Grid([[1.0, 2.0]], [[0, 1]], (1, 2), mpp=0.5, slide=slide).write(tmp_path / "new.h5")
    content = bytearray((tmp_path / "new.h5").read_bytes())
    start = content.index(b"\x89HDF\r\n\x1a\n")
    assert start & (start - 1) == 0 and content[512:start].strip(b"\0").endswith(b"}\n")
    content[512:start] = bytes(start - 512)
    (tmp_path / "old.h5").write_bytes(content)
    seal.seal(tmp_path / "old.h5", {"longer than there is room": "x" * start}, start)
    old = Grid.read(tmp_path / "old.h5")
    assert old.header == stored.header and old.slide == slide
    np.testing.assert_array_equal(old.to_dense(), stored.to_dense())
    monkeypatch.setattr(hdf5, "open_grid_file", None)  # HDF5 is not asked where the header stands before it
    hdf5._stored.clear()
    assert Grid.read(tmp_path / "new.h5").header == old.header


def test_a_file_is_read_where_the_file_system_gives_no_lock(grid, tmp_path):
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "slide.h5"
    grid.write(path)
    with open(path, "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # HDF5 would ask for a shared lock, and fail
        with hdf5.open_grid_file(path) as file:
            assert file["features"].shape == (grid.n_cells, 4)


def test_a_write_that_fails_leaves_no_file(grid, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hdf5, "_flush_to_disk", full)
    with pytest.raises(OSError, match="No space"):
        grid.write(tmp_path / "slide.h5")
    assert os.listdir(tmp_path) == []


def test_every_truncation_is_recognised(grid, tmp_path):
    path = tmp_path / "slide.h5"
    grid.write(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(GridFileError):
            verify(path)


def test_a_flipped_byte_of_content_is_recognised(grid, tmp_path):
    path = tmp_path / "slide.h5"
    grid.write(path)
    whole = path.read_bytes()
    with h5py.File(path) as file:
        offsets = [file[name].id.get_offset() for name in ("features", "cells", "coords")]
    for offset in offsets:
        damaged = bytearray(whole)
        damaged[offset + 3] ^= 0x40
        path.write_bytes(damaged)
        with pytest.raises(GridFileError, match="checksum"):
            verify(path)


def test_random_damage_never_passes_for_another_grid(grid, tmp_path):
    path = tmp_path / "slide.h5"
    grid.write(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            verify(path)
        except GridFileError:
            continue
        np.testing.assert_array_equal(Grid.read(path).to_dense(), grid.to_dense())


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_foreign_bytes_are_refused(content, tmp_path):
    path = tmp_path / "slide.h5"
    path.write_bytes(content)
    with pytest.raises(GridFileError, match=r"slide\.h5"):
        Grid.read(path)


def _foreign(path, coords, features=None, **attributes):
    features = np.arange(len(coords) * 3, dtype=np.float32).reshape(-1, 3) if features is None else features
    with h5py.File(path, "w") as file:
        file["features"] = features
        file["coords"] = coords
        file["coords"].attrs.update(attributes)


def test_a_trident_file_reads_as_a_grid(tmp_path):
    path = tmp_path / "slide.h5"
    coords = np.array([[0, 0], [512, 0], [512, 1024]])
    _foreign(
        path,
        coords,
        patch_size=256,
        patch_size_level0=512,
        level0_magnification=40,
        target_magnification=20,
        overlap=0,
        name="TCGA-1",
        level0_width=2560,
        level0_height=2048,
    )
    grid = Grid.read(path)
    assert grid.shape == (4, 5)
    assert grid.mpp == 0.5
    assert grid.slide_mpp == 0.25
    assert sorted(grid.cells.tolist()) == [[0, 0], [0, 1], [2, 1]]
    np.testing.assert_array_equal(grid.to_dense()[:, 2, 1], [6, 7, 8])


def test_overlapping_trident_patches_take_cells_of_the_stride(tmp_path):
    path = tmp_path / "slide.h5"
    coords = np.array([[0, 0], [256, 0], [512, 256]])
    _foreign(path, coords, patch_size=256, patch_size_level0=512, overlap=128)
    assert sorted(Grid.read(path).cells.tolist()) == [[0, 0], [0, 1], [1, 2]]


def test_a_clam_file_without_attributes_reads_as_a_grid(tmp_path):
    path = tmp_path / "slide.h5"
    coords = np.array([[x, y] for x in range(130, 1400, 256) for y in range(70, 900, 256)])
    _foreign(path, coords)
    grid = Grid.read(path)
    assert grid.shape == (4, 5)
    assert grid.n_cells == len(coords)
    assert grid.origin == (130, 70)
    assert grid.mpp is None
    assert Grid.read(path, mpp=0.5).mpp == 0.5


def test_patches_that_share_a_cell_warn(tmp_path):
    path = tmp_path / "slide.h5"
    _foreign(path, np.array([[0, 0], [256, 0], [300, 0]]), patch_size=256, patch_size_level0=256)
    with pytest.warns(SknicWarning, match="1 of 3 patches"):
        grid = Grid.read(path)
    np.testing.assert_array_equal(grid.to_dense()[:, 0, 1], [3, 4, 5])


@pytest.mark.parametrize("missing", ["features", "coords"])
def test_a_file_without_features_or_coords_is_refused(missing, tmp_path):
    path = tmp_path / "slide.h5"
    _foreign(path, np.array([[0, 0]]), patch_size=256)
    with h5py.File(path, "a") as file:
        del file[missing]
    with pytest.raises(GridFileError, match="features"):
        Grid.read(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_foreign_file_with_a_number_that_is_not_finite_is_refused_by_name(bad, tmp_path):
    path = tmp_path / "nan.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.array([[1, 2], [3, bad]], np.float32)
        file["coords"] = [[0, 0], [256, 0]]
    with pytest.raises(GridFileError, match=r"nan\.h5: 1 of 4 .* row 1, column 1"):
        Grid.read(path)


def test_rows_that_an_interrupted_extraction_never_wrote_are_refused(tmp_path):
    path = tmp_path / "half.h5"
    with h5py.File(path, "w") as file:
        features = file.create_dataset("features", (4, 8), "f4", chunks=(1, 8))
        features[:2] = np.random.default_rng(0).normal(size=(2, 8))
        file["coords"] = [[0, 0], [256, 0], [0, 256], [256, 256]]
    with pytest.raises(GridFileError, match=r"half\.h5: 2 of 4 features are all zero, such as row 2"):
        Grid.read(path)


def test_what_overflows_float16_is_kept_in_float32(tmp_path):
    grid = Grid([[70000.0, 1.0]], [[0, 0]], (1, 1)).write(tmp_path / "large.h5")
    assert grid.embeddings.dtype == np.float32
    np.testing.assert_array_equal(grid.embeddings, [[70000, 1]])


@pytest.mark.parametrize(
    ("dtype", "bits"), [("i2", "bfloat16"), ("u2", "bfloat16"), ("i4", "float32"), ("u4", "float32")]
)
def test_sixteen_bit_integers_may_be_bfloat16_and_are_refused(dtype, bits, tmp_path):
    with h5py.File(tmp_path / "bits.h5", "w") as file:
        file["features"] = np.ones((2, 2), dtype)
        file["coords"] = [[0, 0], [256, 0]]
    with pytest.raises(GridFileError, match=f"may be the bits of {bits}"):
        Grid.read(tmp_path / "bits.h5")


def trident(path, coords=None, encoder=None, **attributes):
    """A file of four patches, as TRIDENT writes it but for the attributes."""
    with h5py.File(path, "w") as file:
        file["features"] = np.arange(8, dtype=np.float32).reshape(4, 2)
        file["coords"] = [[0, 0], [512, 0], [0, 512], [512, 512]] if coords is None else coords
        file["coords"].attrs.update({"patch_size": 256, "patch_size_level0": 512, **attributes})
        if encoder is not None:
            file["features"].attrs["encoder"] = encoder
    return path


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"target_magnification": "twenty"}, "target_magnification=twenty: expected a positive number"),
        ({"target_magnification": -1}, "target_magnification=-1: expected a positive number"),
        ({"target_magnification": np.nan}, "target_magnification=nan"),
        ({"patch_size_level0": 0}, "patch_size_level0=0: expected a positive number"),
        ({"overlap": 256}, "overlap=256: expected less than the patch size"),
        ({"level0_width": 0, "level0_height": 9}, "level0_width=0"),
        ({"coords": [[0, 0], [np.nan, 0], [0, 512], [512, 512]]}, r"coords of row 1 are \[nan, 0.0\]"),
        ({"coords": [[0, 0], [1e15, 0], [0, 512], [512, 512]]}, "coords of row 1"),
        ({"coords": [[-9, 0], [512, 0], [0, 512], [512, 512]], "level0_width": 999, "level0_height": 999}, "reach -9"),
    ],
)
def test_places_that_make_no_sense_are_refused_with_the_file(attributes, message, tmp_path):
    with pytest.raises(GridFileError, match=f"t.h5: {message}|t.h5: coords {message}"):
        Grid.read(trident(tmp_path / "t.h5", **attributes))


def test_a_magnification_may_be_written_as_text(tmp_path):
    assert (
        Grid.read(trident(tmp_path / "t.h5", target_magnification="20x", level0_magnification="40")).slide_mpp == 0.25
    )


@pytest.mark.parametrize("encoder", ["uni_v1", np.bytes_("uni_v1"), np.array(["uni_v1"], h5py.string_dtype())])
def test_an_encoder_is_the_same_however_its_name_is_stored(encoder, tmp_path):
    assert Grid.read(trident(tmp_path / "t.h5", encoder=encoder)).fingerprint == "uni_v1"


@pytest.mark.parametrize("cut", [np.rint, np.floor])
def test_sizes_that_were_rounded_or_cut_off_put_no_patch_in_another_cell(cut, tmp_path):
    true, cells = 256 * 0.5 / 0.22, np.stack(np.meshgrid(np.arange(600), [0, 1]), axis=-1).reshape(-1, 2)
    with h5py.File(tmp_path / "wide.h5", "w") as file:
        file["features"] = np.ones((len(cells), 2), np.float32)
        file["coords"] = cut(cells * true).astype(int)
        file["coords"].attrs.update({"patch_size": 256, "patch_size_level0": int(cut(true))})
    grid = Grid.read(tmp_path / "wide.h5")
    assert grid.n_cells == 1200 and abs(grid.header.stride_level0 - true) < 0.01
    span = grid.cells.max(axis=0) - grid.cells.min(axis=0)
    assert span.tolist() == [1, 599]


def test_a_clam_file_of_one_column_takes_its_patch_size_from_the_rows(tmp_path):
    with h5py.File(tmp_path / "core.h5", "w") as file:
        file["features"] = np.arange(6, dtype=np.float32).reshape(3, 2)
        file["coords"] = [[512, 0], [512, 256], [512, 768]]
    grid = Grid.read(tmp_path / "core.h5")
    assert (grid.patch_size, grid.stride, grid.shape) == (256, 256, (4, 3))
    np.testing.assert_array_equal(grid.cells, [[0, 2], [1, 2], [3, 2]])
    assert grid.origin == (0, 0)


def test_a_clam_file_of_one_patch_is_a_cell_of_unknown_size(tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["features"] = [[1.0, 2.0]]
        file["coords"] = [[512, 256]]
    grid = Grid.read(tmp_path / "one.h5")
    assert (grid.patch_size, grid.stride, grid.shape, grid.origin) == (None, None, (1, 1), (512, 256))


def test_attributes_stored_as_arrays_of_one_and_as_bytes_are_read(tmp_path):
    with h5py.File(tmp_path / "arrays.h5", "w") as file:
        file["features"] = np.ones((2, 2), np.float32)
        file["coords"] = [[0, 0], [512, 0]]
        file["coords"].attrs.update(
            {"patch_size": [256], "patch_size_level0": [512], "target_magnification": [20], "name": b"case"}
        )
    grid = Grid.read(tmp_path / "arrays.h5")
    assert (grid.patch_size, grid.mpp, grid.slide_mpp, grid.slide) == (256, 0.5, 0.25, "case")
    assert grid.shape == (1, 2)
