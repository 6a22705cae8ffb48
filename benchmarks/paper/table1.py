"""Section 4.2, Table 1: a proliferation score of slides, out of fold and on a test cohort."""

from benchmarks.paper.encoder import trained
from benchmarks.paper.findings import differences, on_test, over_seeds, spread
from benchmarks.paper.lab import Lab, read_options
from benchmarks.paper.material import cohorts
from benchmarks.paper.models import LONGER, grid_cnn, pooled_ridge, predict, published
from sknic import MeanRGBEncoder
from sknic.evaluation import estimate
from sknic.plotting import ScatterDisplay

PAPER = {
    "NIC multitask": ("0.620", "0.632 [0.5966, 0.6641]"),
    "NIC BiGAN, published": ("0.522", "0.558 [0.5191, 0.5962]"),
}


LONG = f", trained {LONGER} times as long"


def contenders(lab):
    """Name -> encoder and model."""
    encoders = {} if lab.options.only_published else {"multitask": trained(lab)}
    encoders |= published(lab) | {"mean-RGB": MeanRGBEncoder()}
    cnns = {
        f"NIC {name}{suffix}": (encoder, grid_cnn(lab, "GridCNNRegressor", 0.25, longer))
        for suffix, longer in (("", 1), (LONG, LONGER))
        for name, encoder in encoders.items()
    }
    best = next(iter(encoders))
    return cnns | {f"pooled {best} + Ridge": (encoders[best], pooled_ridge())}


def pairs(names):
    """What is compared: each multitask encoder with the others after it, by CNNs trained as long; then the lengths."""
    short = [name for name in names if f"{name}{LONG}" in names]
    of_one_length = [
        (a + suffix, b + suffix)
        for suffix in ("", LONG)
        for i, a in enumerate(short)
        for b in short[i + 1 :]
        if "multitask" in a
    ]
    best = short[0]
    rivals = [name for name in names if name.startswith("pooled")]
    return of_one_length + [(name + LONG, name) for name in short] + [(best + LONG, rival) for rival in rivals]


def main(argv=None):
    lab = Lab(read_options(__doc__, argv))
    train, test = cohorts(lab)
    y = train.score
    metric = over_seeds("spearman")
    predictions = {
        name: predict(lab, f"score {name}", encoder, model, y, train, test)
        for name, (encoder, model) in contenders(lab).items()
    }
    rows = [_row(name, *parts, train, test, metric) for name, parts in predictions.items()]
    ours = next(iter(predictions))
    lab.write(
        "table1",
        "Section 4.2, Table 1: score of a slide",
        rows,
        question="Does the CNN on grids of the multitask encoder rank slides by their proliferation score, and better"
        " than on grids of unsupervised encoders?",
        protocol=(
            f"{len(train)} slides of {len(set(train.patients))} patients in 4 folds by patient; the part that stops"
            " the training is taken from the training folds, so out-of-fold numbers are of slides that decided"
            " nothing (the paper validates on the fold it reports). Test slides: the mean of the four CNNs."
            f" Trained longer: epochs of {LONGER} times as many batches, so that the learning rate falls later too."
            " Spearman's correlation, mean over seeds, 95 % interval by resampling patients."
        ),
        differences=differences(metric, predictions, train, y, test, test and test.score, pairs(list(predictions))),
        figure=_figure(train, predictions[ours][0][:, 0], ours),
    )


def _row(name, oof, of_test, train, test, metric):
    row = {"method": name, "paper, training": PAPER.get(name, ("–",))[0]}
    row["out of fold"] = str(estimate(metric, train.score, oof, groups=train.patients))
    row["seeds"] = spread("spearman", train.score, oof)
    row["paper, test"] = PAPER.get(name, ("", "–"))[1]
    row["test"] = on_test("spearman", test, test and test.score, of_test)
    return row


def _figure(cohort, prediction, name):
    title = f"{name}, out of fold"
    return ScatterDisplay.from_predictions(cohort.score, prediction, groups=cohort.patients, title=title).figure_


if __name__ == "__main__":
    main()
