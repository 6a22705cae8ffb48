"""How often is `arrangement_test` wrong? Forty cohorts for which the answer is known.

In half of them a slide's class is its growth pattern, which depends only on arrangement; in the other half the target
is the share of tumour, which depends only on amounts, so a model that uses positions has no advantage. Each cohort has
patients, layouts and source images of its own (`make_grid_cohort`, real patches, published encoder). A run is eight
small networks, under a minute of one core, and is kept when it ends.
"""

import argparse
import time

import pandas as pd

from benchmarks.common import RESULTS, machine, report, test_data
from benchmarks.kept_rows import KeptRows

KEY = ("target", "seed")
COLUMNS = (*KEY, "in place", "shuffled", "difference low", "difference high", "used", "seconds", "machine")
# Target, and whether arrangement decides it.
TRUTH = {"pattern": True, "tumour_fraction": False}
N_SLIDES, SHAPE = 60, (24, 24)
SETTINGS = {"n_filters": 32, "max_steps": 300, "n_threads": 1}


def run(target, seed):
    """Test one cohort; the row that is kept."""
    from sknic import GridCNNClassifier, GridCNNRegressor, load_encoder
    from sknic.datasets import make_grid_cohort
    from sknic.evaluation import arrangement_test

    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"))
    cohort = make_grid_cohort(test_data("patches"), N_SLIDES, encoder, shape=SHAPE, reserve=0.0, random_state=seed)
    estimator = (GridCNNClassifier if target == "pattern" else GridCNNRegressor)(**SETTINGS, random_state=seed)
    started = time.process_time()
    options = {"groups": cohort.patients, "attention": False, "random_state": seed}
    found = arrangement_test(estimator, cohort.grids, cohort.table[target].to_numpy(), **options)
    lost = found.shuffled
    values = (lost.a.value, lost.b.value, lost.difference.low, lost.difference.high)
    seconds = round(time.process_time() - started, 1)
    return dict(zip(COLUMNS, (target, seed, *(round(value, 4) for value in values), found.used, seconds, machine())))


def table_of(rows):
    """One dict per target: how often the test was right, and what the model lost."""
    frame = pd.DataFrame(rows.rows).astype({"in place": float, "shuffled": float})
    found = []
    for target, part in frame.groupby("target"):
        right = (part["used"] == str(TRUTH[target])).sum()
        found.append(
            {
                "target": target,
                "arrangement decides": TRUTH[target],
                "cohorts": len(part),
                "right": int(right),
                "cells in place": f"{part['in place'].mean():.3f}",
                "cells shuffled": f"{part['shuffled'].mean():.3f}",
            }
        )
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="cohorts for each target")
    options = parser.parse_args(argv)
    rows = KeptRows(RESULTS / "arrangement_errors_runs.csv", KEY, COLUMNS)
    for seed in range(options.runs):
        for target in TRUTH:
            if (target, seed) not in rows:
                rows.add(run(target, seed))
                print(f"{target}, seed {seed}: {rows.rows[-1]['used']}", flush=True)
    report("arrangement_errors", table_of(rows), f"{N_SLIDES} slides, intervals of 95 % by patient")


if __name__ == "__main__":
    main()
