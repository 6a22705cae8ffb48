"""What every test may use: the real data where it is at hand, and a little cache-free corner."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def test_data():
    """Folder of real slides, encoders, patches and tables; skips where it is absent."""
    root = Path(os.environ.get("SKNIC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real test data not found at {root}; set SKNIC_TEST_DATA to use it")
    return root
