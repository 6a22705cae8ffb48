"""Small grids for the tests of this folder."""

import numpy as np
import pytest

from sknic import Grid


@pytest.fixture
def grid():
    rng = np.random.default_rng(0)
    cells = np.argwhere(rng.random((5, 7)) < 0.5)
    return Grid(
        rng.normal(size=(len(cells), 4)),
        cells,
        (5, 7),
        mpp=0.5,
        patch_size=128,
        slide="here/slide one.svs",
        slide_mpp=0.25,
        origin=(100, 200),
        bounds=(100, 200),
        fingerprint="abc",
        tissue_fraction=len(cells) / 35,
    )


@pytest.fixture
def oriented_grid(grid):
    oriented = np.stack([grid.embeddings + k for k in range(1, 8)])
    return Grid(grid.embeddings, grid.cells, grid.shape, mpp=0.5, patch_size=128, oriented_embeddings=oriented)
