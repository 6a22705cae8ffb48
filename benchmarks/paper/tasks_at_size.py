"""Section 4.3, Fig. 3, Tables 2 and 3, at the paper's number of slides: which patch tasks make a good encoder?

The paper's 18 encoders, of 16 numbers, are trained on the real patches of `encoder_data.py` (gleason is the paper's
prostate), then each one's grids of 492 training and 321 test slides are learnt as in Table 1 (`at_size.py`). The slides
show tissue of another task, polyp, which no encoder has seen. A draw is another seed of the encoders and of the folds,
so that two draws tell the encoder from the luck of its training. Encoders and predictions are kept; on one core an
encoder takes one to three minutes and a cross-validation three.

The body is the residual one, which learns in these few steps what the paper's learns in ten times as many.
"""

import argparse
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.common import RESULTS, joined, report, work_dir
from benchmarks.encoder_data import read_patches
from benchmarks.paper import at_size
from benchmarks.paper.tasks import CODE_SIZE, PAPER, PAPER_INCLUSION, runs
from benchmarks.train_encoder import COMMON, Recipe, fitted
from sknic.evaluation import by_task_count, spearman, task_inclusion

# The paper's names of tasks, and those of the patches.
TASKS = {"lymph": "lymph", "mitosis": "mitosis", "prostate": "gleason", "colorectal": "colorectal"}
SETTINGS = {**COMMON, "body": "residual", "code_size": CODE_SIZE}
PATCHES_PER_TASK = 32
patches = cache(read_patches)  # once for all encoders, and not if all are there


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=Path, required=True, help="folder with the task polyp, for the slides")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=500, help="training batches of each encoder")
    options = parser.parse_args(argv)
    for draw in options.draws:
        sizes = of_the_slides(options, draw)
        for run in runs():
            file = file_of(*run, draw, options.steps)
            if not step_of(sizes, file, draw).exists():
                train_missing(file, *run, draw, options.steps)
                at_size.run_missing(sizes, "table1", str(file))
    drawn = [table_of(options, draw) for draw in options.draws]
    report("tasks_at_size", pd.concat(drawn).to_dict("records"), "Spearman's correlation of 18 encoders")
    report("tasks_at_size_findings", findings(drawn), "What the number and the choice of tasks do")


def file_of(subset, repeat, draw, steps):
    """Where the encoder of some tasks is kept."""
    return work_dir("tasks_at_size") / f"{'+'.join(subset)}-{repeat}-draw{draw}-{steps}.safetensors"


def step_of(sizes, file, draw):
    """Where the predictions from its grids are kept."""
    return at_size.path_of(sizes, "table1", str(file), "default", draw)


def train_missing(file, subset, repeat, draw, steps):
    if not file.exists():
        size = {"batch_size": PATCHES_PER_TASK * len(subset), "max_steps": steps}
        recipe = Recipe(tuple(TASKS[task] for task in subset), {**SETTINGS, **size})
        fitted(recipe, patches(), seed=10 * draw + repeat, n_threads=1).save(file)
        print(f"trained {file.stem}", flush=True)


def of_the_slides(options, draw):
    """Options of `at_size` for the cross-validations of a draw."""
    found = at_size.read_options(["--patches", str(options.patches), "--seeds", str(draw)])
    found.out = RESULTS / "tasks_at_size"
    found.out.mkdir(exist_ok=True)
    return found


def table_of(options, draw):
    """One row per encoder: its tasks, the result out of fold and on the test slides, and the paper's."""
    sizes = of_the_slides(options, draw)
    cohort, test = at_size.cohort_of(sizes, "table1", at_size.MeanRGBEncoder(device="cpu"))
    rows = []
    for subset, repeat in runs():
        name = "+".join(subset)
        with np.load(step_of(sizes, file_of(subset, repeat, draw, options.steps), draw)) as step:
            oof, of_test = spearman(cohort.score, step["oof"]), spearman(test.score, step["test"])
            measured = {"out of fold": oof, "test": of_test, "machine": str(step["machine"])}
        tasks = {task: task in subset for task in TASKS}
        rows.append({"draw": draw, **tasks, **measured, "paper": PAPER[name][repeat]})
    return pd.DataFrame(rows)


def findings(drawn):
    """A row per draw and kind of slides, and for their mean: what the number of tasks and each task do."""
    parts = ("out of fold", "test")
    rows = [finding(f"draw {table['draw'][0]}, {part}", table, part) for table in drawn for part in parts]
    if len(drawn) > 1:
        mean = drawn[0].assign(**{part: sum(table[part] for table in drawn) / len(drawn) for part in parts})
        for part in parts:
            agreement = {"correlation of the draws": spearman(drawn[0][part], drawn[1][part])}
            rows.append(finding(f"mean of the draws, {part}", mean, part) | agreement)
    paper = {f"with {task}": value for task, value in PAPER_INCLUSION.items()}
    rows.append(finding("paper", drawn[0], "paper") | paper)
    return at_size.filled([row | {"machine": joined(pd.concat(drawn)["machine"])} for row in rows])


def finding(name, table, part):
    tasks, results = table[list(TASKS)], table[part].to_numpy(float)
    counts, inclusion = by_task_count(tasks, results), task_inclusion(tasks, results)
    return {
        "results": name,
        **{f"{n} tasks": f"{row['mean']:.3f} ({row['std']:.3f})" for n, row in counts.iterrows()},
        "number of tasks": spearman(tasks.sum(axis=1), results),
        **{f"with {task}": float(value) for task, value in inclusion.items()},
        "correlation with the paper": spearman(table["paper"], results),
    }


if __name__ == "__main__":
    main()
