"""`sknic cache` deletes what is damaged and its own, when it is told to, and nothing else."""

import pytest

from sknic import Grid
from sknic.exceptions import GridFileError
from sknic.grids import seal

from .helpers import run


def test_cache_prunes_damaged_grids_and_lists_what_is_not_its_own(grids, tmp_path):
    grid = Grid.read(grids / "grid0.h5").write(tmp_path / "good.h5")
    (tmp_path / "foreign.h5").write_bytes(b"not a grid")
    assert run("cache", tmp_path).exit_code == 0
    content = bytearray((tmp_path / "good.h5").read_bytes())
    content[-1] ^= 1
    (tmp_path / "bad.h5").write_bytes(content)
    assert run("cache", tmp_path).exit_code == 1
    assert run("cache", tmp_path, "--prune").exit_code == 0
    assert (tmp_path / "bad.h5").exists()
    assert run("cache", tmp_path, "--prune", "--yes").exit_code == 0
    assert sorted(path.name for path in tmp_path.glob("*.h5")) == ["foreign.h5", "good.h5"]
    assert Grid.read(tmp_path / "good.h5").n_cells == grid.n_cells


def test_a_grid_that_may_not_be_read_is_listed_and_stays(grids, tmp_path, monkeypatch):
    mine, theirs = tmp_path / "mine.h5", tmp_path / "theirs.h5"
    for path in (mine, theirs):
        path.write_bytes((grids / "grid0.h5").read_bytes())
    is_own = seal.is_own

    def refuse(path):
        if path == theirs:
            raise GridFileError(f"{path} cannot be read as a grid file: Permission denied")
        return is_own(path)

    monkeypatch.setattr(seal, "is_own", refuse)
    result = run("cache", tmp_path, "--prune", "--orphans", "--yes")
    assert "theirs.h5: unreadable" in result.output and mine.exists() and theirs.exists()


@pytest.mark.parametrize("option", ["--yes", "--orphans"])
def test_cache_deletes_nothing_without_prune(option, grids):
    assert run("cache", grids, option).exit_code == 2


def test_cache_deletes_grids_of_absent_slides_only_when_asked_to(grids, tmp_path):
    grid = Grid.read(grids / "grid0.h5")
    absent = Grid(grid.embeddings, grid.cells, grid.shape, slide=tmp_path / "not mounted.svs")
    absent.write(tmp_path / "orphan.h5")
    run("cache", tmp_path, "--prune", "--yes")
    assert (tmp_path / "orphan.h5").exists()
    run("cache", tmp_path, "--prune", "--orphans", "--yes")
    assert not (tmp_path / "orphan.h5").exists()
