"""Which tasks should an encoder learn, how should they be weighed, and do patches without labels help?

The paper leaves these open (section 5). Here the encoder of six tasks is trained again without each of them, with
learnt weights (uncertainty, GradNorm), and with the loss without labels; the same short schedule for all, a few seeds
each. What an encoder is worth is what a linear probe reads from it on sources held out (`encoder_probe.py`), the task
that was left out among them. Differences to equal weights on all six are paired by source; means over the seeds.

Every training is kept when it ends: an interrupted run is simply made again. The schedule is a fifteenth of what the
encoders of `train_encoder.py` get, so this compares tasks, and does not show the best that each can give.
"""

import argparse

import numpy as np

from benchmarks.common import report, work_dir
from benchmarks.encoder_data import read_patches
from benchmarks.encoder_probe import Answer, guesses
from benchmarks.train_encoder import COMMON, NAMES_OF_TASKS, RECIPES, Recipe, fitted
from sknic.files.whole import whole_file

ALL = "all six tasks"
SCHEDULE = {**COMMON, "batch_size": 192, "max_steps": 400}


def variants():
    """Name -> Recipe, what is compared first."""
    found = {ALL: Recipe(NAMES_OF_TASKS, SCHEDULE)}
    for left_out in NAMES_OF_TASKS:
        found[f"without {left_out}"] = Recipe(tuple(t for t in NAMES_OF_TASKS if t != left_out), SCHEDULE)
    for name in ("uncertainty", "gradnorm"):
        found[f"weights: {name}"] = Recipe(NAMES_OF_TASKS, {**SCHEDULE, "task_weights": name})
    unlabelled = RECIPES["sknic-he-1"].settings["unlabelled_weight"]
    found["with the loss without labels"] = Recipe(NAMES_OF_TASKS, {**SCHEDULE, "unlabelled_weight": unlabelled})
    return found


def answers(data, name, recipe, seed, steps):
    """What the probes say of a variant, task to Answer: trained and asked once, then read."""
    path = work_dir("task_choice") / f"{name.replace(' ', '-').replace(':', '')}-{steps}-{seed}.npz"
    if not path.is_file():
        print(f"training: {name}, seed {seed}", flush=True)
        encoder = fitted(recipe, data, seed=seed, max_steps=steps)
        found = guesses(data, encoder, NAMES_OF_TASKS)
        with whole_file(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **{f"{task}/{part}": getattr(a, part) for task, a in found.items() for part in _PARTS})
    kept = np.load(path)
    return {task: Answer(*(kept[f"{task}/{part}"] for part in _PARTS)) for task in NAMES_OF_TASKS}


_PARTS = ("truth", "guess", "groups")


def mean_accuracy(task, runs):
    """Balanced accuracy as text, mean and range of the seeds."""
    values = [_accuracy(run[task].truth, run[task].guess) for run in runs]
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def difference(task, runs, rivals):
    """Mean over the seeds of the balanced accuracy less that of the rivals, with its interval, as text."""
    from sknic.evaluation import estimate

    truth, groups = runs[0][task].truth, runs[0][task].groups
    guess = np.column_stack([run[task].guess for run in [*runs, *rivals]])

    def metric(truth, guess):
        values = [_accuracy(truth, column) for column in guess.T]
        return np.mean(values[: len(runs)]) - np.mean(values[len(runs) :])

    found = estimate(metric, truth, guess, groups=groups, random_state=0)
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _accuracy(truth, guess):
    return np.mean([np.mean(guess[truth == label] == label) for label in np.unique(truth)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=SCHEDULE["max_steps"], help="steps of each training")
    options = parser.parse_args()
    data, runs = read_patches(), {}
    # Seed by seed, so that what is there at any time is a comparison.
    for seed in options.seeds:
        for name, recipe in variants().items():
            runs.setdefault(name, []).append(answers(data, name, recipe, seed, options.steps))
    seeds = len(options.seeds)
    rows = [
        {"training": name} | {task: mean_accuracy(task, found) for task in NAMES_OF_TASKS}
        for name, found in runs.items()
    ]
    report("task_choice", rows, f"Balanced accuracy on sources held out, {options.steps} steps, {seeds} seeds")
    rows = [
        {"training": name} | {task: difference(task, found, runs[ALL]) for task in NAMES_OF_TASKS}
        for name, found in runs.items()
        if name != ALL
    ]
    report("task_choice_differences", rows, f"The same, less {ALL}")


if __name__ == "__main__":
    main()
