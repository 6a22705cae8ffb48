"""A patient as one bag: several slides in one grid (PatientGrids), against the mean of the slides' predictions.

Cohorts are those of `make_grid_cohort` (real patches, published encoder), with one to four slides per patient; sources
of the test part are not those of the training part. Three targets of the patient: growth pattern, the mean hotspot
score, and survival. Each arm learns from the same training patients and is measured on the same test patients.
"""

import argparse
import time
import warnings

import numpy as np

from benchmarks.common import report, test_data

METRICS = {"pattern": "auc", "hotspot": "spearman", "survival": "concordance"}
SETTINGS = {"n_members": 1, "n_filters": 32, "max_steps": 300, "batch_size": 16, "n_threads": 1}


def cohort_of(n_slides, seed):
    from sknic import load_encoder
    from sknic.datasets import make_grid_cohort

    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"))
    options = {"shape": (20, 20), "bank_size": 300, "max_slides_per_patient": 4, "parts": {"train": 0.6, "test": 0.4}}
    return make_grid_cohort(test_data("patches"), n_slides, encoder, random_state=seed, **options)


def target_of(cohort, target):
    """Estimator and y of each slide, which all slides of a patient share."""
    from sknic import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
    from sknic.targets import survival_array

    table = cohort.table
    if target == "pattern":
        return GridCNNClassifier, table["pattern"].to_numpy(str)
    if target == "hotspot":
        return GridCNNRegressor, table.groupby("patient")["hotspot"].transform("mean").to_numpy()
    return GridCoxSurvival, survival_array(table["event"], table["time"])


def said(model, X):
    return model.predict_proba(X)[:, 1] if hasattr(model, "predict_proba") else model.predict(X)


def arms(cohort, target, seed):
    """Prediction of each test patient by both arms, in the same order; their truth; seconds of each."""
    from sknic.evaluation import PatientGrids, aggregate, by_patient

    kind, y = target_of(cohort, target)
    train = (cohort.table["part"] == "train").to_numpy()
    patients, grids = cohort.patients, np.empty(len(train), object)
    grids[:] = cohort.grids
    begun = time.perf_counter()
    model = kind(**SETTINGS, random_state=seed).fit(grids[train], y[train], groups=patients[train])
    slides = aggregate(said(model, grids[~train]), patients[~train])[1]
    middle = time.perf_counter()
    X, of_patient, _ = by_patient(grids[train], patients[train], y[train])
    model = kind(**SETTINGS, random_state=seed).fit(PatientGrids().transform(X), of_patient)
    X, truth, _ = by_patient(grids[~train], patients[~train], y[~train])
    bags = said(model, PatientGrids().transform(X))
    return slides, bags, truth, (middle - begun, time.perf_counter() - middle)


def row_of(options, seed, target):
    from sknic.evaluation import compare

    cohort = cohort_of(options.slides, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slides, bags, truth, seconds = arms(cohort, target, seed)
    found = compare(METRICS[target], truth, bags, slides)
    row = {"target": target, "seed": seed, "test patients": len(truth), "metric": METRICS[target]}
    row |= {"mean of slides": str(found.b), "one bag": str(found.a), "difference": str(found.difference)}
    return row | {"s (slides)": round(seconds[0]), "s (bag)": round(seconds[1])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", type=int, default=160, help="number of slides")
    parser.add_argument("--seeds", type=int, default=3, help="number of cohorts")
    parser.add_argument("--target", choices=METRICS, action="append", help="target; all by default")
    options = parser.parse_args()
    rows = []
    for target in options.target or METRICS:
        for seed in range(options.seeds):
            rows.append(row_of(options, seed, target))
            print(rows[-1], flush=True)
    report("patient_bags", rows, "A patient as one bag, against the mean of the slides")


if __name__ == "__main__":
    main()
