"""Section 4.5, Fig. 4: multitask against unsupervised and single-task encoders, on the growth pattern."""

import matplotlib.pyplot as plt

from benchmarks.paper.encoder import patch_settings, trained
from benchmarks.paper.findings import differences, external, on_test, over_seeds, spread
from benchmarks.paper.growth_pattern import is_desmoplastic
from benchmarks.paper.lab import Lab, read_options
from benchmarks.paper.material import cohort_patches, cohorts, labelled_patches
from benchmarks.paper.models import grid_cnn, multitask, predict, published, train_encoders, unsupervised
from sknic import MeanRGBEncoder
from sknic.evaluation import estimate
from sknic.evaluation.metrics import get_metric
from sknic.plotting import RocDisplay

PAPER = {"multitask": "0.895, the best"}
COLORS = plt.get_cmap("tab10")  # one for each of nine encoders


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
        " color-only encoders?",
        protocol=(
            f"The experiment of Fig. 5 with each encoder: {len(cohort)} slides of {len(set(cohort.patients))}"
            " patients, folds 2/1/1 by patient, AUC of slides, mean over seeds, 95 % interval by resampling"
            " patients; differences on the same patients by the paired bootstrap." + external(test)
        ),
        differences=differences(metric, both, cohort, y, test, test and is_desmoplastic(test)),
        figure=_figure(cohort, y, test, both),
    )


def _figure(cohort, y, test, both):
    figure, axes = plt.subplots(1, 2, figsize=(12, 5.6), layout="constrained")
    for row, (oof, _) in enumerate(both.values()):
        display = RocDisplay.from_predictions(y, oof[:, 0], groups=cohort.patients, ax=axes[0])
        display.line_.set_color(COLORS(row))
        display.ax_.collections[-1].remove()  # nine bands on one chart hide each other; the table has the intervals
    axes[0].get_legend().remove()  # the names stand beside the dots of the same color
    axes[0].set_title("Out of fold, first seed", loc="left")
    if test is None:
        _areas(axes[1], cohort, y, {name: oof for name, (oof, _) in both.items()})
        axes[1].set_title("Out of fold: interval of patients, a dot each seed", loc="left")
    else:
        _areas(axes[1], test, is_desmoplastic(test), {name: of_test for name, (_, of_test) in both.items()})
        axes[1].set_title("Test slides: interval of patients, a dot each seed", loc="left")
    return figure


def _areas(ax, cohort, y, predictions):
    """A line for each encoder: the mean AUC over the seeds with its interval, and the AUC of each seed."""
    for row, prediction in enumerate(predictions.values()):
        mean = estimate(over_seeds("auc"), y, prediction, groups=cohort.patients)
        ax.plot([mean.low, mean.high], [row, row], color="0.8", linewidth=5, solid_capstyle="butt")
        of_seeds = [get_metric("auc")(y, column) for column in prediction.T]
        ax.plot(of_seeds, [row] * len(of_seeds), "o", color=COLORS(row))
        ax.plot(mean.value, row, "|", color="black", markersize=14)
    ax.axvline(0.5, color="0.6", linestyle="--", linewidth=1)
    ax.set(xlabel="AUC", yticks=range(len(predictions)), yticklabels=list(predictions))
    ax.invert_yaxis()


if __name__ == "__main__":
    main()
