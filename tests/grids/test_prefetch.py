"""Grids that will be needed are read from the disk ahead, exactly their embeddings, and no result depends on it."""

import os

import numpy as np
import pytest

from sknic import Grid
from sknic.exceptions import GridFileError
from sknic.grids import prefetch as module
from sknic.grids.prefetch import prefetch


@pytest.fixture
def advised(monkeypatch):
    """Contents of the parts of files that the system was advised to read, in pieces of at most 64 bytes."""
    contents = {}

    def advise(file, offset, n_bytes, advice):
        assert advice == os.POSIX_FADV_WILLNEED and n_bytes <= 64
        inode = os.fstat(file).st_ino
        contents[inode] = contents.get(inode, b"") + os.pread(file, n_bytes, offset)

    monkeypatch.setattr(module, "_ADVICE", 64)
    monkeypatch.setattr(os, "posix_fadvise", advise)
    return contents


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system takes no advice")
def test_the_embeddings_of_each_grid_are_read_and_nothing_else(grid, tmp_path, advised):
    stored = [grid.write(tmp_path / "a.h5"), Grid([[1.0, 2.0]], [[0, 0]], (1, 1)).write(tmp_path / "b.h5")]
    prefetch(stored).join()
    assert advised == {os.stat(each.path).st_ino: each.embeddings.tobytes() for each in stored}


def test_a_system_without_advice_reads_them_through(grid, tmp_path, monkeypatch):
    through, read = module._read_through, []

    def reading(file, offset, n_bytes):
        through(file, offset, n_bytes)
        read.append((offset, file.tell() - offset))

    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    monkeypatch.setattr(module, "_BLOCK", 64)
    monkeypatch.setattr(module, "_read_through", reading)
    stored = grid.write(tmp_path / "a.h5")
    prefetch([stored]).join()
    assert read == [stored._storage.extent] and read[0][1] == grid.embeddings.nbytes > 64


def test_what_is_in_memory_or_has_eight_orientations_needs_no_thread(grid, oriented_grid, tmp_path):
    assert prefetch([]) is None
    assert prefetch([grid, np.zeros(3), oriented_grid.write(tmp_path / "eight.h5")]) is None


def test_a_file_that_is_gone_is_left_to_its_reader(grid, tmp_path):
    stored = grid.write(tmp_path / "a.h5")
    os.unlink(stored.path)
    thread = prefetch([stored])
    thread.join()  # an error of the thread would be a warning, and warnings are errors here
    assert not thread.is_alive()
    with pytest.raises(GridFileError, match=r"a\.h5"):
        _ = stored.embeddings
