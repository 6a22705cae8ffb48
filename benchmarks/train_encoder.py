"""Train an encoder that sknic ships, or the one of the benchmarks: `python -m benchmarks.train_encoder sknic-he-1`.

The training takes an hour or more on two cores; it writes its state every minute and resumes when it is run again.
The file records what it was trained on, with licenses and digests, and how good it is on held-out patches.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from benchmarks.common import HERE, machine, test_data, work_dir
from benchmarks.encoder_card import ABOUT, card_text
from benchmarks.encoder_data import SHIPPABLE, read_patches
from benchmarks.encoder_probe import probe_table
from sknic.files.whole import whole_file

# Change of a probe's balanced accuracy that storing the weights in float16 may make.
MAX_CHANGE = 2e-3
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
    init : str, optional
        Published file, in the folder `encoders` of the data, that the training starts from.
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
    init: str | None = None


COMMON = {"schedule": "cosine", "lr": 1e-3, "weight_decay": 0.05, "validation_fraction": None, "eval_every": 100}
RECIPES = {
    # Two tasks of two classes leave little in a code but what tells the four apart: the loss without labels keeps more.
    "sknic-he-1": Recipe(
        tuple(SHIPPABLE),
        {
            **COMMON,
            "body": "residual",
            "batch_size": 192,
            "max_steps": 6000,
            "unlabelled_weight": 0.5,
            "task_weights": {"colorectal": 0.5},
        },
    ),
    # Not to be shipped, these three: the licenses of three of their tasks do not allow it.
    "all-tasks": Recipe(NAMES_OF_TASKS, {**COMMON, "batch_size": 224, "max_steps": 6000}),
    "all-tasks-residual": Recipe(NAMES_OF_TASKS, {**COMMON, "body": "residual", "batch_size": 224, "max_steps": 6000}),
    "fine-tuned": Recipe(
        NAMES_OF_TASKS,
        {**COMMON, "batch_size": 224, "max_steps": 2000, "init_lr": 5e-4},
        init="encoder_multitask-4.h5",
    ),
}


def fitted(recipe, data, *, seed, **settings):
    """A fitted MultitaskEncoder of a recipe; `settings` go before those of the recipe."""
    from sknic import MultitaskEncoder
    from sknic.encoders.augmentation import Augmentation

    rows = data.rows(recipe.tasks, held_out=False)
    table = data.table.iloc[rows].reset_index(drop=True)
    # 64 px at 1.0 um/px is what it sees: 128 px at 0.5 um/px, averaged 2x2, as the paper applies its encoders.
    encoder = MultitaskEncoder(
        mpp=0.5,
        init=recipe.init and test_data("encoders", recipe.init),
        augmentation=Augmentation(**recipe.augmentation),
        random_state=seed,
        **{**recipe.settings, **settings},
    )
    return encoder.fit(
        data.patches[rows],
        table.pivot(columns="task", values="label"),
        groups=table["task"] + "/" + table["group"],
        centers=table["center"],
    )


def train(name, data, folder, seed=0, **changes):
    """Train, or go on training, the encoder of a recipe; fitted, with a card that says what it has seen."""
    recipe = RECIPES[name]
    rows = data.rows(recipe.tasks, held_out=False)
    table = data.table.iloc[rows].reset_index(drop=True)
    checkpoint = folder / f"{name}-{seed}.checkpoint"
    encoder = fitted(recipe, data, seed=seed, checkpoint=checkpoint, verbose=1, **changes)
    encoder.patch_size_ = 128
    encoder.card_ = {
        "name": name,
        "data": {task: _about(data, table, rows, task) for task in recipe.tasks},
        "settings": {
            **recipe.settings,
            **changes,
            "seed": seed,
            "augmentation": recipe.augmentation,
            "init": recipe.init,
        },
        "trained": {"machine": machine(), **_speed(encoder.history_)},
    }
    return encoder


def _about(data, table, rows, task):
    here = (table["task"] == task).to_numpy()
    return {
        "source": SHIPPABLE.get(task, "license does not allow shipping"),
        "patches": table["label"][here].value_counts().to_dict(),
        "um/px": sorted(table["mpp"][here].unique().tolist()),
        "sha256": data.digest(rows[here]),
    }


def _speed(history):
    """Steps, seconds of training whatever interruptions there were, and the median of the patches per second."""
    patches = sorted(row["patches_per_s"] for row in history)
    seconds = sum(row["dur"] for row in history)
    return {"steps": history[-1]["step"], "seconds": round(seconds), "patches/s": round(patches[len(patches) // 2])}


def ship(name, encoder, data):
    """Write encoder and card into the package; stored in float16 where that changes nothing that the probes see."""
    from sknic import load_encoder
    from sknic.encoders.catalog import BUNDLED

    path, exact = BUNDLED / f"{name}.safetensors", encoder.card_["held out"]
    encoder.save(path, dtype="float16")
    stored = probe_table(data, load_encoder(path, device="cpu"))
    change = max(abs(stored[task]["value"] - exact[task]["value"]) for task in exact)
    if change > MAX_CHANGE:
        encoder.save(path)
    else:
        encoder.card_["held out"] = stored  # of the weights that are shipped
        encoder.save(path, dtype="float16")
    print(f"float16 changes a probe by {change:.4f} at most; {path} has {path.stat().st_size / 1e6:.2f} MB")
    with whole_file(BUNDLED / f"{name}.md") as temporary:
        temporary.write_text(card_text(encoder.card_))
    draw_curves(encoder.history_, encoder.card_["data"], HERE.parent / "docs" / "_static" / f"{name}-training.svg")


def draw_curves(history, tasks, path):
    """Loss of each task and learning rate over the steps of a training, as a picture for the docs."""
    import matplotlib.pyplot as plt

    steps = [row["step"] for row in history]
    figure, (losses, rate) = plt.subplots(2, 1, figsize=(7, 4), sharex=True, height_ratios=(4, 1), layout="constrained")
    for name in (*tasks, "unlabelled"):
        if f"train_{name}" in history[0]:
            losses.plot(steps, [row[f"train_{name}"] for row in history], label=name, lw=1)
    losses.set(yscale="log", ylabel="Training loss")
    losses.legend(frameon=False, ncols=4, fontsize="small")
    rate.plot(steps, [row["lr"] for row in history], color="0.4", lw=1)
    rate.set(xlabel="Step", ylabel="Learning rate")
    for axes in (losses, rate):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    plt.close(figure)


def main():
    options = parse_options()
    folder = options.out or work_dir("encoder_training")
    folder.mkdir(parents=True, exist_ok=True)
    data = read_patches()
    path = folder / f"{options.name}-{options.seed}.safetensors"
    if options.ship:
        from sknic import load_encoder

        encoder = load_encoder(path, device="cpu")
        encoder.card_ |= ABOUT[options.name]
        encoder.card_["trained"] |= _speed(encoder.history_)
        ship(options.name, encoder, data)
        return
    changes = {} if options.steps is None else {"max_steps": options.steps}
    encoder = train(options.name, data, folder, options.seed, **changes)
    encoder.save(path)  # before anything that may fail
    encoder.card_["held out"] = probe_table(data, encoder)
    encoder.save(path)
    pd.DataFrame(encoder.history_).to_csv(path.with_suffix(".csv"), index=False)
    print(encoder.card_["held out"])


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=list(RECIPES), help="the recipe")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="so many steps instead of the recipe's: does it run?")
    parser.add_argument("--out", type=Path, help="folder of the encoder and of its checkpoint")
    parser.add_argument("--ship", action="store_true", help="put the trained encoder and its card into the package")
    return parser.parse_args()


if __name__ == "__main__":
    main()
