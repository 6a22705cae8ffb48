"""Which settings learn from few slides, and which from many? Every method on the same grid cohorts, one row per fit.

Targets: share of tumour and density of the hotspot (Spearman), growth pattern (AUC), survival (concordance by patient).
Cohorts are those of `make_grid_cohort`: patients, layouts and sources of the test part are not those of the training
part, and a cohort of 40 slides is the beginning of that of 80. Each fit is written when it ends, to a file next to the
table (`recipes_fits.csv`), so an interrupted run can be resumed; the table and the picture show all rows in the file.
`--patches` is a folder in a form that `load_patch_folder` reads; the slides are assembled from its task "polyp" if it
has one, otherwise from "colorectal". `--drawn` compresses drawn slides instead (`make_histology_cohort`). Either
tissue and drawn slides have files and tables of their own.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import ONE_NETWORK, RESULTS, joined, machine, report, test_data, work_dir
from benchmarks.kept_rows import KeptRows
from benchmarks.recipe_ideas import IDEAS, OF_HOT_SPOTS, BranchDropout
from sknic.estimators import PAPER_RECIPE, AttentionMIL
from sknic.estimators.parameters import with_module
from sknic.evaluation.baseline import linear_baseline
from sknic.targets import kind_named

POLYP = {
    "tumour": "polyp/adenocarcinoma",
    "normal": "polyp/healthy",
    "stroma": "polyp/tubular",
    "hot": "polyp/serrated",
}
ENCODERS = ("multitask-4", "bigan", "mean-rgb", "sknic-he-1")
TARGETS = ("tumour_fraction", "hotspot", "pattern", "survival")
N_TRAIN, N_TEST, SHAPE = 160, 240, (48, 48)
LINEAR = "mean + linear"
# What sknic's README advised for few slides before the default was for them.
FEW = PAPER_RECIPE | {"dropout": 0.0, "lr": 3e-3, "validation_fraction": None, "max_steps": 600}


HOT_SPOTS, NO_HOT_SPOTS = "hot spots", "without hot spots"
# Changes of one network; a method is one line here.
OF_ONE = {
    "one network": {},
    "three members": {"n_members": 3},
    "without the branch": {"pooled_branch": False},
    "paper": PAPER_RECIPE,
    "few slides": FEW,
    "600 steps": {"max_steps": 600},
    "1000 steps": {"max_steps": 1000},
    "not standardized": {"standardize": False},
    "AttentionMIL": {"module": AttentionMIL},
    **IDEAS,
}
METHODS = {
    "default": {},
    HOT_SPOTS: {"hotspot_branch": True},
    NO_HOT_SPOTS: {"hotspot_branch": False},
    **OF_HOT_SPOTS,
    **{name: ONE_NETWORK | of for name, of in OF_ONE.items()},
}
# The default before the pooled branch learnt from some of the channels at a time, and what was compared with it.
WHOLE = "whole branch"
OF_WHOLE = {
    f"{name}, {WHOLE}".removeprefix("one network, "): {
        **of,
        "callbacks": [*of.get("callbacks", ()), BranchDropout(0.0)],
    }
    for name, of in METHODS.items()
    if name in ("one network", "three members", *IDEAS) and not name.startswith("branch")
}
METHODS |= OF_WHOLE
# The methods in the picture; the table has all.
IN_PICTURE = ("default", HOT_SPOTS, NO_HOT_SPOTS, "one network", WHOLE, "without the branch", "paper", LINEAR)
# Where the paper's training failed in a prototype, or a pooled mean is hard to beat.
ROWS = (
    "pattern:multitask-4:24",
    "tumour_fraction:multitask-4:24",
    "survival:multitask-4:160",
    "pattern:bigan:60",
    "tumour_fraction:bigan:40",
    "tumour_fraction:mean-rgb:120",
    "pattern:multitask-4:40",
    "tumour_fraction:bigan:80",
    "hotspot:multitask-4:160",
)

# What 24 drawn slides can teach, and what takes more.
DRAWN_ROWS = (
    "pattern:multitask-4:24",
    "tumour_fraction:multitask-4:24",
    "hotspot:multitask-4:160",
    "survival:multitask-4:160",
)

KEY = ("target", "encoder", "slides", "seed", "method")
COLUMNS = (*KEY, "measure", "best possible", "seconds", "test slides", "machine")


def estimator(target, method, seed):
    """The unfitted model of a target."""
    from sknic import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival

    kind = {"pattern": GridCNNClassifier, "survival": GridCoxSurvival}.get(target, GridCNNRegressor)
    if method == LINEAR:
        return linear_baseline(kind_named(kind.target_kind))
    params = dict(METHODS[method])
    module = params.pop("module", None)
    model = kind(**params, random_state=seed, n_threads=1)
    return model if module is None else with_module(model, module)


def is_another(target, method):
    """Whether a method trains otherwise than the default of a target, which need not be measured twice."""
    if method in ("default", LINEAR):
        return True
    return repr(estimator(target, method, 0)) != repr(estimator(target, "default", 0))


def fit_and_measure(target, method, seed, train, test):
    """Measure on the test part, what the true hazard has there (survival alone), and seconds of CPU time of the fit."""
    from sknic.evaluation import aggregate, auc, concordance, spearman

    y = truth(train, target)
    started = time.process_time()  # other work on the machine does not count
    patients = {} if method == LINEAR else {"groups": train.patients}
    model = estimator(target, method, seed).fit(train.grids, y, **patients)
    seconds = time.process_time() - started
    if target == "pattern":
        return auc(truth(test, target), model.predict_proba(test.grids)[:, 1]), np.nan, seconds
    if target != "survival":
        return spearman(truth(test, target), model.predict(test.grids)), np.nan, seconds
    risk = aggregate(model.predict(test.grids), test.patients)[1]
    outcome = aggregate(test.survival, test.patients, how="same")[1]
    return concordance(outcome, risk), test.best_concordance, seconds


def truth(cohort, target):
    """What a cohort has to be told of a target."""
    if target == "survival":
        return cohort.survival
    values = cohort.table[target]
    return (values == "replacement").to_numpy() if target == "pattern" else values.to_numpy(float)


def encoder_named(name):
    """What `load_encoder` takes: the name of a bundled encoder, or the file of a published one."""
    from sknic.encoders.catalog import bundled_names

    return name if name in bundled_names() else test_data("encoders", f"encoder_{name}.h5")


def cohort_of(options, encoder, n_train, seed):
    """Training slides, and test slides of other patients and sources."""
    if options.slides == "drawn":
        # Patients are numbered within a cohort, so training and test are two cohorts.
        return drawn(options, encoder, n_train, seed), drawn(options, encoder, options.test, seed + 1000)
    return assembled(options, encoder, n_train, seed)


def drawn(options, encoder, n, seed):
    """Grids of drawn slides, which are kept with their slides."""
    from sknic import SlideCompressor
    from sknic.datasets import GridCohort, make_histology_cohort

    folder = work_dir("recipes_drawn")
    slides = make_histology_cohort(n, folder / f"{seed}-{n}", shape=options.shape, random_state=seed, verbose=1)
    compressor = SlideCompressor(encoder_named(encoder), cache_dir=folder / "grids", verbose=1)
    return GridCohort(slides.paths, slides.table, grids=list(compressor.transform(slides.paths)))


def assembled(options, encoder, n_train, seed):
    """Grids of slides that are never drawn; training and test show other sources."""
    from sknic import load_encoder
    from sknic.datasets import make_grid_cohort

    n = n_train + options.test
    cohort = make_grid_cohort(
        options.patches,
        n + 6,  # parts are of patients whole, so a part may be some slides short
        load_encoder(encoder_named(encoder)),
        roles=POLYP if options.slides == "polyp" else None,
        shape=options.shape,
        parts={"train": n_train / n, "test": options.test / n},
        random_state=seed,
    )
    return tuple(cohort.select(cohort.table["part"] == part) for part in ("train", "test"))


def run(options, rows):
    """Fit whatever is not in the rows yet."""
    for seed in options.seeds:
        for cohort in dict.fromkeys(map(cohort_for, options.rows)):
            keys = [
                (*row, seed, method)
                for row in options.rows
                if cohort_for(row) == cohort
                for method in options.methods
                if is_another(row[0], method)
            ]
            due = [key for key in keys if key not in rows]
            if not due:
                continue
            whole, test = cohort_of(options, *cohort, seed)
            for key in due:
                target, _, size, _, method = key
                train = whole.select(np.arange(min(size, len(whole))))
                measure, best, seconds = fit_and_measure(target, method, seed, train, test)
                about = (float(measure), float(best), round(seconds, 1), len(test), machine())
                rows.add(dict(zip(COLUMNS, (*key, *about))))
                print(f"{', '.join(map(str, key))}: {measure:.3f} in {seconds:.0f} s", flush=True)


def cohort_for(row):
    """Encoder and number of training slides of the cohort whose first slides a row takes.

    They do not depend on the other rows that are asked for: test slides of another cohort would be other ones.
    """
    _, encoder, size = row
    return encoder, max(N_TRAIN, size)


def table_of(rows):
    """One dict per target, encoder and size: mean over seeds and lowest to highest, for each method."""
    frame = pd.DataFrame(rows.rows).astype({"measure": float, "slides": int, "seconds": float})
    methods = methods_in(frame)
    found = []
    for (target, encoder, size), part in frame.groupby(["target", "encoder", "slides"], sort=True):
        row = {"target": target, "encoder": encoder, "slides": size, "seeds": part["seed"].nunique()}
        for method in methods:
            of = part.loc[part["method"] == method, "measure"]
            spread = f" ({of.min():.3f} to {of.max():.3f})" if len(of) > 1 else ""
            row[method] = f"{of.mean():.3f}{spread}" if len(of) else ""
        row["longest fit, CPU s"] = float(part["seconds"].max())
        row["machine"] = joined(part["machine"])
        found.append(row)
    return found


def methods_in(frame):
    """The methods of which there are fits, in the order of `METHODS`."""
    return [name for name in (*METHODS, LINEAR) if name in set(frame["method"])]


def draw(rows, path):
    """A panel per target, encoder and size: a dot per fit, a line of them per main method, and a tick at their mean."""
    import matplotlib.pyplot as plt

    frame = pd.DataFrame(rows.rows).astype({"measure": float, "slides": int})
    panels = list(frame.groupby(["target", "encoder", "slides"]))
    methods = [name for name in IN_PICTURE if name in set(frame["method"])]
    n_columns = min(3, len(panels))
    n_rows = -(-len(panels) // n_columns)
    size = (1.5 + 3.2 * n_columns, 0.6 + n_rows * (0.8 + 0.22 * len(methods)))
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False, sharey=True, layout="constrained")
    for ax, ((target, encoder, slides), part) in zip(axes.flat, panels):
        for place, method in enumerate(methods):
            found = part.loc[part["method"] == method, "measure"]
            ax.plot(found, [place] * len(found), "o", color=f"C{place % 10}", alpha=0.7)
            ax.plot(found.mean(), place, "|", color="black", markersize=12)
        ax.set_title(f"{target}, {encoder}, {slides} slides", fontsize=9)
        ax.set_yticks(range(len(methods)), methods)
        ax.grid(axis="x", alpha=0.3)
    axes[0, 0].invert_yaxis()
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    figure.savefig(path, dpi=80)
    plt.close(figure)


def tissue_of(patches):
    """The task of a folder of patches whose labels become the tissue of slides."""
    from sknic.datasets.patch_folder import read_patch_table

    return "polyp" if "polyp" in set(read_patch_table(patches)["task"]) else "colorectal"


def row_of(text, targets=TARGETS):
    """Target, encoder and number of training slides of "target:encoder:slides"."""
    target, encoder, slides = text.split(":")
    if target not in targets or encoder not in ENCODERS:
        raise argparse.ArgumentTypeError(f"{text}: expected target:encoder:slides of {targets} and {ENCODERS}")
    return target, encoder, int(slides)


def read_options(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=Path)
    parser.add_argument("--rows", type=row_of, nargs="+", help="target:encoder:slides ...")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--methods", choices=(*METHODS, LINEAR), nargs="+")
    parser.add_argument("--drawn", action="store_true", help="compress drawn slides of 24 x 24 cells")
    parser.add_argument("--quick", action="store_true", help="two rows, one seed, 24 x 24 cells: minutes")
    options = parser.parse_args(argv)
    options.patches = options.patches or test_data("patches")
    options.slides = "drawn" if options.drawn else tissue_of(options.patches)
    rows = DRAWN_ROWS if options.drawn else ROWS
    if options.quick:
        rows = ("pattern:multitask-4:32", "tumour_fraction:multitask-4:32")
    options.rows = options.rows or [row_of(text) for text in rows]
    options.seeds = options.seeds or ((0,) if options.quick else (0, 1, 2))
    options.methods = options.methods or (LINEAR, *(name for name in METHODS if name not in OF_WHOLE))
    options.test = 48 if options.quick else 120 if options.drawn else N_TEST
    options.shape = (24, 24) if options.quick or options.drawn else SHAPE
    return options


def parsed(parser, argv):
    """Options of another benchmark, with those of the cohorts here."""
    parser.add_argument("--patches", type=Path, help="folder of labelled patches")
    options = parser.parse_args(argv)
    options.patches = options.patches or test_data("patches")
    options.slides, options.test, options.shape = tissue_of(options.patches), N_TEST, SHAPE
    return options


def main(argv=None):
    options = read_options(argv)
    kind = "" if options.slides == "colorectal" else f"_{options.slides}"
    name = f"recipes{kind}" + "_quick" * options.quick
    path = work_dir(name) / "fits.csv" if options.quick else RESULTS / f"{name}_fits.csv"
    rows = KeptRows(path, KEY, COLUMNS)
    run(options, rows)
    of = "other patients" if options.drawn else "other patients and sources"
    report(name, table_of(rows), f"{options.test} test slides of {of}; mean over seeds (range)")
    draw(rows, RESULTS / f"{name}.png")


if __name__ == "__main__":
    main()
