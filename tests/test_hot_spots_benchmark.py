"""benchmarks/hot_spots.py: scores and survival of a cohort, and what is said of the two kinds of fit."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from benchmarks import adaptation, hot_spots
from benchmarks.kept_rows import KeptRows
from sknic import Grid, GridCNNRegressor
from sknic.datasets import GridCohort
from sknic.datasets.drawing.layout import HOT, NORMAL

N, SIDE = 60, 12


@pytest.fixture
def cohort():
    """Slides with a square of hot cells whose side, 0 to 5 cells, is told by the embeddings."""
    random, grids, tissue = np.random.RandomState(0), [], []
    for slide in range(N):
        cells = np.full((SIDE, SIDE), NORMAL, np.uint8)
        cells[3 : 3 + slide % 6, 3 : 3 + slide % 6] = HOT
        places = np.argwhere(cells)
        embeddings = np.stack([cells[tuple(places.T)] == HOT, random.uniform(size=len(places))], axis=1)
        grids.append(Grid(embeddings.astype(np.float16), places, cells.shape, mpp=0.5, patch_size=128))
        tissue.append(cells)
    table = pd.DataFrame({"slide": range(N), "patient": [f"P{slide // 2}" for slide in range(N)]})
    table["pattern"] = np.repeat(["replacement", "desmoplastic"], 2).tolist() * (N // 4)
    table["hotspot"] = table["tumour_fraction"] = np.arange(N) % 6 / 6
    table["time"], table["event"], table["log_hazard"] = 1.0, True, 0.0
    return GridCohort(list(map(str, range(N))), table, tissue=tissue, grids=grids)


def test_a_wider_window_sees_less_of_a_small_hot_spot(cohort):
    narrow, wide = (hot_spots.scores_of(cohort, name) for name in ("hotspot-1", "hotspot-4"))
    assert (narrow[:6] == np.sort(narrow[:6])).all() and narrow[0] == wide[0] == 0
    assert (narrow[1:6] > 2 * wide[1:6]).all()


@pytest.mark.parametrize("target", hot_spots.HAZARDS)
def test_survival_follows_the_hazard_that_is_named(target, cohort):
    outcome, hazard = hot_spots.survival_by(target, cohort, 0)
    again, _ = hot_spots.survival_by(target, cohort, 0)
    np.testing.assert_array_equal(outcome, again)
    assert outcome.dtype == cohort.survival.dtype and (outcome["time"] != 1).any()
    replaced = (cohort.table["pattern"] == "replacement").to_numpy(float)
    if target == "survival-pattern":
        np.testing.assert_allclose(hazard, 2 * replaced)
    else:
        of_patient = pd.Series(hot_spots.scores_of(cohort, hot_spots.HAZARDS[target][0])).groupby(cohort.patients)
        rest = hazard - hot_spots.HAZARDS[target][1][0] * replaced
        assert np.corrcoef(rest, of_patient.transform("mean"))[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("target", hot_spots.TARGETS)
def test_a_fit_is_measured_beside_a_constant(target, cohort, monkeypatch):
    short = {"max_steps": 2, "n_filters": 4, "n_members": 1}
    monkeypatch.setitem(hot_spots.METHODS, "with", hot_spots.METHODS["with"] | short)
    train, same = hot_spots.parts_of(cohort, 25)
    assert len(train) == 25 and len(same) == 34 and not set(train.patients) & set(same.patients)
    found = hot_spots.fit_and_measure(target, "with", 0, train, same, cohort)
    assert set(found) < set(hot_spots.COLUMNS) and len(found) == 12
    for sources in hot_spots.SOURCES:
        of = {name.removesuffix(f", {sources} images"): value for name, value in found.items()}
        assert -1 <= of["rank"] <= 1 and of["error"] > 0 and of["error of a constant"] > 0
        assert np.isfinite(of["best rank"]) == (target in hot_spots.HAZARDS) and np.isfinite(of["bias"])


def test_predictions_that_are_half_as_far_from_a_shifted_mean_have_slope_two():
    truth = np.arange(9.0)
    assert hot_spots.slope(truth, 100 + truth / 2) == pytest.approx(2)


def test_only_seeds_with_both_fits_are_compared(tmp_path):
    rows = KeptRows(tmp_path / "rows.csv", hot_spots.KEY, hot_spots.COLUMNS)
    for seed, method, rank, error in [
        (0, "without", 0.5, 1.0), (0, "with", 0.7, 1.2), (1, "without", 0.6, 1.0), (1, "with", 0.5, 0.8),
        (2, "with", 0.0, 9.0),
    ]:  # fmt: skip
        measured = dict.fromkeys(hot_spots.COLUMNS[len(hot_spots.KEY) : -1], np.nan)
        measured |= {"rank, same images": 0.1, "rank, other images": rank, "error, other images": error}
        rows.add(dict(zip(hot_spots.KEY, ("share", "bigan", 40, seed, method))) | measured | {"machine": "one"})
    same, found = hot_spots.table_of(rows)
    assert (same["images"], same["rank"], same["better rank"]) == ("same", "0.100 -> 0.100", "0 of 2")
    assert (found["seeds"], found["rank"], found["error"]) == (2, "0.550 -> 0.600", "1.000 -> 1.000")
    assert (found["better rank"], found["smaller error"]) == ("1 of 2", "1 of 2")


def test_an_adapted_model_predicts_of_a_shifted_stain_what_it_did_before(cohort):
    model = GridCNNRegressor(max_steps=4, n_filters=4, random_state=0).fit(cohort.grids, np.arange(N))
    shifted = [
        Grid(3 * np.asarray(grid.embeddings, np.float32) + 5, grid.cells, grid.shape, mpp=0.5, patch_size=128)
        for grid in cohort.grids
    ]
    expected = model.predict(cohort.grids)
    np.testing.assert_allclose(adaptation.adapted(model, shifted).predict(shifted), expected, rtol=1e-3)
    assert np.abs(model.predict(cohort.grids) - expected).max() == 0  # the model itself is as it was


def test_adapted_models_are_measured_beside_the_model(cohort, monkeypatch):
    monkeypatch.setattr(hot_spots.OfNumbers, "model", partial(GridCNNRegressor, max_steps=2, n_filters=4))
    found = adaptation.measures_of(("share", "bigan", 24), 0, cohort, cohort)
    assert list(found) == ["other images", "other images, adapted", "other images, adapted to 20", "same images"]
    assert all(set(adaptation.MEASURES) <= set(measured) for measured in found.values())
