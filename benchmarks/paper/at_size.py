"""Table 1 and Fig. 6 at the paper's number of slides, on cohorts of grids: which claims hold, with either training.

A step is one cross-validation, of one encoder, training and seed, and is kept, so that an interrupted run can be
resumed. Sources of training and test slides are disjoint, as are their patients. On one core a step takes two to four
minutes.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.common import report, test_data, work_dir
from benchmarks.paper.findings import over_seeds, spread
from benchmarks.recipes import ENCODERS, POLYP, encoder_named
from sknic import CrossValEnsemble, GridCNNRegressor, GridCoxSurvival, load_encoder
from sknic.datasets import make_grid_cohort
from sknic.datasets.patch_folder import read_patch_table
from sknic.estimators import PAPER_RECIPE
from sknic.evaluation import aggregate, concordance, estimate, format_p, split_by_risk
from sknic.files.whole import whole_file

RECIPES = {"default": {}, "paper": PAPER_RECIPE}
# Slides to cross-validate, slides of the external test, and slides of a patient at most, which makes 363 patients.
SIZES = {"table1": (492, 321, 3), "survival": (1571, 0, 12)}
QUICK = {"table1": (32, 16, 3), "survival": (32, 0, 3)}
PAPER = {
    ("table1", "multitask-4"): "0.620; test 0.632 [0.597, 0.664]",
    ("table1", "bigan"): "0.522; test 0.558 [0.519, 0.596]",
    ("survival", "multitask-4"): "log-rank p < 0.01",
}


def main(argv=None):
    options = read_options(argv)
    rows = []
    for claim in options.claims:
        for encoder in options.encoders:
            cohort, test = cohort_of(options, claim, encoder)
            for recipe in options.recipes:
                found = [cross_validate(options, claim, encoder, recipe, seed, cohort, test) for seed in options.seeds]
                row = {"claim": claim, "encoder": encoder, "training": recipe, **MEASURES[claim](cohort, test, found)}
                rows.append({**row, "paper": PAPER.get((claim, encoder), "")})
    columns = dict.fromkeys(name for row in rows for name in row)
    rows = [{name: row.get(name, "") for name in columns} for row in rows]
    caption = "out of fold, 4 folds by patient; mean over seeds with intervals by patient"
    report("at_size_quick" if options.quick else "at_size", rows, caption)


def cohort_of(options, claim, encoder):
    """Grids to cross-validate, and of other patients and sources to test on (None without)."""
    n, n_test, most = options.sizes[claim]
    parts = {"train": n / (n + n_test), "test": n_test / (n + n_test)} if n_test else {"train": 1.0}
    is_polyp = "polyp" in set(read_patch_table(options.patches)["task"])
    whole = make_grid_cohort(
        options.patches,
        n + n_test,
        load_encoder(encoder_named(encoder)),
        roles=POLYP if is_polyp else None,
        shape=(24, 24) if options.quick else (48, 48),
        parts=parts,
        max_slides_per_patient=most,
        random_state=0,
    )
    train, *test = (whole.select(whole.table["part"] == part) for part in parts)
    return train, test[0] if test else None


def cross_validate(options, claim, encoder, recipe, seed, cohort, test):
    """Out-of-fold and test predictions, kept in a file."""
    path = options.out / f"{claim}-{encoder}-{recipe}-seed{seed}.npz"
    if not path.exists():
        started = time.process_time()
        kind, y = (GridCNNRegressor, cohort.score) if claim == "table1" else (GridCoxSurvival, cohort.survival)
        model = kind(**{**RECIPES[recipe], **options.settings}, random_state=seed, n_threads=1)
        ensemble = CrossValEnsemble(model, cv=4, random_state=seed, n_jobs=options.n_jobs)
        ensemble.fit(cohort.grids, y, groups=cohort.patients)
        of_test = np.empty(0) if test is None else ensemble.predict(test.grids)
        columns = {"oof": ensemble.oof_prediction_, "baseline": ensemble.baseline_prediction_, "test": of_test}
        with whole_file(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, seconds=time.process_time() - started, **columns)
        print(f"{path.stem}: {ensemble.oof_verdict(n_resamples=200)}", flush=True)
    with np.load(path) as file:
        return dict(file)


def score_row(cohort, test, found):
    """Spearman's correlation out of fold, of the baseline, and on the test slides."""
    metric = over_seeds("spearman")
    oof, baseline, of_test = (np.stack([part[name] for part in found], axis=1) for name in ("oof", "baseline", "test"))
    return {
        "slides": len(cohort),
        "patients": len(set(cohort.patients)),
        "out of fold": str(estimate(metric, cohort.score, oof, groups=cohort.patients)),
        "seeds": spread("spearman", cohort.score, oof),
        "mean + linear": str(estimate(metric, cohort.score, baseline, groups=cohort.patients)),
        "test": str(estimate(metric, test.score, of_test, groups=test.patients)),
        "minutes": float(np.sum([part["seconds"] for part in found])) / 60,
    }


def survival_row(cohort, test, found):
    """Concordance by patient beside what the true hazard allows, and the log-rank test at the median risk."""
    outcome = aggregate(cohort.survival, cohort.patients, how="same")[1]
    risk, baseline = (
        np.stack([aggregate(part[name], cohort.patients)[1] for part in found], axis=1) for name in ("oof", "baseline")
    )
    hazard = aggregate(cohort.table["log_hazard"], cohort.patients)[1]
    splits = [split_by_risk(cohort.survival, part["oof"], groups=cohort.patients) for part in found]
    return {
        "slides": len(cohort),
        "patients": len(outcome),
        "out of fold": str(estimate(over_seeds("concordance"), outcome, risk)),
        "seeds": spread("concordance", outcome, risk),
        "mean + linear": str(estimate(over_seeds("concordance"), outcome, baseline)),
        "true hazard": f"{concordance(outcome, hazard):.3f}",
        "log-rank": "; ".join(format_p(split.p_value) for split in splits),
        "minutes": float(np.sum([part["seconds"] for part in found])) / 60,
    }


MEASURES = {"table1": score_row, "survival": survival_row}


def read_options(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=Path)
    parser.add_argument("--claims", choices=SIZES, nargs="+", default=tuple(SIZES))
    parser.add_argument("--encoders", choices=ENCODERS, nargs="+", default=("multitask-4", "bigan"))
    parser.add_argument("--recipes", choices=RECIPES, nargs="+", default=tuple(RECIPES))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    parser.add_argument("--n-jobs", type=int, default=2, help="folds at once")
    parser.add_argument("--quick", action="store_true", help="32 slides of 24 x 24 cells, two steps: does it run?")
    options = parser.parse_args(argv)
    options.patches = options.patches or test_data("patches")
    options.sizes = QUICK if options.quick else SIZES
    options.settings = {"max_steps": 2} if options.quick else {}
    options.out = work_dir("at_size_quick" if options.quick else "at_size")
    return options


if __name__ == "__main__":
    main()
