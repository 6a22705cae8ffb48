"""How much of the scatter over seeds is the training's, and how much the cohort's?

In `recipes.py` a seed makes a cohort and trains on it. Here one cohort (that of seed 0 there) is learnt with several
seeds of the training, so that the two can be told apart. Each fit is written when it ends, to a file next to the table
(`training_seeds_fits.csv`), so an interrupted run can be resumed.
"""

import argparse

import pandas as pd

from benchmarks import recipes
from benchmarks.common import RESULTS, joined, machine, report
from benchmarks.kept_rows import KeptRows

# Where the default's range over the seeds of `recipes.py` is more than half of that of the paper's training.
ROWS = (
    "survival:sknic-he-1:160",
    "pattern:sknic-he-1:24",
    "tumour_fraction:mean-rgb:120",
    "tumour_fraction:bigan:80",
)
COHORT = 0
KEY = ("target", "encoder", "slides", "training", "method")
COLUMNS = (*KEY, "measure", "test slides", "machine")


def run(options, rows):
    """Fit whatever is not in the rows yet."""
    for row in options.rows:
        due = [key for method in options.methods for seed in options.seeds if (key := (*row, seed, method)) not in rows]
        if not due:
            continue
        whole, test = recipes.cohort_of(options, *recipes.cohort_for(row), COHORT)
        train = whole.select(range(min(row[-1], len(whole))))
        for key in due:
            *_, seed, method = key
            measure, _, seconds = recipes.fit_and_measure(row[0], method, seed, train, test)
            rows.add(dict(zip(COLUMNS, (*key, float(measure), len(test), machine()))))
            print(f"{', '.join(map(str, key))}: {measure:.3f} in {seconds:.0f} s", flush=True)


def table_of(rows, of_cohorts):
    """One dict per target, encoder, size and method: mean and range over trainings, and over as many cohorts."""
    frame = pd.DataFrame(rows.rows).astype({"measure": float, "slides": int, "training": int})
    of_cohorts = of_cohorts.astype({"slides": int, "seed": int})
    found = []
    for key, part in frame.groupby(["target", "encoder", "slides", "method"], sort=True):
        row = dict(zip(("target", "encoder", "slides", "method"), key))
        same = (of_cohorts[list(row)] == pd.Series(row)).all(axis=1) & of_cohorts["seed"].isin(part["training"])
        row |= _summary("training seeds, one cohort", part["measure"])
        row |= _summary("as many cohorts", of_cohorts.loc[same, "measure"])
        found.append(row | {"machine": joined(part["machine"])})
    return found


def _summary(name, measures):
    return {
        name: f"{measures.mean():.3f} ({measures.min():.3f} to {measures.max():.3f})",
        f"range, {name}": round(float(measures.max() - measures.min()), 3),
        f"number, {name}": len(measures),
    }


def read_options(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=recipes.row_of, nargs="+", help="target:encoder:slides ...")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4], help="of the training")
    parser.add_argument("--methods", choices=tuple(recipes.METHODS), nargs="+", default=["default", "paper"])
    options = recipes.parsed(parser, argv)
    options.rows = options.rows or [recipes.row_of(text) for text in ROWS]
    return options


def main(argv=None):
    options = read_options(argv)
    rows = KeptRows(RESULTS / "training_seeds_fits.csv", KEY, COLUMNS)
    run(options, rows)
    of_cohorts = pd.read_csv(RESULTS / "recipes_fits.csv")
    report("training_seeds", table_of(rows, of_cohorts), "240 test slides of other patients and sources; mean (range)")


if __name__ == "__main__":
    main()
