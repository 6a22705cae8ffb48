"""Small cohorts."""

import numpy as np
import pytest

from sknic.grids import Grid


def make_grid(random, mean=0.0, shape=(7, 9), n_cells=30, n_channels=5):
    """Grid of normal embeddings around `mean` at random cells."""
    places = random.choice(shape[0] * shape[1], n_cells, replace=False)
    cells = np.stack(np.divmod(places, shape[1]), axis=1)
    embeddings = mean + random.normal(size=(n_cells, n_channels))
    return Grid(embeddings.astype(np.float16), cells, shape)


@pytest.fixture(scope="session")
def cohort():
    """24 grids of three sizes, whose mean embedding is their score: (grids, score, label, patient)."""
    random = np.random.RandomState(0)
    scores = np.repeat(np.linspace(-1.5, 1.5, 8), 3)
    shapes = [(7, 9), (12, 6), (8, 8)]
    grids = [make_grid(random, score, shapes[i % 3]) for i, score in enumerate(scores)]
    return grids, scores, np.where(scores > 0, "high", "low"), np.arange(24) // 3
