"""What does a slide add to clinical data, if each is known to determine half of the hazard?

Real clinical tables (age, stage and sex of colorectal patients of TCGA, gaps included) are assigned to the patients of
a grid cohort (`make_grid_cohort`, real patches, published encoder). Survival is drawn from the sum of two parts with
equal variance between patients: what the slides show (growth pattern and hotspot), and what the table contains (age and
stage). So the best concordance of either half alone, and of both, is known. The script reports clinical data alone,
slide alone and both, out of fold, and the paired interval of what the slide adds; and the same for slides without
information (their part is shuffled among the patients), so that the answer can be wrong in both directions. A row is
kept when it ends, so an interrupted run can be resumed.
"""

import argparse

import numpy as np
import pandas as pd

from benchmarks.common import ONE_NETWORK, RESULTS, machine, report, test_data
from benchmarks.kept_rows import KeptRows

STAGES = {"Stage I": 0.0, "Stage II": 1.0, "Stage III": 2.0, "Stage IV": 3.0}
KEY = ("slides hold", "slides", "seed")
COLUMNS = (*KEY, "patients", "events", "table", "slide", "both", "slide adds", "shown", "machine")
# Standard deviation of each half of the log hazard.
HALF = 1.0


def clinical_table(n, random):
    """Age, stage and sex of n real patients, gaps included, and their part of the log hazard."""
    table = pd.read_csv(test_data("tables", "tcga_cdr.csv"), low_memory=False)
    table = table[table["type"].isin(["COAD", "READ"])].sample(n, random_state=random).reset_index(drop=True)
    age = pd.to_numeric(table["age_at_initial_pathologic_diagnosis"], errors="coerce")
    stage = table["ajcc_pathologic_tumor_stage"].str.extract(r"^(Stage (?:IV|III|II|I))", expand=False)
    part = _standard(age.fillna(age.median())) + _standard(stage.map(STAGES).fillna(1.0))
    return pd.DataFrame({"age": age, "stage": stage, "sex": table["gender"]}), HALF * _standard(part)


def _standard(values):
    return (np.asarray(values, float) - np.mean(values)) / np.std(values)


def cohort_of(n_slides, seed, shuffled):
    """Grids with clinical data, survival times, patients, and the best concordance of table, slide and both."""
    from sknic import load_encoder
    from sknic.datasets import make_grid_cohort
    from sknic.targets import survival_array

    random = np.random.RandomState(seed)
    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"))
    cohort = make_grid_cohort(test_data("patches"), n_slides, encoder, random_state=seed)
    patients, first, rows = np.unique(cohort.patients, return_index=True, return_inverse=True)
    clinical, of_table = clinical_table(len(patients), random)
    of_slide = HALF * _standard(cohort.table["log_hazard"].to_numpy()[first])
    shown = random.permutation(of_slide) if shuffled else of_slide
    time = random.exponential(np.exp(-(of_table + shown)))
    seen = random.exponential(2 * np.median(time), len(time))  # when follow-up ends
    y = survival_array(time <= seen, np.minimum(time, seen))
    best = {"table": of_table, "slide": of_slide, "both": of_table + (0 if shuffled else of_slide)}
    X = clinical.iloc[rows].reset_index(drop=True)
    X["grid"] = cohort.grids
    return X, y[rows], cohort.patients, {name: _concordance(y, part) for name, part in best.items()}


def _concordance(y, hazard):
    from sknic.evaluation import concordance

    return concordance(y, hazard)


def row_of(options, seed, shuffled):
    """One row: what was found, and what could be."""
    from sknic import GridCoxSurvival
    from sknic.evaluation import SlideAndTable, added_value

    X, y, patients, best = cohort_of(options.slides, seed, shuffled)
    slide = GridCoxSurvival(**ONE_NETWORK, random_state=seed, n_threads=1)
    model = SlideAndTable(slide, cv=3, random_state=seed)
    found = added_value(model, X, y, groups=patients, random_state=seed, verbose=1)
    scores = {side: f"{score} (best {best[side]:.3f})" for side, score in found.scores.items()}
    about = {"patients": len(set(patients)), "events": int(y["event"].sum())}
    return about | scores | {"slide adds": str(found.of_slide.difference), "shown": found.shown}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", type=int, default=320)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    rows = KeptRows(RESULTS / "added_value_runs.csv", KEY, COLUMNS)
    for seed in options.seeds:
        for holds in ("half", "nothing"):
            key = (holds, options.slides, seed)
            if key not in rows:
                found = row_of(options, seed, shuffled=holds == "nothing")
                rows.add(dict(zip(KEY, key)) | found | {"machine": machine()})
                print(rows.rows[-1], flush=True)
    shown = [{name: value for name, value in row.items() if name != "machine"} for row in rows.rows]
    report("added_value", shown, "Concordance of clinic, slide and both, out of fold by patient")


if __name__ == "__main__":
    main()
