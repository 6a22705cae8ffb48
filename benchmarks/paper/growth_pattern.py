"""Section 4.4, Fig. 5: desmoplastic growth pattern or not, and survival by its probability."""

import matplotlib.pyplot as plt

from benchmarks.paper.encoder import trained
from benchmarks.paper.findings import differences, external, on_test, over_seeds, spread
from benchmarks.paper.lab import Lab, read_options
from benchmarks.paper.material import cohorts
from benchmarks.paper.models import grid_cnn, pooled_logistic, predict, published
from sknic.evaluation import estimate, format_p, split_by_risk
from sknic.plotting import KaplanMeierDisplay, RocDisplay


def is_desmoplastic(cohort):
    """1 where the growth pattern is desmoplastic (dHGP), 0 elsewhere; int (n_slides,)."""
    return (cohort.column("pattern") == "desmoplastic").to_numpy(int)


def main(argv=None):
    lab = Lab(read_options(__doc__, argv))
    cohort, test = cohorts(lab)
    y, outcome = is_desmoplastic(cohort), cohort.survival
    name, encoder = ("multitask-4, published", published(lab)) if lab.options.only_published else ("multitask", None)
    encoder = trained(lab) if encoder is None else encoder[name]
    models = {f"CNN on grids, {name}": grid_cnn(lab, "GridCNNClassifier", 1 / 3), f"pooled {name}": pooled_logistic()}
    both = {label: predict(lab, f"pattern {label}", encoder, model, y, cohort, test) for label, model in models.items()}
    predictions = {label: oof for label, (oof, _) in both.items()}
    cnn = next(iter(predictions))
    metric = over_seeds("auc")
    splits = [split_by_risk(outcome, 1 - p, groups=cohort.patients) for p in predictions[cnn].T]
    truth = split_by_risk(outcome, 1 - y, groups=cohort.patients, threshold=0.5)
    rows = [
        {
            "model": label,
            "paper, AUC": "0.895" if label == cnn else "–",
            "AUC": str(estimate(metric, y, prediction, groups=cohort.patients)),
            "seeds": spread("auc", y, prediction),
            "AUC, test": on_test("auc", test, test and is_desmoplastic(test), both[label][1]),
            "paper, log-rank": "p < 0.001" if label == cnn else "–",
            "log-rank, each seed": "; ".join(format_p(s.p_value) for s in splits) if label == cnn else "–",
            "hazard ratio, first seed": str(splits[0].hazard_ratio or splits[0].note) if label == cnn else "–",
        }
        for label, prediction in predictions.items()
    ]
    lab.write(
        "growth_pattern",
        "Section 4.4, Fig. 5: growth pattern",
        rows,
        question="Can the CNN recognize desmoplastic growth, and does its probability separate patients by survival?",
        protocol=(
            f"{len(cohort)} slides of {len(set(cohort.patients))} patients; 4 folds by patient, 2 to train, 1 to"
            " validate, 1 to test, rotated. AUC of slides, mean over seeds, 95 % interval by resampling patients."
            " Patients are split at the median of their mean predicted probability." + external(test)
        ),
        differences=differences(metric, both, cohort, y, test, test and is_desmoplastic(test)),
        findings=[
            f"The true pattern splits the same patients with {format_p(truth.p_value)}, hazard ratio"
            f" {truth.hazard_ratio or truth.note}: that is what a perfect classifier could reach here.",
        ],
        figure=_figure(cohort, y, predictions, splits[0]),
    )


def _figure(cohort, y, predictions, split):
    figure, axes = plt.subplots(1, 2, figsize=(11, 5.4), layout="constrained")
    for name, prediction in predictions.items():
        RocDisplay.from_predictions(y, prediction[:, 0], groups=cohort.patients, name=name, ax=axes[0])
    KaplanMeierDisplay(split).plot(axes[1], time_unit="days", title="Split at the median probability of dHGP")
    return figure


if __name__ == "__main__":
    main()
