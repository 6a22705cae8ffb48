"""Two magnifications in one grid, against one: mosaic slides of real patches, published encoder, held-out sources.

Slides, patients, folds and seeds are the same for both arms; only `SlideCompressor(mpp=...)` differs. The growth
pattern depends on arrangement, the hotspot on a local density: both on what surrounds a cell.

`--control` asks why: on grids of that size, without slides, the coarse channels are replaced by the mean of the fine
embeddings in each block of 4 x 4 cells, which the encoder was made for, or by noise.
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


def compared(a, b, measure):
    """Paired comparison of two arms, each a list of `predictions` per cohort; scores are means over the cohorts."""
    from sknic.evaluation import compare

    cohorts = np.concatenate([np.full(len(run[1]), seed) for seed, run in enumerate(a)])
    # A patient of one cohort is not that of another with the same name.
    groups = np.concatenate([[f"{seed} {name}" for name in run[2]] for seed, run in enumerate(a)])
    y = np.concatenate([run[1] for run in a])
    y = y if y.dtype.kind == "f" else (y == np.unique(y)[1]).astype(float)
    found = [np.concatenate([run[0] for run in arm]) for arm in (a, b)]

    def within_cohorts(true, predicted):
        rows = [true[:, 1] == seed for seed in range(len(a))]
        return np.mean([measure(true[row, 0], predicted[row, 0]) for row in rows])

    return compare(within_cohorts, *(np.column_stack([values, cohorts]) for values in (y, *found)), groups=groups)


def with_context(grid, how, rng):
    """The grid with as many channels more, the same in each block of 4 x 4 cells."""
    from sknic.grids import Grid

    fine = np.asarray(grid.embeddings, np.float32)
    blocks, block = np.unique(grid.cells // 4, axis=0, return_inverse=True)
    block = block.ravel()
    if how == "noise":
        coarse = rng.normal(size=(len(blocks), fine.shape[1])) * fine.std(axis=0) + fine.mean(axis=0)
    else:
        coarse = np.zeros((len(blocks), fine.shape[1]))
        np.add.at(coarse, block, fine)
        coarse /= np.bincount(block)[:, None]
    return Grid(np.concatenate([fine, coarse[block]], axis=1), grid.cells, grid.shape)


def control(n_slides, n_seeds):
    from sknic import load_encoder
    from sknic.datasets import make_grid_cohort
    from sknic.evaluation import spearman

    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"))
    options = {"shape": (20, 20), "bank_size": 200, "parts": {"train": 0.6, "test": 0.4}}
    runs: dict[str, list] = {"no context": [], "mean of the block": [], "noise": []}
    for seed in range(n_seeds):
        cohort = make_grid_cohort(test_data("patches"), n_slides, encoder, random_state=seed, **options)
        rng = np.random.default_rng(seed)
        for how, kept in runs.items():
            grids = np.empty(len(cohort), object)
            grids[:] = [grid if how == "no context" else with_context(grid, how, rng) for grid in cohort.grids]
            kept.append(predictions(cohort, grids, "hotspot", seed))
            print(how, seed, flush=True)
    rows = []
    for how in list(runs)[1:]:
        found = compared(runs[how], runs["no context"], spearman)
        scores = {"with it": str(found.a), "without": str(found.b), "difference": str(found.difference)}
        rows.append({"further channels": how, **scores, "patients": found.a.n})
    report("magnifications_control", rows, "Hotspot, Spearman, mean of cohorts, held-out sources")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slides", type=int, default=72)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--control", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.control:
        control(options.slides, options.seeds)
        return
    from sknic.evaluation import auc, spearman

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
        one, two = ([runs[target, arm, seed] for seed in range(options.seeds)] for arm in MPPS)
        found = compared(two, one, {"auc": auc, "spearman": spearman}[name])
        seconds = [round(np.median([run[3] for run in arm]), 1) for arm in (one, two)]
        rows.append(
            {
                "target": f"{target}, {name}",
                **dict(zip(MPPS, (str(found.b), str(found.a)))),
                "difference": str(found.difference),
                "test slides": sum(len(run[1]) for run in one),
                "patients": found.a.n,
                "training, s": " / ".join(map(str, seconds)),
            }
        )
    report("magnifications", rows, "Two magnifications against one (mean of cohorts, held-out sources)")


if __name__ == "__main__":
    main()
