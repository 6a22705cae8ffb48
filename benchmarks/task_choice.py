"""Which tasks should an encoder learn, how should they be weighted, and do patches without labels help?

The paper leaves these open (section 5). Here the encoder of six tasks is trained again without each of them, with
learnt weights (uncertainty, GradNorm), and with the loss without labels. Encoders are compared by a linear
probe on held-out sources (`encoder_probe.py`), which includes the task that was left out. Differences to
equal weights on all six are paired by source; means over the seeds. 30 trainings, two to five minutes of a core each.
"""

from benchmarks.short_trainings import ALL, SCHEDULE, compare_trainings
from benchmarks.train_encoder import NAMES_OF_TASKS, RECIPES, Recipe


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


def main(argv=None):
    compare_trainings("task_choice", variants(), argv)


if __name__ == "__main__":
    main()
