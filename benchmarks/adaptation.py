"""Can a model be adapted to the slides of another laboratory without their outcomes?

Channels are standardized over the tissue of the training slides. Here, each model also predicts slides made of other
images with the channels standardized over the tissue of these slides instead, of all or of the first twenty. Cohorts,
targets and measures are those of `hot_spots.py`. Each fit is written when it ends, to a file next to the table
(`adaptation_fits.csv`), so an interrupted run can be resumed.
"""

import copy

import numpy as np
import pandas as pd

from benchmarks import recipes
from benchmarks.common import RESULTS, joined, machine, report
from benchmarks.hot_spots import N_SAME, parts_of, read_options, task_of
from benchmarks.kept_rows import KeptRows
from sknic.estimators.scaling import ChannelScaling

ROWS = (
    "share:multitask-4:24",
    "pattern:multitask-4:24",
    "hotspot-2:multitask-4:160",
    "survival-hotspot-2:multitask-4:160",
    "share:sknic-he-1:24",
    "pattern:sknic-he-1:24",
)
FEW = 20
KEY = ("target", "encoder", "slides", "seed", "test")
MEASURES = ("rank", "error", "error of a constant", "bias")
COLUMNS = (*KEY, *MEASURES, "machine")


def run(options, rows):
    """Fit whatever is not in the rows yet."""
    for seed in options.seeds:
        for encoder in dict.fromkeys(encoder for _, encoder, _ in options.rows):
            due = [row for row in options.rows if row[1] == encoder and (*row, seed, "same images") not in rows]
            if not due:
                continue
            whole, other = recipes.cohort_of(options, encoder, N_SAME, seed)
            for row in due:
                for test, measured in measures_of(row, seed, whole, other).items():
                    values = {name: round(float(measured.get(name, np.nan)), 6) for name in MEASURES}
                    rows.add(dict(zip(KEY, (*row, seed, test))) | values | {"machine": machine()})
                print(*row, seed, flush=True)


def measures_of(row, seed, whole, other):
    """Measures of one model, by what it is tested on; "same images" is the last one, which says that all are there."""
    task = task_of(row[0], seed)
    train, same = parts_of(whole, row[2])
    model = task.model(random_state=seed, n_threads=1).fit(train.grids, task.learnt(train), groups=train.patients)
    tested = {
        "other images": (model, other, 2),
        "other images, adapted": (adapted(model, other.grids), other, 2),
        f"other images, adapted to {FEW}": (adapted(model, other.grids[:FEW]), other, 2),
        "same images": (model, same, 1),
    }
    return {test: task.measured(of, train, cohort, number) for test, (of, cohort, number) in tested.items()}


def adapted(model, grids):
    """The same networks, with the channels standardized over the tissue of other grids."""
    scaling, other = ChannelScaling.of(grids), copy.copy(model)
    other.channel_mean_, other.channel_scale_ = scaling.mean, scaling.scale
    other.slide_mean_ = other.slide_scale_ = None  # these slides are not those of the training
    return other


def table_of(rows):
    """One dict per target and encoder: the mean error and rank of each test."""
    frame = pd.DataFrame(rows.rows).astype(dict.fromkeys(MEASURES, float) | {"slides": int})
    found = []
    for key, part in frame.groupby(list(KEY[:3]), sort=True):
        row = dict(zip(KEY, key)) | {"seeds": part["seed"].nunique()}
        for test, of in part.groupby("test", sort=False):
            error, rank, bias = of[["error", "rank", "bias"]].mean()
            row[f"{test}: error (rank, bias)"] = f"{error:.3f} ({rank:.3f}, {bias:.2f})"
        found.append(row | {"machine": joined(part["machine"])})
    return found


def main(argv=None):
    options = read_options(__doc__, ROWS, argv)
    rows = KeptRows(RESULTS / "adaptation_fits.csv", KEY, COLUMNS)
    run(options, rows)
    report("adaptation", table_of(rows), "channels standardized over the new slides; errors as in hot_spots.py")


if __name__ == "__main__":
    main()
