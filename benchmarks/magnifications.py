"""Two magnifications in one grid, against one: mosaic slides of real patches, published encoder, held-out sources.

Slides, patients, folds and seeds are the same for both arms; only `SlideCompressor(mpp=...)` differs. The growth
pattern depends on arrangement, the hotspot on a local density: both on what surrounds a cell.
"""

import argparse
import time
import warnings

import numpy as np

from benchmarks.common import report, test_data, work_dir
from benchmarks.patient_bags import SETTINGS, said

METRICS = {"pattern": "auc", "hotspot": "spearman", "tumour_fraction": "spearman"}
MPPS = {"one magnification": 0.5, "two magnifications": [0.5, 2.0]}


def cohort_of(n_slides, seed):
    from sknic.datasets import make_mosaic_cohort

    folder = work_dir("magnifications") / f"{n_slides}-{seed}"
    options = {"shape": (20, 20), "parts": {"train": 0.6, "test": 0.4}, "random_state": seed}
    return make_mosaic_cohort(test_data("patches"), n_slides, folder, **options)


def grids_of(cohort, mpp):
    from sknic import SlideCompressor, load_encoder

    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"))
    return SlideCompressor(encoder, mpp=mpp, cache_dir=work_dir("magnifications") / "grids").transform(cohort.paths)


def predictions(cohort, grids, target, seed):
    """Prediction of each test slide, and seconds of training."""
    from sknic import GridCNNClassifier, GridCNNRegressor

    train = (cohort.table["part"] == "train").to_numpy()
    y = cohort.table[target].to_numpy(str if target == "pattern" else float)
    kind = GridCNNClassifier if target == "pattern" else GridCNNRegressor
    begun = time.perf_counter()
    model = kind(**SETTINGS, random_state=seed).fit(grids[train], y[train], groups=cohort.patients[train])
    return said(model, grids[~train]), y[~train], cohort.patients[~train], time.perf_counter() - begun


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=72)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    from sknic.evaluation import auc, compare, spearman

    runs = {}
    for seed in range(options.seeds):
        cohort = cohort_of(options.slides, seed)
        for arm, mpp in MPPS.items():
            grids = grids_of(cohort, mpp)
            for target in METRICS:
                runs[target, arm, seed] = predictions(cohort, grids, target, seed)
                print(target, arm, seed, flush=True)
    rows = []
    for target, name in METRICS.items():
        measure = {"auc": auc, "spearman": spearman}[name]
        of_arm = {arm: [runs[target, arm, seed] for seed in range(options.seeds)] for arm in MPPS}
        one, two = of_arm.values()
        cohorts = np.concatenate([np.full(len(run[1]), seed) for seed, run in enumerate(one)])
        groups = np.concatenate([[f"{seed} {name}" for name in run[2]] for seed, run in enumerate(one)])
        y = np.concatenate([run[1] for run in one])
        y = (y == np.unique(y)[1]).astype(float) if target == "pattern" else y
        truth, b, a = (
            np.column_stack([values, cohorts])
            for values in (y, *(np.concatenate([run[0] for run in arm]) for arm in (one, two)))
        )

        def within_cohorts(true, predicted, measure=measure):
            """Mean over the cohorts; the second column of both numbers the cohort."""
            of_cohort = [true[:, 1] == seed for seed in range(options.seeds)]
            return np.mean([measure(true[these, 0], predicted[these, 0]) for these in of_cohort])

        found = compare(within_cohorts, truth, a, b, groups=groups)
        seconds = {arm: round(np.median([run[3] for run in of_arm[arm]]), 1) for arm in MPPS}
        rows.append(
            {
                "target": f"{target}, {name}",
                **dict(zip(MPPS, (str(found.b), str(found.a)))),
                "difference": str(found.difference),
                "test slides": len(y),
                "patients": found.a.n,
                "training, s": " / ".join(map(str, seconds.values())),
            }
        )
    report("magnifications", rows, "Two magnifications against one (mean of cohorts, held-out sources)")


if __name__ == "__main__":
    main()
