"""Table 1 and Figs. 4 to 6 at the paper's number of slides, on cohorts of grids: which claims hold?

The claim "hazard" is not from the paper: the hazard itself, which is not known for real patients, is learnt from the
slides of "survival". Its concordance shows what grids and network allow when no death is censored or due to chance.

A step is one cross-validation, of one encoder, training and seed. Its predictions are kept next to the table, so that
an interrupted run can be resumed, and the tables contain every step that is kept. Sources of training and test slides
are disjoint, as are their patients. On one core a step takes two to five minutes.

`--patches` is a folder in a form that `load_patch_folder` reads; the slides are assembled from its task "polyp" if it
has one, otherwise from "colorectal". `--encoders` are published or bundled ones, by name, or files.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import ONE_NETWORK, RESULTS, joined, machine, report, test_data, work_dir
from benchmarks.paper.findings import over_seeds, spread, told
from benchmarks.paper.growth_pattern import is_desmoplastic
from benchmarks.recipe_ideas import BranchDropout
from benchmarks.recipes import POLYP, encoder_named, tissue_of
from sknic import CrossValEnsemble, GridCNNClassifier, GridCNNRegressor, GridCoxSurvival, MeanRGBEncoder, load_encoder
from sknic.datasets import make_grid_cohort
from sknic.estimators import PAPER_RECIPE
from sknic.evaluation import aggregate, compare, concordance, estimate, format_p, split_by_risk
from sknic.files.whole import whole_file

RECIPES = {
    "default": {},
    "paper": PAPER_RECIPE,
    "one-network": ONE_NETWORK,
    "hot-spots": {**ONE_NETWORK, "hotspot_branch": True},
    "cnn-alone": {**ONE_NETWORK, "pooled_branch": False},
    "members-of-600": {**ONE_NETWORK, "n_members": 3, "max_steps": 600},
    # The default of survival before it had a branch for hot spots.
    "three-networks": {**ONE_NETWORK, "n_members": 3},
    # The default before the branch learnt from some channels at a time.
    "whole-branch": {**ONE_NETWORK, "callbacks": [BranchDropout(0.0)]},
}
RIVAL = "multitask-4"
PAPER = {
    ("table1", "multitask-4"): "0.620; test 0.632 [0.597, 0.664]",
    ("table1", "bigan"): "0.522; test 0.558 [0.519, 0.596]",
    ("pattern", "multitask-4"): "0.895; log-rank p < 0.001",
    ("survival", "multitask-4"): "log-rank p < 0.01",
}


@dataclass(frozen=True)
class Claim:
    """One experiment.

    Attributes
    ----------
    slides, test_slides, per_patient : int
        Slides to cross-validate, slides of the external test, and most slides of a patient: 12 make about 363 patients.
    model : type
        Estimator of grids.
    truth : callable
        What the model learns of a cohort.
    metric : str
    measured : callable
        Takes a cohort and predictions (n_slides, n_seeds), and returns what the metric compares: truth, predictions
        and patients, one row per slide or per patient.
    """

    slides: int
    test_slides: int
    per_patient: int
    model: type
    truth: Callable
    metric: str
    measured: Callable


def by_slide(truth):
    return lambda cohort, predictions: (truth(cohort), predictions, cohort.patients)


def by_patient(cohort, predictions):
    """Outcome of each patient and the mean risk of the patient's slides."""
    outcome = aggregate(cohort.survival, cohort.patients, how="same")[1]
    return outcome, np.stack([aggregate(column, cohort.patients)[1] for column in predictions.T], axis=1), None


def score(cohort):
    return cohort.score


def survival(cohort):
    return cohort.survival


def log_hazard(cohort):
    return cohort.table["log_hazard"].to_numpy(float)


CLAIMS = {
    "table1": Claim(492, 321, 3, GridCNNRegressor, score, "spearman", by_slide(score)),
    "pattern": Claim(1571, 0, 12, GridCNNClassifier, is_desmoplastic, "auc", by_slide(is_desmoplastic)),
    "survival": Claim(1571, 0, 12, GridCoxSurvival, survival, "concordance", by_patient),
    "hazard": Claim(1571, 0, 12, GridCNNRegressor, log_hazard, "concordance", by_patient),
}


def main(argv=None):
    options = read_options(argv)
    for name in options.claims:
        for encoder in options.encoders:
            run_missing(options, name, encoder)
    rows, differences = [], []
    for name in CLAIMS:
        found = kept_steps(options, name)
        if found:
            cohort, test = cohort_of(options, name, MeanRGBEncoder(device="cpu"))  # for its table alone
            rows += [row_of(name, *key, list(steps.values()), cohort, test) for key, steps in found.items()]
            differences += differences_of(name, found, cohort, test)
    kind = kind_of(options)
    caption = "out of fold, 4 folds by patient; mean over seeds, intervals by patient"
    report(f"at_size{kind}", filled(rows), caption)
    if differences:
        report(f"at_size_differences{kind}", filled(differences), f"against {RIVAL}, same slides, folds and seeds")


def kind_of(options):
    """End of the names of the tables: the tissue, and whether it was only tried."""
    return f"_{options.tissue}_quick" if options.quick else f"_{options.tissue}"


def filled(rows):
    """Rows that all have the same columns."""
    columns = dict.fromkeys(name for row in rows for name in row)
    return [{name: row.get(name, "") for name in columns} for row in rows]


def run_missing(options, name, encoder):
    """Cross-validate what is not kept yet; the grids are made only if something is missing."""
    keys = [(recipe, seed) for recipe in options.recipes for seed in options.seeds]
    due = [key for key in keys if not path_of(options, name, encoder, *key).exists()]
    if due:
        loaded = loaded_encoder(encoder)
        cohort, test = cohort_of(options, name, loaded)
    for recipe, seed in due:
        about = {"fingerprint": loaded.fingerprint(), "machine": machine()}
        step = about | cross_validate(options, CLAIMS[name], recipe, seed, cohort, test)
        path = path_of(options, name, encoder, recipe, seed)
        with whole_file(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, **step)


def loaded_encoder(encoder):
    """A published or bundled encoder, by name, or one in a file."""
    return load_encoder(encoder if Path(encoder).is_file() else encoder_named(encoder))


def path_of(options, name, encoder, recipe, seed):
    return options.out / f"{name}_{Path(encoder).stem}_{recipe}_{seed}.npz"


def kept_steps(options, name):
    """Encoder and training -> seed -> the step, of every file that is kept."""
    found = {}
    for path in sorted(options.out.glob(f"{name}_*.npz")):
        _, encoder, recipe, seed = path.stem.split("_")
        with np.load(path) as file:
            found.setdefault((encoder, recipe), {})[int(seed)] = dict(file)
    return found


def cohort_of(options, name, encoder):
    """Grids to cross-validate, and of other patients and sources to test on (None without)."""
    claim = CLAIMS[name]
    n, n_test = (32, 16 if claim.test_slides else 0) if options.quick else (claim.slides, claim.test_slides)
    parts = {"train": n / (n + n_test), "test": n_test / (n + n_test)} if n_test else {"train": 1.0}
    whole = make_grid_cohort(
        options.patches,
        n + n_test,
        encoder,
        roles=POLYP if options.tissue == "polyp" else None,
        shape=(24, 24) if options.quick else (48, 48),
        parts=parts,
        max_slides_per_patient=3 if options.quick else claim.per_patient,
        random_state=0,
    )
    train, *test = (whole.select(whole.table["part"] == part) for part in parts)
    return train, test[0] if test else None


def cross_validate(options, claim, recipe, seed, cohort, test):
    """Out-of-fold and test predictions of a model and of the baseline; dict of float32 arrays, and CPU seconds."""
    started = time.process_time()
    model = claim.model(**{**RECIPES[recipe], **options.settings}, random_state=seed, n_threads=1)
    ensemble = CrossValEnsemble(model, cv=4, random_state=seed)
    ensemble.fit(cohort.grids, claim.truth(cohort), groups=cohort.patients)
    found = {"oof": ensemble.oof_prediction_, "baseline": ensemble.baseline_prediction_}
    if test is not None:
        found["test"] = ensemble.predict(test.grids)
    print(f"{claim.model.__name__}, {recipe}, seed {seed}: {ensemble.oof_verdict(n_resamples=200)}", flush=True)
    columns = {key: one_column(value).astype(np.float32) for key, value in found.items()}
    return columns | {"seconds": time.process_time() - started}


def one_column(prediction):
    """Of probabilities, that of the second class."""
    return prediction[:, 1] if prediction.ndim == 2 else prediction


def over_steps(steps, part):
    return np.stack([step[part] for step in steps], axis=1)


def row_of(name, encoder, recipe, steps, cohort, test):
    """One row of the table: the metric out of fold, of the baseline, and on the test slides."""
    claim = CLAIMS[name]

    def measure(slides, part):
        truth, predictions, patients = claim.measured(slides, over_steps(steps, part))
        return str(estimate(over_seeds(claim.metric), truth, predictions, groups=patients))

    truth, predictions, _ = claim.measured(cohort, over_steps(steps, "oof"))
    row = {"claim": name, "encoder": encoder, "training": recipe, "slides": len(cohort)}
    row |= {"patients": len(set(cohort.patients)), "seeds": len(steps), "out of fold": measure(cohort, "oof")}
    row |= {"by seed": spread(claim.metric, truth, predictions), "mean + linear": measure(cohort, "baseline")}
    if test is not None:
        row["test"] = measure(test, "test")
    minutes = float(np.mean([step["seconds"] for step in steps])) / 60
    about = {"paper": PAPER.get((name, encoder), ""), "minutes per seed": minutes, "machine": machines_of(steps)}
    return row | survival_columns(name, steps, cohort) | about


def machines_of(steps):
    return joined(step["machine"] for step in steps)


def survival_columns(name, steps, cohort):
    """The log-rank test of patients split at the median prediction, and what is possible."""
    if name == "table1":
        return {}
    if name == "pattern":
        pattern = 1 - is_desmoplastic(cohort)
        perfect = split_by_risk(cohort.survival, pattern, groups=cohort.patients, threshold=0.5)
        return {"log-rank": log_rank(cohort, steps, -1), "best possible": f"log-rank {format_p(perfect.p_value)}"}
    outcome, pattern, _ = by_patient(cohort, 1.0 - is_desmoplastic(cohort)[:, np.newaxis])
    columns = {"best possible": f"{cohort.best_concordance:.3f}"}
    columns["with the pattern alone"] = f"{concordance(outcome, pattern[:, 0]):.3f}"
    return columns if name == "hazard" else {"log-rank": log_rank(cohort, steps, 1)} | columns


def log_rank(cohort, steps, sign):
    """P values, by seed, of the log-rank test of the patients above and below the median of their predictions."""
    splits = [split_by_risk(cohort.survival, sign * step["oof"], groups=cohort.patients) for step in steps]
    return "; ".join(format_p(split.p_value) for split in splits)


def differences_of(name, found, cohort, test):
    """A row for each encoder and training: its paired difference from the rival, over the seeds that both have."""
    claim, rows = CLAIMS[name], []
    for (encoder, recipe), by_seed in found.items():
        rivals = found.get((RIVAL, recipe), {})
        shared = sorted(by_seed.keys() & rivals.keys())
        if encoder == RIVAL or not shared:
            continue
        steps, rival = ([of[seed] for seed in shared] for of in (by_seed, rivals))
        row = {"claim": name, "encoder": encoder, "training": recipe, "seeds": len(shared)}
        for column, slides, part in (("out of fold", cohort, "oof"), ("test", test, "test")):
            if slides is not None:
                truth, mine, patients = claim.measured(slides, over_steps(steps, part))
                other = claim.measured(slides, over_steps(rival, part))[1]
                row[column] = told(compare(over_seeds(claim.metric), truth, mine, other, groups=patients))
        rows.append(row | {"machine": machines_of([*steps, *rival])})
    return rows


def read_options(argv=None):
    parser = parser_of_cohorts(__doc__)
    parser.add_argument("--claims", choices=CLAIMS, nargs="*", default=tuple(CLAIMS), help="none: only the tables")
    parser.add_argument("--recipes", choices=RECIPES, nargs="+", default=("default",))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    options = parsed(parser, argv)
    options.settings = {"max_steps": 2} if options.quick else {}
    options.out = (work_dir("at_size_quick") if options.quick else RESULTS / "at_size") / options.tissue
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def parser_of_cohorts(description):
    """Options of the cohorts and their grids."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--patches", type=Path, help="folder of labelled patches")
    parser.add_argument("--encoders", nargs="+", default=(RIVAL, "bigan", "mean-rgb", "sknic-he-1"))
    parser.add_argument("--quick", action="store_true", help="32 slides of 24 x 24 cells: does it run?")
    return parser


def parsed(parser, argv):
    """The options, with the patches and the tissue that they show."""
    options = parser.parse_args(argv)
    options.patches = options.patches or test_data("patches")
    options.tissue = tissue_of(options.patches)
    return options


if __name__ == "__main__":
    main()
