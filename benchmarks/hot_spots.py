"""Is the branch for hot spots a good default? Ranks, level and scale of predictions with it and without it.

The hot spots of `recipes.py` are densities in a Gaussian window of 2 cells, which suits the branch. Here, smaller and
larger ones are learnt as well, and survival that depends on none; and beside each rank stands the error of the numbers
themselves. Cohorts are made as in `recipes.py`, with survival drawn anew for each hazard. A model is tested on slides
of other patients twice: of the same source images, as in a cross-validation, and of other ones, as in another
laboratory. Each fit is written when it ends, to a file next to the table (`hot_spots_fits.csv`), so an interrupted run
can be resumed.

Measures by target:

    numbers   rank: Spearman      error: root mean squared, in standard deviations of the test slides
    pattern   rank: AUC           error: log loss
    survival  rank: concordance   error: integrated Brier score

"constant" is the error of a prediction that ignores the slide: the training's mean or share, or the Kaplan-Meier curve
of the test slides. Bias is the mean prediction minus the mean truth (in standard deviations, as a probability, or as a
log hazard, whose mean over the training is that of the risk). Slope is that of the truth on the prediction (of the true
log hazard on the risk): 1 is the right scale, less is a prediction that is too extreme.
"""

import argparse
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss

from benchmarks import recipes
from benchmarks.common import RESULTS, joined, machine, report
from benchmarks.kept_rows import KeptRows
from benchmarks.paper.ceiling import densest
from sknic import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
from sknic.datasets.drawing.layout import HOT
from sknic.datasets.drawing.targets import LOG_HAZARD, draw_survival
from sknic.evaluation import aggregate, auc, concordance, evaluation_times, r2, spearman, survival_scores

METHODS = {"without": {"hotspot_branch": False}, "with": {"hotspot_branch": True}}
NUMBERS = ("hotspot-1", "hotspot-2", "hotspot-4", "share")
# The score that survival depends on, and log hazards of the growth pattern and of a standard deviation of the score;
# together they spread by about 1 everywhere.
HAZARDS = {
    "survival-hotspot-1": ("hotspot-1", LOG_HAZARD),
    "survival-hotspot-2": ("hotspot-2", LOG_HAZARD),
    "survival-hotspot-4": ("hotspot-4", LOG_HAZARD),
    "survival-share": ("share", (0.0, 1.0)),
    "survival-pattern": ("share", (2.0, 0.0)),
}
TARGETS = (*NUMBERS, "pattern", *HAZARDS)
ROWS = (
    *(f"{target}:multitask-4:160" for target in (*HAZARDS, "hotspot-1", "hotspot-4")),
    *(f"{target}:sknic-he-1:160" for target in ("survival-hotspot-4", "survival-share", "survival-pattern")),
    *(f"{target}:multitask-4:24" for target in ("share", "pattern")),
    "share:bigan:40",
    "pattern:bigan:60",
    "share:mean-rgb:120",
)
# Slides of the sources that models learn from: enough for the largest training, and for a test.
N_SAME = 240
KEY = ("target", "encoder", "slides", "seed", "method")
MEASURES = ("rank", "best rank", "error", "error of a constant", "bias", "slope")
SOURCES = ("same", "other")
COLUMNS = (*KEY, *(f"{measure}, {sources} images" for sources in SOURCES for measure in MEASURES), "machine")


def run(options, rows):
    """Fit whatever is not in the rows yet."""
    for seed in options.seeds:
        for encoder in dict.fromkeys(encoder for _, encoder, _ in options.rows):
            of_encoder = [row for row in options.rows if row[1] == encoder]
            due = [key for row in of_encoder for method in METHODS if (key := (*row, seed, method)) not in rows]
            if not due:
                continue
            whole, other = recipes.cohort_of(options, encoder, N_SAME, seed)
            for target, _, size, _, method in due:
                found = fit_and_measure(target, method, seed, *parts_of(whole, size), other)
                rows.add(dict(zip(KEY, (target, encoder, size, seed, method))) | found | {"machine": machine()})
                print(target, encoder, size, seed, method, found, flush=True)


def parts_of(cohort, size):
    """The first slides, to learn from, and those of other patients."""
    train = cohort.select(np.arange(size))
    return train, cohort.select(np.flatnonzero(~np.isin(cohort.patients, train.patients)))


def fit_and_measure(target, method, seed, train, same, other):
    """The measures of one fit, on slides of either kind of sources."""
    task = task_of(target, seed)
    y = task.learnt(train)
    model = task.model(**METHODS[method], random_state=seed, n_threads=1).fit(train.grids, y, groups=train.patients)
    found = {}
    for number, (sources, test) in enumerate(zip(SOURCES, (same, other)), 1):
        measured = dict.fromkeys(MEASURES, np.nan) | task.measured(model, train, test, number)
        found |= {f"{name}, {sources} images": round(float(value), 6) for name, value in measured.items()}
    return found


def task_of(target, seed):
    """What is learnt of a target, by which estimator, and how it is measured."""
    kind = OfSurvival if target in HAZARDS else OfPattern if target == "pattern" else OfNumbers
    return kind(target, seed)


@dataclass(frozen=True)
class Task:
    """What is learnt of a target; the seed is that of its survival."""

    target: str
    seed: int


class OfNumbers(Task):
    """Learning a score of each slide."""

    model = GridCNNRegressor

    def learnt(self, cohort):
        return scores_of(cohort, self.target)

    def measured(self, model, train, test, number):
        truth, predicted = self.learnt(test), model.predict(test.grids)
        return {
            "rank": spearman(truth, predicted),
            "error": np.sqrt(1 - r2(truth, predicted)),
            "error of a constant": np.sqrt(1 - r2(truth, np.full(len(truth), self.learnt(train).mean()))),
            "bias": (predicted.mean() - truth.mean()) / truth.std(),
            "slope": slope(truth, predicted),
        }


class OfPattern(Task):
    """Learning the growth pattern."""

    model = GridCNNClassifier

    def learnt(self, cohort):
        return recipes.truth(cohort, self.target)

    def measured(self, model, train, test, number):
        truth, probability = self.learnt(test), model.predict_proba(test.grids)[:, 1].astype(float)
        return {
            "rank": auc(truth, probability),
            "error": log_loss(truth, np.clip(probability, 1e-6, 1 - 1e-6)),
            "error of a constant": log_loss(truth, np.full(len(truth), self.learnt(train).mean())),
            "bias": probability.mean() - truth.mean(),
        }


class OfSurvival(Task):
    """Learning survival by a hazard."""

    model = GridCoxSurvival

    def learnt(self, cohort):
        return survival_by(self.target, cohort, self.seed)[0]

    def measured(self, model, train, test, number):
        outcome, hazard = survival_by(self.target, test, self.seed + 1000 * number)
        outputs, times = model.run_networks(test.grids), evaluation_times(outcome, None)
        risk = model.predict(outputs)
        lived = np.c_[np.ones(len(test)), model.predict_survival_function(outputs, return_array=True)]
        lived = lived[:, np.searchsorted(model.event_times_, times, side="right")]
        brier = survival_scores(outcome, risk, None, lived, times, groups=test.patients, n_resamples=2)
        of_patient = aggregate(outcome, test.patients, how="same")[1]
        by_patient = [aggregate(values, test.patients)[1] for values in (risk, hazard)]
        return {
            "rank": concordance(of_patient, by_patient[0]),
            "best rank": concordance(of_patient, by_patient[1]),
            "error": brier["integrated_brier"].value,
            "error of a constant": brier["kaplan_meier_brier"].value,
            "bias": risk.mean() - (hazard.mean() - survival_by(self.target, train, self.seed)[1].mean()),
            "slope": slope(hazard, risk),
        }


def survival_by(target, cohort, seed):
    """Outcome of each slide's patient by the hazard of a target, and the log hazard; the same for both methods."""
    score, log_hazard = HAZARDS[target]
    table = cohort.table.drop(columns=["time", "event", "log_hazard"]).assign(hotspot=scores_of(cohort, score))
    drawn = draw_survival(table, np.random.RandomState(seed), log_hazard)
    outcome = np.array(list(zip(drawn["event"], drawn["time"])), dtype=cohort.survival.dtype)
    return outcome, drawn["log_hazard"].to_numpy(float)


def scores_of(cohort, name):
    """A number of each slide: its share of tumour, or the highest density of hot cells in a window of so many cells."""
    if name == "share":
        return cohort.table["tumour_fraction"].to_numpy(float)
    sigma = float(name.removeprefix("hotspot-"))
    return np.array([densest((cells == HOT).astype(float), sigma) for cells in cohort.tissue])


def slope(truth, predicted):
    """Of the line through truth as a function of the prediction."""
    return np.polyfit(predicted, truth, 1)[0]


def table_of(rows):
    """Two dicts per target, encoder and size, one for either kind of sources: means without and with the branch."""
    frame = pd.DataFrame(rows.rows)
    found = []
    for key, part in frame.groupby(list(KEY[:3]), sort=True):
        by_method = {name: of.set_index("seed") for name, of in part.groupby("method")}
        seeds = by_method["with"].index.intersection(by_method["without"].index)
        for sources in SOURCES:
            columns = {f"{measure}, {sources} images": measure for measure in MEASURES}
            before, after = (
                by_method[name].loc[seeds, list(columns)].rename(columns=columns).astype(float) for name in METHODS
            )
            row = dict(zip(KEY, key)) | {"images": sources, "seeds": len(seeds)}
            for name in ("rank", "error", "bias", "slope"):
                row[name] = f"{before[name].mean():.3f} -> {after[name].mean():.3f}"
            row["better rank"] = f"{(after['rank'] > before['rank']).sum()} of {len(seeds)}"
            row["smaller error"] = f"{(after['error'] < before['error']).sum()} of {len(seeds)}"
            row["best rank"] = f"{before['best rank'].mean():.3f}"
            row["error of a constant"] = f"{before['error of a constant'].mean():.3f}"
            found.append(row | {"machine": joined(part["machine"])})
    return found


def read_options(description, rows, argv):
    """Options of a benchmark of these targets; `rows` are its own, "target:encoder:slides"."""
    row_of = partial(recipes.row_of, targets=TARGETS)
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument(
        "--rows", type=row_of, nargs="+", default=[*map(row_of, rows)], help="target:encoder:slides ..."
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    return recipes.parsed(parser, argv)


def main(argv=None):
    options = read_options(__doc__, ROWS, argv)
    rows = KeptRows(RESULTS / "hot_spots_fits.csv", KEY, COLUMNS)
    run(options, rows)
    report("hot_spots", table_of(rows), "without -> with the branch; test slides of other patients")


if __name__ == "__main__":
    main()
