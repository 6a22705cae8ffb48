"""What every test may use: the real data where it is at hand, and a little cache-free corner."""

import os
from pathlib import Path

import pytest
from sklearn.utils import estimator_checks


@pytest.fixture(scope="session")
def test_data():
    """Folder of real slides, encoders, patches and tables; skips where it is absent."""
    root = Path(os.environ.get("SKNIC_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real test data not found at {root}; set SKNIC_TEST_DATA to use it")
    return root


@pytest.fixture(scope="session")
def data_free_checks():
    """The checks of scikit-learn that need no data, for estimators that take slides or patches, not tables."""
    return [
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_estimator_tags_renamed,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
        estimator_checks.check_valid_tag_types,
    ]
