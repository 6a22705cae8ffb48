"""70 points near a plane, 50 of them to learn from."""

import numpy as np
import pytest

from .helpers import samples


@pytest.fixture(scope="module")
def data():
    random = np.random.RandomState(0)
    X = random.normal(size=(70, 3))
    y = X @ [1, -2, 0.5] + 0.01 * random.normal(size=70)
    return samples(X[:50], y[:50]), samples(X[50:], y[50:])
