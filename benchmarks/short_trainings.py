"""Compare encoders after a short training: a few seeds each, by a linear probe on held-out sources.

The schedule is a fifteenth as long as for the encoders of `train_encoder.py`, so this compares settings, and does not
show the best result of each. Every training is kept when it ends, so that an interrupted run can be resumed.
"""

import argparse

import numpy as np

from benchmarks.common import report, work_dir
from benchmarks.encoder_data import read_patches
from benchmarks.encoder_probe import Answer, guesses
from benchmarks.train_encoder import COMMON, NAMES_OF_TASKS, fitted
from sknic.files.whole import whole_file

ALL = "all six tasks"
SCHEDULE = {**COMMON, "batch_size": 192, "max_steps": 400}
_PARTS = ("truth", "guess", "groups")


def compare_trainings(name, variants, argv=None, what=ALL):
    """Train what is not there yet, and report accuracies and their differences to the first variant.

    Parameters
    ----------
    name : str
        Name of the two tables.
    variants : dict of str to Recipe
        What to compare; the first one is what the others are held against.
    argv : list of str, optional
        Arguments of the command.
    what : str
        The first variant, in the words of the caption.
    """
    parser = argparse.ArgumentParser(description=f"{name}: short trainings compared")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=list(variants)[1:], help="compare these alone with the first")
    parser.add_argument("--steps", type=int, default=SCHEDULE["max_steps"], help="steps of each training")
    options = parser.parse_args(argv)
    data, runs = read_patches(), {}
    first = next(iter(variants))
    chosen = [first, *(options.only or list(variants)[1:])]
    # Seed by seed, so that what is there at any time is a comparison.
    for seed in options.seeds:
        for variant in chosen:
            runs.setdefault(variant, []).append(answers(data, variant, variants[variant], seed, options.steps))
    caption = f"Balanced accuracy on sources held out, {options.steps} steps, {len(options.seeds)} seeds"
    report(name, [accuracies(variant, found) for variant, found in runs.items()], caption)
    rows = [differences(variant, runs[variant], runs[first]) for variant in chosen[1:]]
    report(f"{name}_differences", rows, f"The same, less {what}")


def answers(data, name, recipe, seed, steps):
    """What the probes say of a variant, task to Answer: trained and asked once, then read."""
    path = work_dir("task_choice") / f"{name.replace(' ', '-').replace(':', '')}-{steps}-{seed}.npz"
    if not path.is_file():
        print(f"training: {name}, seed {seed}", flush=True)
        encoder = fitted(recipe, data, seed=seed, max_steps=steps, n_threads=1)
        found = guesses(data, encoder, NAMES_OF_TASKS)
        with whole_file(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **{f"{task}/{part}": getattr(a, part) for task, a in found.items() for part in _PARTS})
    kept = np.load(path)
    return {task: Answer(*(kept[f"{task}/{part}"] for part in _PARTS)) for task in NAMES_OF_TASKS}


def accuracies(variant, runs):
    """Row of a table: mean and range over the seeds, of each task and of the mean over the tasks."""
    by_task = {task: [_accuracy(run[task].truth, run[task].guess) for run in runs] for task in NAMES_OF_TASKS}
    by_task["mean"] = np.mean(list(by_task.values()), axis=0)
    return {"training": variant} | {
        task: f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" for task, values in by_task.items()
    }


def differences(variant, runs, rivals):
    """Row of a table: difference to the rivals in each task."""
    return {"training": variant} | {task: difference(task, runs, rivals) for task in NAMES_OF_TASKS}


def difference(task, runs, rivals):
    """Mean over the seeds of the balanced accuracy less that of the rivals, with its interval, as text."""
    from sknic.evaluation import estimate

    answers_of_task = [run[task] for run in [*runs, *rivals]]
    truth, groups = answers_of_task[0].truth, answers_of_task[0].groups
    right = np.column_stack([answer.guess == truth for answer in answers_of_task])
    codes = np.unique(truth, return_inverse=True)[1]

    def metric(codes, right):
        values = np.mean([right[codes == code].mean(axis=0) for code in np.unique(codes)], axis=0)
        return values[: len(runs)].mean() - values[len(runs) :].mean()

    found = estimate(metric, codes, right, groups=groups, random_state=0)
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _accuracy(truth, guess):
    return np.mean([np.mean(guess[truth == label] == label) for label in np.unique(truth)])
