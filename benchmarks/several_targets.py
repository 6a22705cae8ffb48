"""Two scores in one network, one of them with 30 % missing labels, against a network for each.

Cohorts are those of `make_grid_cohort` (real patches, published encoder): the share of tumour and the hotspot. The
labels of the hotspot are removed at random from 30 % of the training slides; the network for it alone learns from the
slides that are left. Sources of the test part are not those of the training part, and its labels are all known.
"""

import argparse
import time
import warnings

import numpy as np

from benchmarks.common import report
from benchmarks.patient_bags import SETTINGS, cohort_of

TARGETS = ("tumour_fraction", "hotspot")


def predictions(cohort, seed):
    """Predictions of the test slides by one network for both and by one for each, (n, 2); truth, patients, seconds."""
    from sknic import GridCNNRegressor

    train = (cohort.table["part"] == "train").to_numpy()
    grids = np.empty(len(train), object)
    grids[:] = cohort.grids
    y, groups = cohort.table[list(TARGETS)].to_numpy(float), cohort.patients
    learnt = y[train].copy()
    learnt[np.random.default_rng(seed).random(train.sum()) < 0.3, 1] = np.nan
    model = GridCNNRegressor(**SETTINGS, random_state=seed)
    begun = time.perf_counter()
    joint = model.fit(grids[train], learnt, groups=groups[train]).predict(grids[~train])
    middle = time.perf_counter()
    single = []
    for column in learnt.T:
        known = ~np.isnan(column)
        model.fit(grids[train][known], column[known], groups=groups[train][known])
        single.append(model.predict(grids[~train]))
    return joint, np.column_stack(single), y[~train], groups[~train], middle - begun, time.perf_counter() - middle


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=240)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    from sknic.evaluation import compare, spearman

    def within_cohorts(true, predicted):
        """Mean of the cohorts' correlations; the second column of both numbers the cohort."""
        rows = [true[:, 1] == seed for seed in range(options.seeds)]
        return np.mean([spearman(true[row, 0], predicted[row, 0]) for row in rows])

    runs = [predictions(cohort_of(options.slides, seed), seed) for seed in range(options.seeds)]
    joint, single, y = (np.concatenate([run[part] for run in runs]) for part in range(3))
    cohort = np.concatenate([np.full(len(run[3]), seed) for seed, run in enumerate(runs)])
    # A patient of one cohort is not that of another with the same name.
    groups = np.concatenate([[f"{seed} {name}" for name in run[3]] for seed, run in enumerate(runs)])
    rows = []
    for k, target in enumerate(TARGETS):
        columns = [np.column_stack([values[:, k], cohort]) for values in (y, joint, single)]
        found = compare(within_cohorts, *columns, groups=groups)
        rows.append(
            {
                "target": target,
                "labels known": "100 %" if k == 0 else "70 %",
                "one network for both": str(found.a),
                "a network for each": str(found.b),
                "difference": str(found.difference),
                "test slides": len(y),
                "patients": found.a.n,
                "seconds, both": round(np.median([run[4] for run in runs]), 1),
                "seconds, each (sum)": round(np.median([run[5] for run in runs]), 1),
            }
        )
    report("several_targets", rows, "Two scores in one network (Spearman, mean of cohorts, held-out sources)")


if __name__ == "__main__":
    main()
