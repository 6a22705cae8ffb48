"""benchmarks/paper/at_size.py: a cross-validation is found again, and every claim has its row."""

import numpy as np
import pytest

from benchmarks.paper import at_size

from .test_recipes_benchmark import tiny_cohort


@pytest.fixture
def options(tmp_path):
    found = at_size.read_options(["--patches", str(tmp_path), "--quick", "--n-jobs", "1", "--seeds", "0", "1"])
    found.out = tmp_path
    return found


@pytest.mark.parametrize("claim", at_size.SIZES)
@pytest.mark.parametrize("recipe", at_size.RECIPES)
def test_a_cross_validation_is_found_again_and_has_its_row(options, claim, recipe, monkeypatch):
    cohort = tiny_cohort(24)
    cohort.table.insert(0, "score", cohort.table["hotspot"])
    test = cohort if claim == "table1" else None
    found = [at_size.cross_validate(options, claim, "bigan", recipe, seed, cohort, test) for seed in options.seeds]
    monkeypatch.setattr(at_size, "CrossValEnsemble", lambda *_, **__: pytest.fail("it was done"))
    again = at_size.cross_validate(options, claim, "bigan", recipe, 1, cohort, test)
    np.testing.assert_array_equal(again["oof"], found[1]["oof"])
    row = at_size.MEASURES[claim](cohort, test, found)
    assert row["slides"] == row["patients"] == 24 and " to " in row["seeds"]
    assert ("test" in row) == (claim == "table1") and ("log-rank" in row) == (claim == "survival")
