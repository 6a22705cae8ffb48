"""benchmarks/recipes.py: fits are written one by one and found again, every method fits every target."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import arrangement_errors, recipes, training_seeds
from benchmarks.kept_rows import KeptRows
from sknic import Grid
from sknic.datasets import GridCohort

KEY = ("hotspot", "multitask-4", 24, 0, "default")


def row(key=KEY, measure=0.5):
    return dict(zip(recipes.COLUMNS, (*key, measure, np.nan, 1.0, 48, "a machine, 2 cores")))


def kept(path):
    return KeptRows(path, recipes.KEY, recipes.COLUMNS)


@pytest.fixture
def no_patches(monkeypatch):
    monkeypatch.setattr(recipes, "tissue_of", lambda patches: "colorectal")


def test_a_fit_is_found_again(tmp_path):
    kept(tmp_path / "rows.csv").add(row())
    again = kept(tmp_path / "rows.csv")
    assert KEY in again
    assert ("hotspot", "multitask-4", 24, 1, "default") not in again


def test_half_a_line_of_a_killed_run_is_dropped(tmp_path):
    path = tmp_path / "rows.csv"
    rows = kept(path)
    rows.add(row())
    rows.add(row(("pattern", *KEY[1:])))
    path.write_text(path.read_text()[:-9])
    again = kept(path)
    assert KEY in again and ("pattern", *KEY[1:]) not in again
    again.add(row(("survival", *KEY[1:])))
    assert pd.read_csv(path)["target"].tolist() == ["hotspot", "survival"]


@pytest.mark.usefixtures("no_patches")
def test_what_is_written_is_not_fitted_again(tmp_path, monkeypatch):
    rows = kept(tmp_path / "rows.csv")
    options = ["--patches", str(tmp_path), "--quick", "--rows", "hotspot:bigan:8"]
    options = recipes.read_options([*options, "--methods", "default"])
    rows.add(row(("hotspot", "bigan", 8, 0, "default")))
    monkeypatch.setattr(recipes, "cohort_of", lambda *_: pytest.fail("it was done"))
    recipes.run(options, rows)


@pytest.mark.parametrize(("task", "file"), [("colorectal", "recipes_fits.csv"), ("polyp", "recipes_polyp_fits.csv")])
def test_fits_of_either_tissue_are_kept_apart(task, file, tmp_path, monkeypatch):
    (tmp_path / "patches.csv").write_text(f"path,task,label,group\na.png,{task},x,g\n")
    kept_in = []
    monkeypatch.setattr(recipes, "KeptRows", lambda path, *_: kept_in.append(path.name))
    for name in ("run", "table_of", "report", "draw"):
        monkeypatch.setattr(recipes, name, lambda *_: None)
    recipes.main(["--patches", str(tmp_path)])
    assert kept_in == [file]


@pytest.mark.usefixtures("no_patches")
def test_the_cohort_of_a_row_does_not_depend_on_the_rows_asked_for(tmp_path, monkeypatch):
    asked = []

    def cohort_of(options, *which):
        asked.append(which)
        return tiny_cohort(), tiny_cohort()

    monkeypatch.setattr(recipes, "cohort_of", cohort_of)
    monkeypatch.setattr(recipes, "fit_and_measure", lambda *_: (0.5, np.nan, 1.0))
    for name, rows in (("alone", ["24"]), ("beside", ["24", "160", "320"])):
        asked.clear()
        options = ["--patches", str(tmp_path), "--seeds", "0", "--methods", "default"]
        options += ["--rows", *(f"hotspot:bigan:{n}" for n in rows)]
        recipes.run(recipes.read_options(options), kept(tmp_path / f"{name}.csv"))
        assert asked == [("bigan", 160, 0)] + [("bigan", 320, 0)] * ("320" in rows)


def test_the_table_tells_mean_and_range_over_the_seeds(tmp_path):
    rows = kept(tmp_path / "rows.csv")
    for seed, measure in enumerate((0.2, 0.6)):
        rows.add(row((*KEY[:3], seed, "default"), measure))
    (found,) = recipes.table_of(rows)
    assert found["default"] == "0.400 (0.200 to 0.600)"
    assert found["seeds"] == 2 and recipes.LINEAR not in found
    recipes.draw(rows, tmp_path / "recipes.png")
    assert (tmp_path / "recipes.png").stat().st_size > 1000


def tiny_cohort(n=16):
    rng = np.random.RandomState(0)
    cells = np.argwhere(np.ones((4, 4)))
    grids = [Grid(rng.normal(size=(16, 3)), cells, (4, 4), mpp=0.5, patch_size=128) for _ in range(n)]
    table = pd.DataFrame({"slide": range(n), "patient": [f"p{i}" for i in range(n)], "hotspot": rng.uniform(size=n)})
    table["tumour_fraction"] = rng.uniform(size=n)
    table["pattern"] = ["replacement", "desmoplastic"] * (n // 2)
    table["time"], table["event"], table["log_hazard"] = rng.uniform(1, 9, n), np.arange(n) % 3 > 0, rng.normal(size=n)
    return GridCohort([str(i) for i in range(n)], table, grids=grids)


@pytest.mark.parametrize("target", recipes.TARGETS)
@pytest.mark.parametrize("method", [*recipes.METHODS, recipes.LINEAR])
def test_every_method_fits_every_target(target, method, monkeypatch):
    if method != recipes.LINEAR:
        monkeypatch.setitem(recipes.METHODS, method, recipes.METHODS[method] | {"max_steps": 2})
    cohort = tiny_cohort()
    measure, best, _ = recipes.fit_and_measure(target, method, 0, cohort, cohort)
    assert -1 <= measure <= 1
    assert np.isnan(best) == (target != "survival")


def test_a_wrong_answer_on_arrangement_is_counted(tmp_path):
    rows = KeptRows(tmp_path / "rows.csv", arrangement_errors.KEY, arrangement_errors.COLUMNS)
    for seed, (target, used) in enumerate([("pattern", True), ("pattern", False), ("tumour_fraction", False)]):
        values = (target, seed, 0.9, 0.5, 0.1, 0.3, used, 1.0, "a machine")
        rows.add(dict(zip(arrangement_errors.COLUMNS, values)))
    found = {row["target"]: row for row in arrangement_errors.table_of(rows)}
    assert (found["pattern"]["right"], found["pattern"]["cohorts"]) == (1, 2)
    assert found["tumour_fraction"]["right"] == 1 and found["pattern"]["cells shuffled"] == "0.500"


@pytest.mark.usefixtures("no_patches")
def test_seeds_of_the_training_are_told_from_cohorts(tmp_path, monkeypatch):
    options = ["--patches", str(tmp_path), "--rows", "hotspot:bigan:8", "--methods", "default", "--seeds", "0", "1"]
    monkeypatch.setattr(recipes, "cohort_of", lambda options, encoder, n, seed: (tiny_cohort(), tiny_cohort()))
    monkeypatch.setattr(recipes, "fit_and_measure", lambda target, method, seed, *_: (0.5 + seed / 10, np.nan, 1.0))
    rows = KeptRows(tmp_path / "rows.csv", training_seeds.KEY, training_seeds.COLUMNS)
    training_seeds.run(training_seeds.read_options(options), rows)
    of_cohorts = [
        row(("hotspot", "bigan", 8, seed, "default"), measure) for seed, measure in enumerate((0.2, 0.6, 0.9))
    ]
    (found,) = training_seeds.table_of(rows, pd.DataFrame(of_cohorts))
    assert found["training seeds, one cohort"] == "0.550 (0.500 to 0.600)"
    assert found["as many cohorts"] == "0.400 (0.200 to 0.600)"
    assert (found["range, training seeds, one cohort"], found["range, as many cohorts"]) == (0.1, 0.4)
