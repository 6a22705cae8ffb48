"""benchmarks/paper/at_size.py: a cross-validation is found again, and every claim has its row."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.paper import at_size, tasks_at_size
from sknic import MeanRGBEncoder

from .test_recipes_benchmark import tiny_cohort


@pytest.fixture
def options(tmp_path, monkeypatch):
    """Options of a tiny run, whose cohorts are made without patches."""

    def cohort_of(options, name, encoder):
        cohort = tiny_cohort(24)
        cohort.table.insert(0, "score", cohort.table["hotspot"])
        return cohort, cohort if name == "table1" else None

    monkeypatch.setattr(at_size, "cohort_of", cohort_of)
    monkeypatch.setattr(at_size, "tissue_of", lambda patches: "polyp")
    monkeypatch.setattr(at_size, "load_encoder", lambda name: MeanRGBEncoder(device="cpu"))
    monkeypatch.setattr(at_size, "encoder_named", str)
    monkeypatch.setattr(at_size, "work_dir", lambda name: tmp_path)
    return at_size.read_options(["--patches", str(tmp_path), "--quick", "--seeds", "0", "1"])


@pytest.mark.parametrize(("name", "recipe"), [*((name, "default") for name in at_size.CLAIMS), ("survival", "paper")])
def test_a_cross_validation_is_found_again_and_has_its_row(options, name, recipe, monkeypatch):
    options.recipes = [recipe]
    for encoder in (at_size.RIVAL, "bigan"):
        at_size.run_missing(options, name, encoder)
    found = at_size.kept_steps(options, name)
    assert set(found) == {(at_size.RIVAL, recipe), ("bigan", recipe)}

    monkeypatch.setattr(at_size, "CrossValEnsemble", lambda *_, **__: pytest.fail("it was done"))
    at_size.run_missing(options, name, "bigan")
    cohort, test = at_size.cohort_of(options, name, None)
    row = at_size.row_of(name, "bigan", recipe, list(found["bigan", recipe].values()), cohort, test)
    assert row["slides"] == row["patients"] == 24 and row["seeds"] == 2 and " to " in row["by seed"]
    assert ("test" in row) == (name == "table1") and ("log-rank" in row) == (name in ("pattern", "survival"))
    assert ("with the pattern alone" in row) == (name in ("survival", "hazard"))

    del found["bigan", recipe][1]
    (difference,) = at_size.differences_of(name, found, cohort, test)
    assert difference["encoder"] == "bigan" and difference["seeds"] == 1  # the one that both have
    same = np.array_equal(found["bigan", recipe][0]["oof"], found[at_size.RIVAL, recipe][0]["oof"])
    assert difference["out of fold"].startswith("0.000") == same  # both encoders are mean-RGB here


def test_an_interrupted_run_goes_on_where_it_was(options):
    options.seeds = [0]
    at_size.run_missing(options, "table1", "bigan")
    options.seeds = [0, 1]
    at_size.run_missing(options, "table1", "bigan")
    (steps,) = at_size.kept_steps(options, "table1").values()
    assert {seed: len(step["oof"]) for seed, step in steps.items()} == {0: 24, 1: 24}
    assert not np.array_equal(steps[0]["oof"], steps[1]["oof"])


def test_findings_on_tasks_follow_from_the_results():
    drawn = []
    for draw in (0, 1):
        rows = [
            {
                "draw": draw,
                **{task: task in subset for task in tasks_at_size.TASKS},
                "paper": len(subset),
                "test": len(subset),
                "machine": "a machine",
            }
            for subset, _ in tasks_at_size.runs()
        ]
        drawn.append(pd.DataFrame(rows).assign(**{"out of fold": lambda table: table["colorectal"] * 1.0}))
    first, test, _, _, of_mean, test_of_mean, paper = tasks_at_size.findings(drawn)
    assert first["1 tasks"] == "0.250 (0.500)" and first["4 tasks"] == "1.000 (0.000)"
    assert first["with colorectal"] == pytest.approx(1.0) and first["with lymph"] < 0.3
    assert test["number of tasks"] == test["correlation with the paper"] == pytest.approx(1.0)
    assert of_mean["1 tasks"] == "0.250 (0.500)" and test_of_mean["correlation of the draws"] == pytest.approx(1.0)
    assert paper["with colorectal"] == 0.824 and paper["correlation of the draws"] == ""
