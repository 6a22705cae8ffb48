"""Section 4.1: the encoder of four tasks, and its accuracy on patches of sources it has not seen."""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import balanced_accuracy_score

from benchmarks.common import linear_probe
from benchmarks.paper.lab import Lab, read_options
from benchmarks.paper.material import labelled_patches
from benchmarks.paper.models import multitask, published, train_encoders
from sknic import MeanRGBEncoder, load_encoder

PAPER = {"lymph": 0.9087, "mitosis": 0.9481, "prostate": 0.8648, "colorectal": 0.7749}


def trained(lab):
    """File of the four-task encoder."""
    patches = labelled_patches(lab)
    encoder = multitask(lab, patches.labels)
    return train_encoders(lab, {"multitask": encoder}, patches.training_data, patch_settings(lab))["multitask"]


def patch_settings(lab):
    """What the labelled patches follow from, for the keys of what is learnt from them."""
    return {"patches": str(lab.options.patches or lab.size.n_patches)}


def probe(encoder, patches):
    """Balanced accuracy on held-out patches of a linear model on each task's embeddings."""
    codes = encoder.transform(patches.X)
    scores = {}
    for task, labels in patches.labels.items():
        known = labels.notna().to_numpy()
        fit, test = (rows[known[rows]] for rows in (patches.train, patches.held_out))
        model = linear_probe()
        model.fit(codes[fit], labels.iloc[fit])
        scores[task] = float(balanced_accuracy_score(labels.iloc[test], model.predict(codes[test])))
    return scores


def main(argv=None):
    lab = Lab(read_options(__doc__, argv))
    encoder, patches = load_encoder(trained(lab)), labelled_patches(lab)
    own = encoder.score_tasks(patches.X[patches.held_out], patches.labels.iloc[patches.held_out])
    rivals = {name: load_encoder(path) for name, path in published(lab).items()} | {"mean-RGB": MeanRGBEncoder()}
    probes = {name: probe(rival, patches) for name, rival in rivals.items()}
    rows = [
        {
            "task": task,
            "classes": int(patches.labels[task].nunique()),
            "held-out patches": int(own.loc[task, "n"]),
            "paper, accuracy": PAPER.get(task),
            "accuracy": float(own.loc[task, "accuracy"]),
            "balanced accuracy": float(own.loc[task, "balanced_accuracy"]),
            **{f"{name}, linear probe": scores[task] for name, scores in probes.items()},
        }
        for task in encoder.task_names_
    ]
    mean = float(np.mean([row["balanced accuracy"] for row in rows]))
    lab.write(
        "encoder",
        "Section 4.1: the four-task encoder",
        rows,
        question="How well does one encoder solve the four patch tasks?",
        protocol=(
            f"{len(patches.train)} patches to train, {len(patches.held_out)} of other sources to measure (the paper"
            f" holds out 20 % at random of 4 x 200,000); {encoder.history_[-1]['step']} steps, heavy augmentation,"
            f" C = {encoder.code_size}. Linear probes: logistic regression on the embeddings of the same training"
            " patches, balanced accuracy."
        ),
        findings=[
            f"Mean balanced accuracy over the tasks {mean:.3f}; the probes: "
            + ", ".join(f"{name} {np.mean(list(scores.values())):.3f}" for name, scores in probes.items())
            + ".",
            "The tasks carry the paper's names but are other data, so the paper's column is for orientation only.",
        ],
        figure=_figure(encoder.history_),
    )


def _figure(history):
    figure, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for key, label in (("train_loss", "training"), ("valid_loss", "validation")):
        ax.plot([row["epoch"] for row in history], [row[key] for row in history], label=label)
    ax.set(xlabel="Epoch", ylabel="Mean cross-entropy of the tasks", title="Four-task encoder")
    ax.legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
