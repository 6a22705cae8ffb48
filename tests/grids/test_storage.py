import os
import pickle
import resource

import numpy as np
import pytest

from sknic import Grid
from sknic.exceptions import GridFileError
from sknic.grids import GridCache, hdf5, seal


@pytest.fixture
def few_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
    yield 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_more_grids_than_file_handles_may_be_in_use(tmp_path, few_files):
    grids = [Grid([[i, 1.0]], [[0, 0]], (1, 1)).write(tmp_path / f"{i}.h5") for i in range(few_files + 50)]
    held = [grid.embeddings for grid in grids]
    assert [int(embeddings[0, 0]) for embeddings in held] == list(range(few_files + 50))


@pytest.fixture
def hashed(monkeypatch):
    calls = []
    checksum = seal.checksum
    monkeypatch.setattr(seal, "checksum", lambda file: calls.append(os.fspath(file.name)) or checksum(file))
    return calls


def test_a_cached_grid_is_hashed_once_in_a_process(grid, tmp_path, hashed):
    cache, slide = GridCache(tmp_path), tmp_path / "slide.svs"
    path = cache.put(slide, "k" * 32, grid).path
    hashed.clear()
    hdf5._stored.clear()
    for _ in range(3):
        kept = cache.get(slide, "k" * 32)
        again = pickle.loads(pickle.dumps(kept))
        np.testing.assert_array_equal(again.embeddings, grid.embeddings)
    assert hashed == [path]


def test_a_file_that_changed_is_hashed_again(grid, tmp_path, hashed):
    path = tmp_path / "slide.h5"
    grid.write(path)
    Grid([[1.0]], [[0, 0]], (1, 1)).write(path)
    hashed.clear()
    assert Grid.read(path).n_cells == 1


def test_the_list_of_a_cache_hashes_each_grid_once(grid, tmp_path, hashed):
    path = GridCache(tmp_path).put(tmp_path / "slide.svs", "k" * 32, grid).path
    hashed.clear()
    (entry,) = GridCache(tmp_path).entries()
    assert (str(entry.path), hashed) == (path, [path])
    assert entry.header.mpp == grid.mpp


def test_a_pickled_grid_is_a_path(grid, tmp_path):
    stored = grid.write(tmp_path / "slide.h5")
    assert len(pickle.dumps(stored)) < 300
    stored.embeddings, stored.cells  # noqa: B018
    assert len(pickle.dumps(stored)) < 300


@pytest.mark.parametrize("limit", [1, 1 << 30])
def test_mapped_and_read_numbers_are_the_same(limit, oriented_grid, tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_MAPPED_BYTES", limit)
    stored = oriented_grid.write(tmp_path / "slide.h5")
    np.testing.assert_array_equal(stored.embeddings, oriented_grid.embeddings)
    for a, b in zip(stored.orientations, oriented_grid.orientations, strict=True):
        np.testing.assert_array_equal(a.to_dense(), b.to_dense())


def test_one_orientation_is_read_without_the_others(oriented_grid, tmp_path, monkeypatch):
    stored = oriented_grid.write(tmp_path / "slide.h5")
    n_bytes = []
    read = hdf5.read_dataset
    monkeypatch.setattr(
        hdf5, "read_dataset", lambda path, place: n_bytes.append(read(path, place).nbytes) or read(path, place)
    )
    third = stored.orientations[3]
    np.testing.assert_array_equal(third.embeddings, oriented_grid.orientations[3].embeddings)
    assert max(n_bytes) == third.embeddings.nbytes


def test_a_dense_grid_keeps_what_overflows_float16():
    assert Grid([[70000.0, 1.0]], [[0, 0]], (1, 1)).to_dense().max() == 70000


def test_small_numbers_keep_their_digits(tmp_path):
    small = np.random.default_rng(0).normal(size=(20, 3)) * 1e-6
    stored = Grid(small, np.argwhere(np.ones((4, 5))), (4, 5)).write(tmp_path / "small.h5")
    np.testing.assert_allclose(stored.embeddings, small, rtol=1e-6)


@pytest.mark.parametrize("shape", [(8, 1, 2), (7, 2, 2), (7, 1, 3)])
def test_embeddings_of_turned_pixels_are_those_of_orientations_1_to_7(shape):
    with pytest.raises(ValueError, match=r"oriented_embeddings .*: expected \(7, 1, 2\), orientations 1 to 7"):
        Grid(np.ones((1, 2)), [[0, 0]], (1, 1), oriented_embeddings=np.zeros(shape))
    with pytest.raises(ValueError, match="oriented_embeddings: 14 of 14 numbers are NaN"):
        Grid(np.ones((1, 2)), [[0, 0]], (1, 1), oriented_embeddings=np.full((7, 1, 2), np.nan))


def test_a_grid_whose_file_is_written_again_is_read_where_its_numbers_are_now(tmp_path):
    """As another run does that finds the slide under a longer path: the header grows, and everything moves."""
    rng = np.random.default_rng(0)
    cells = np.argwhere(np.ones((6, 6)))
    first, second = (
        Grid(rng.normal(size=(36, 4)), cells, (6, 6), slide=f"/slides{'/deep' * n}/a.svs") for n in (0, 400)
    )
    opened, unread = (first.write(tmp_path / "a.h5", key="k") for _ in range(2))
    np.testing.assert_array_equal(opened.embeddings, first.embeddings)
    np.testing.assert_array_equal(opened.cells, cells)
    second.write(tmp_path / "a.h5", key="k")
    for grid in (opened, unread):
        np.testing.assert_array_equal(grid.embeddings, second.embeddings)
        np.testing.assert_array_equal(grid.cells, cells)


def test_grids_written_to_one_file_are_not_all_the_last_one(tmp_path):
    cells = np.argwhere(np.ones((2, 3)))
    written = [
        Grid(np.full((6, 2), number + 1.0), cells, (2, 3), slide=f"/s{number}.svs").write(tmp_path / "P1.h5")
        for number in range(3)
    ]
    for grid in written[:2]:
        with pytest.raises(GridFileError, match=r"P1\.h5 was written again and is the grid of /s2\.svs now"):
            grid.embeddings  # noqa: B018
    assert (written[2].embeddings == 3).all()


def test_a_change_of_an_array_is_no_change_of_a_grid(tmp_path):
    buffer, cells = np.empty((4, 2), np.float16), np.argwhere(np.ones((2, 2))).astype(np.int32)
    grids = []
    for number in range(3):
        buffer[:] = number
        grids.append(Grid(buffer, cells, (4, 4)))
    cells += 2
    assert [float(grid.embeddings[0, 0]) for grid in grids] == [0, 1, 2]
    assert grids[0].cells.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    for array in (grids[1].cells, grids[1].embeddings, grids[1].write(tmp_path / "a.h5").cells):
        with pytest.raises(ValueError, match="read-only"):
            array -= array.max()


def test_values_that_lie_too_close_for_float16_are_kept_in_float32():
    rng, cells = np.random.default_rng(0), np.argwhere(np.ones((10, 10)))
    plain = rng.normal(size=100)
    for channel in (3000 + np.linspace(0, 0.6, 100), np.arange(100) * 1e-9):
        kept = Grid(np.column_stack([plain, channel]), cells, (10, 10)).embeddings
        assert kept.dtype == np.float32 and len(np.unique(kept[:, 1])) > 90
    usual = rng.normal(size=(100, 8)) * np.logspace(-1, 2, 8) + 5
    assert Grid(usual, cells, (10, 10)).embeddings.dtype == np.float16
    assert Grid(np.column_stack([plain, np.full(100, 0.1)]), cells, (10, 10)).embeddings.dtype == np.float16
