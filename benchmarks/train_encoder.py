"""Train an encoder that sknic ships, or the one of the benchmarks: `python -m benchmarks.train_encoder sknic-he-1`.

The training takes an hour or more on two cores; it writes its state every ten minutes and resumes when it is run again.
What it is trained on, with licences and digests, and what it is worth on held-out patches go into the file.
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.common import machine, work_dir
from benchmarks.encoder_data import SHIPPABLE, read_patches
from benchmarks.encoder_probe import probe_table

NAMES_OF_TASKS = ("colorectal", "ebhi", "gleason", "lymph", "mitosis", "polyp")


@dataclass(frozen=True)
class Recipe:
    """How an encoder is trained.

    Attributes
    ----------
    tasks : tuple of str
    settings : dict
        Parameters of MultitaskEncoder.
    augmentation : dict
        Settings of an Augmentation.
    """

    tasks: tuple
    settings: dict
    augmentation: dict = field(
        default_factory=lambda: {
            "scale": (0.75, 1.33),
            "hed": 0.06,
            "brightness": (0.75, 1.25),
            "contrast": (0.7, 1.3),
        }
    )


COMMON = {"schedule": "cosine", "lr": 1e-3, "weight_decay": 0.05, "validation_fraction": None, "eval_every": 100}
RECIPES = {
    # Two tasks of two classes leave little in a code but what tells the four apart: the loss without labels keeps more.
    "sknic-he-1": Recipe(
        tuple(SHIPPABLE),
        {
            **COMMON,
            "batch_size": 192,
            "max_steps": 9000,
            "unlabelled_weight": 0.5,
            "task_weights": {"colorectal": 0.5},
        },
    ),
    # Not to be shipped: the licences of three of its tasks do not allow it.
    "all-tasks": Recipe(NAMES_OF_TASKS, {**COMMON, "batch_size": 224, "max_steps": 9000, "unlabelled_weight": 0.3}),
}


def train(name, data, folder, seed=0, **changes):
    """Train, or go on training, the encoder of a recipe; fitted, with a card that says what it has seen."""
    from sknic import MultitaskEncoder
    from sknic.encoders.augmentation import Augmentation

    recipe = RECIPES[name]
    rows = data.rows(recipe.tasks, held_out=False)
    table = data.table.iloc[rows].reset_index(drop=True)
    # 64 px at 1.0 um/px is what it sees: 128 px at 0.5 um/px, averaged 2x2, as the paper applies its encoders.
    encoder = MultitaskEncoder(
        mpp=0.5,
        augmentation=Augmentation(**recipe.augmentation),
        checkpoint=folder / f"{name}-{seed}.checkpoint",
        random_state=seed,
        verbose=1,
        **{**recipe.settings, **changes},
    )
    started = time.time()
    encoder.fit(
        data.patches[rows],
        table.pivot(columns="task", values="label"),
        groups=table["task"] + "/" + table["group"],
        centers=table["center"],
    )
    encoder.patch_size_ = 128
    encoder.card_ = {
        "name": name,
        "data": {task: _about(data, table, rows, task) for task in recipe.tasks},
        "settings": {**recipe.settings, **changes, "seed": seed, "augmentation": recipe.augmentation},
        "trained": {"machine": machine(), "seconds": round(time.time() - started), **_speed(encoder.history_)},
    }
    return encoder


def _about(data, table, rows, task):
    here = (table["task"] == task).to_numpy()
    return {
        "source": SHIPPABLE.get(task, "licence does not allow shipping"),
        "patches": table["label"][here].value_counts().to_dict(),
        "um/px": sorted(table["mpp"][here].unique().tolist()),
        "sha256": data.digest(rows[here]),
    }


def _speed(history):
    patches = [row["patches_per_s"] for row in history]
    return {"steps": history[-1]["step"], "patches/s": round(sorted(patches)[len(patches) // 2])}


def main():
    options = parse_options()
    folder = options.out or work_dir("encoder_training")
    folder.mkdir(parents=True, exist_ok=True)
    data = read_patches()
    changes = {} if options.steps is None else {"max_steps": options.steps}
    encoder = train(options.name, data, folder, options.seed, **changes)
    encoder.save(folder / f"{options.name}-{options.seed}.safetensors")
    encoder.card_["held out"] = probe_table(data, encoder)
    encoder.save(folder / f"{options.name}-{options.seed}.safetensors")
    print(encoder.card_["held out"])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=list(RECIPES), help="the recipe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="so many steps instead of the recipe's: does it run?")
    parser.add_argument("--out", type=Path, help="folder of the encoder and of its checkpoint")
    return parser.parse_args()


if __name__ == "__main__":
    main()
