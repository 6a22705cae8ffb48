"""What is calibration of the fold ensemble worth? Out-of-fold probabilities before and after, on grid cohorts.

Growth pattern (log loss, and Brier score of the probability) and survival (integrated Brier score), each with
three seeds: cohorts of `make_grid_cohort` with real patches, the default recipe, four folds by patient. Every fold is
corrected by the others. A row is kept when it ends, so an interrupted run can be resumed.
"""

import argparse

import numpy as np
import pandas as pd

from benchmarks.common import ONE_NETWORK, RESULTS, machine, report, test_data
from benchmarks.kept_rows import KeptRows

KEY = ("target", "slides", "seed")
COLUMNS = (*KEY, "measure", "before", "after", "without a model", "correction", "machine")
SLIDES = {"pattern": 40, "survival": 160}


def cohort_of(target, seed):
    """Grids, target and patients."""
    from sknic import load_encoder
    from sknic.datasets import make_grid_cohort

    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"))
    cohort = make_grid_cohort(test_data("patches"), SLIDES[target], encoder, reserve=0.0, random_state=seed)
    y = cohort.survival if target == "survival" else (cohort.table["pattern"] == "replacement").to_numpy().astype(int)
    return cohort.grids, y, cohort.patients


def measures_of_classes(X, y, patients, seed):
    """One dict per measure: out of fold, before and after."""
    from sklearn.metrics import brier_score_loss, log_loss

    from sknic import CrossValEnsemble, GridCNNClassifier
    from sknic.evaluation.calibration import calibrate_folds, temperature_of

    model = GridCNNClassifier(random_state=seed, n_threads=1)
    ensemble = CrossValEnsemble(model, random_state=seed, baseline=False).fit(X, y, groups=patients)
    before = ensemble.oof_prediction_
    after, without = calibrate_folds(before, y, ensemble.fold_), np.full(len(y), y.mean())
    correction = f"temperature {temperature_of(before, y):.2f}"
    for name, measure in {"log loss": log_loss, "Brier score": brier_score_loss}.items():
        scores = [float(measure(y, probability)) for probability in (before[:, 1], after[:, 1], without)]
        yield _row(name, *scores, correction)


def measures_of_survival(X, y, patients, seed):
    """One dict: the integrated Brier score out of fold, before and after."""
    from sknic import CrossValEnsemble, GridCoxSurvival
    from sknic.evaluation import CensoredScores
    from sknic.evaluation.survival_calibration import Recalibration, recalibrate_folds

    model = GridCoxSurvival(**ONE_NETWORK, random_state=seed, n_threads=1)
    ensemble = CrossValEnsemble(model, random_state=seed, baseline=False).fit(X, y, groups=patients)
    times, every = ensemble.survival_times_, np.arange(len(y))
    survival, column = ensemble.oof_survival_, len(times) // 2
    corrected = recalibrate_folds(ensemble.y_, survival, times, ensemble.fold_, times[column])
    about = ensemble.y_, ensemble.oof_prediction_, ensemble.fold_
    before, after = (CensoredScores(*about, curves, times) for curves in (survival, corrected))
    scores = [each.integrated_brier(every) for each in (before, after)]
    found = Recalibration.fit(ensemble.y_, survival[:, column], times[column])
    correction = f"intercept {found.intercept:.2f}, slope {found.slope:.2f}"
    yield _row("integrated Brier score", *scores, before.integrated_brier(every, reference=True), correction)


def _row(measure, before, after, without, correction):
    numbers = {"before": before, "after": after, "without a model": without}
    return {
        "measure": measure,
        **{name: round(float(number), 4) for name, number in numbers.items()},
        "correction": correction,
    }


def table_of(rows):
    """One dict per target and measure: means over the seeds, and for how many seeds calibration helped."""
    names = ["before", "after", "without a model"]
    frame = pd.DataFrame(rows.rows).astype(dict.fromkeys(names, float))
    found = []
    for (target, slides, measure), part in frame.groupby(["target", "slides", "measure"]):
        helped = int((part["after"] < part["before"]).sum())
        means = {name: f"{part[name].mean():.3f}" for name in names}
        about = {"target": target, "slides": slides, "measure": measure}
        found.append({**about, **means, "better in": f"{helped} of {len(part)}"})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    rows = KeptRows(RESULTS / "calibration_runs.csv", KEY, COLUMNS)
    measures = {"pattern": measures_of_classes, "survival": measures_of_survival}
    for seed in options.seeds:
        for target, measure in measures.items():
            key = (target, SLIDES[target], seed)
            if key not in rows:
                for row in measure(*cohort_of(target, seed), seed):
                    rows.add(dict(zip(KEY, key)) | row | {"machine": machine()})
                    print(rows.rows[-1], flush=True)
    report("calibration", table_of(rows), "Out-of-fold probabilities before and after calibration; lower is better")


if __name__ == "__main__":
    main()
