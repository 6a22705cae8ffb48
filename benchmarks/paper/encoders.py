"""Section 4.5, Fig. 4: multitask against unsupervised and single-task encoders, on the growth pattern."""

import matplotlib.pyplot as plt
from encoder import patch_settings, trained
from growth_pattern import is_desmoplastic
from lab import Lab, read_options
from material import (
    cohort_patches,
    cohorts,
    external,
    grid_cnn,
    labelled_patches,
    multitask,
    on_test,
    over_seeds,
    predict,
    published,
    spread,
    train_encoders,
    unsupervised,
    verdicts,
)

from sknic import MeanRGBEncoder
from sknic.evaluation import estimate
from sknic.plotting import RocDisplay

PAPER = {"multitask": "0.895, the best"}


def contenders(lab, cohort):
    """Name -> encoder, the multitask encoder first."""
    encoders = {}
    if not lab.options.only_published:
        encoders["multitask"] = trained(lab)
        patches = labelled_patches(lab)
        single = {"single task (lymph)": multitask(lab, patches.labels, ["lymph"])}
        encoders |= train_encoders(lab, single, patches.training_data, patch_settings(lab))
        encoders |= _trained_on_cohort(lab, cohort)
    return encoders | published(lab) | {"mean-RGB": MeanRGBEncoder()}


def _trained_on_cohort(lab, cohort):
    patches = cohort_patches(lab, cohort)
    n = len(patches)
    encoders = {
        "BiGAN, cohort, no augmentation": unsupervised(lab, "BiGANEncoder", n, augmentation=None),
        "BiGAN, cohort, augmentation": unsupervised(lab, "BiGANEncoder", n, augmentation="heavy"),
        "VAE, cohort, augmentation": unsupervised(lab, "VAEEncoder", n, augmentation="heavy"),
        "contrastive, cohort, augmentation": unsupervised(lab, "ContrastiveEncoder", n, augmentation="heavy"),
    }
    return train_encoders(lab, encoders, (patches,), {"patches of": cohort.paths, "n": n})


def main(argv=None):
    lab = Lab(read_options(__doc__, argv))
    cohort, test = cohorts(lab)
    y = is_desmoplastic(cohort)
    model = grid_cnn(lab, "GridCNNClassifier", 1 / 3)
    metric = over_seeds("auc")
    # The names of the models are those of growth_pattern.py, so that its steps are found.
    both = {
        name: predict(lab, f"pattern CNN on grids, {name}", encoder, model, y, cohort, test)
        for name, encoder in contenders(lab, cohort).items()
    }
    predictions = {name: oof for name, (oof, _) in both.items()}
    rows = [
        {
            "encoder": name,
            "paper, AUC": PAPER.get(name, "lower (figure only)"),
            "AUC": str(estimate(metric, y, prediction, groups=cohort.patients)),
            "seeds": spread("auc", y, prediction),
            "AUC, test": on_test("auc", test, test and is_desmoplastic(test), both[name][1]),
        }
        for name, prediction in predictions.items()
    ]
    lab.write(
        "encoders",
        "Section 4.5, Fig. 4: encoders compared",
        rows,
        question="Does the multitask encoder serve the growth pattern better than unsupervised, single-task and"
        " colour-only encoders?",
        protocol=(
            f"The experiment of Fig. 5 with each encoder: {len(cohort)} slides of {len(set(cohort.patients))}"
            " patients, folds 2/1/1 by patient, AUC of slides, mean over seeds, 95 % interval by resampling"
            " patients; differences on the same patients by the paired bootstrap." + external(test)
        ),
        findings=verdicts(metric, both, cohort, y, test, test and is_desmoplastic(test)),
        figure=_figure(cohort, y, predictions),
    )


def _figure(cohort, y, predictions):
    figure, ax = plt.subplots(figsize=(6, 5.6), layout="constrained")
    for name, prediction in predictions.items():
        display = RocDisplay.from_predictions(y, prediction[:, 0], groups=cohort.patients, name=name, ax=ax)
        display.ax_.collections[-1].remove()  # eight bands on one chart hide each other; the table has the intervals
    ax.set_title("Growth pattern by encoder, first seed", loc="left")
    return figure


if __name__ == "__main__":
    main()
