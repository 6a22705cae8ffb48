"""The charts of an evaluation, by kind of target."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np

from sknic.plotting import (
    DecisionCurveDisplay,
    KaplanMeierDisplay,
    LearningCurveDisplay,
    RejectionDisplay,
    RocDisplay,
    ScatterDisplay,
)
from sknic.plotting.style import COLORS, FAINT, INK, axes_for, tidy
from sknic.report.classes import calibration_table, class_table, confusion_table
from sknic.report.over_time import add_scores_over_time
from sknic.targets import Classification, Regression, Survival
from sknic.targets.rows import PROBABILITY

_SIZE = (5, 4)


def add_charts(section, run):
    """Add the charts for the kind of target, if it has any."""
    draw = _CHARTS.get(run.task)
    if draw is not None:
        draw(section, run)
    if "spread" in run.predictions:
        _rejection(section, run)


def add_learning_curves(section, run):
    """Add the losses of each fold's training."""
    history = run.history
    folds = [rows for _, rows in history.groupby("fold")] if "fold" in history else [history]
    # An epoch that has no validation loss must not have the key, as in `history_`.
    records = [[row.dropna().to_dict() for _, row in rows.iterrows()] for rows in folds]
    display = LearningCurveDisplay(records).plot()
    epochs = [int(rows["epoch"].max()) for rows in folds]
    ran = f"{min(epochs)} to {max(epochs)} evaluations" if len(epochs) > 1 else f"{epochs[0]} evaluations"
    section.add_figure(display, alt=f"Learning curves: training and validation loss of {len(folds)} models, {ran}")
    plt.close(display.figure_)


def add_rivals(section, scores, chance, name):
    """Add the scores of several models with their intervals, compared with chance."""
    rivals = {rival: score for rival, score in scores.items() if not np.isnan(score.value)}
    if chance is None or not rivals:
        return
    ax = axes_for(None, (5, 0.7 + 0.5 * len(rivals)))
    for row, score in enumerate(rivals.values()):
        ax.plot([score.low, score.high], [row, row], color=COLORS[row], linewidth=2.5)
        ax.plot(score.value, row, "o", color=COLORS[row], markersize=8)
    ax.axvline(chance, color=FAINT, linewidth=1, linestyle="--", label="chance")
    ax.set_yticks(range(len(rivals)), list(rivals))
    ax.set_ylim(len(rivals) - 0.4, -0.6)
    ax.legend(frameon=False, fontsize="small", labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), borderpad=0)
    tidy(ax, xlabel=f"{name}, with interval")
    section.add_figure(ax, alt=f"{name} of {' and of '.join(rivals)} with intervals; chance is {chance:.3g}")
    plt.close(ax.figure)


def _scatter(section, run):
    table = run.predictions
    display = ScatterDisplay.from_predictions(table["target"], table["prediction"], groups=run.patients)
    _add(section, display, f"Scatter plot of predicted against true values, Spearman {display.spearman}")


def _rejection(section, run):
    """The main metric for the slides on which the members of the models agree most."""
    metric, (truth, prediction, classes) = run.kind.metrics[0], run.for_metrics
    prediction = run.kind.for_metric(metric, prediction, classes)
    display = RejectionDisplay.from_predictions(metric, truth, prediction, run.predictions["spread"])
    kept = list(zip(display.kept, display.values))
    points = ", ".join(f"{value:.3f} of {fraction:.0%}" for fraction, value in kept if not np.isnan(value))
    caption = "The slides on which the members of a model disagree most are left out first."
    section.add_figure(display, alt=f"Rejection curve, {metric} of the slides that are kept: {points}", caption=caption)
    plt.close(display.figure_)


def _survival_curves(section, run):
    table = run.predictions
    display = KaplanMeierDisplay.from_predictions(run.truth, table["prediction"].to_numpy(), groups=run.patients)
    alt = f"Kaplan-Meier curves of patients at low and at high predicted risk: {display.groups}"
    _add(section, display, alt)
    add_scores_over_time(section, run)


def _classes(section, run):
    calibration = calibration_table(run)
    is_binary = len(run.classes) == 2
    if is_binary:
        section.add_text(
            f"The positive class is {run.classes[1]!r}: the ROC curve and the calibration refer to its probability."
        )
    if calibration is not None:
        _roc(section, run, run.classes[-1:] if is_binary else run.classes)
    _confusion(section, run)
    if calibration is not None:
        of = f"class {run.classes[1]}" if is_binary else "the predicted class"
        _calibration(section, calibration, of)
    if calibration is not None and is_binary:
        _decisions(section, run)
    tie = f", or {run.classes[0]!r} if both are 0.5" if is_binary else ""
    caption = f"Each class against the rest; the predicted class is the one with the highest probability{tie}"
    section.add_table(class_table(run), caption=caption)


def _roc(section, run, classes):
    """The curves on one pair of axes: of several classes each against the rest, without the bands that would hide."""
    ax = axes_for(None, _SIZE)
    truth, areas = run.predictions["target"].astype(str), {}
    for name in classes:
        is_class = (truth == name).to_numpy()
        score = run.predictions[f"{PROBABILITY}{name}"]
        is_alone = len(classes) == 1
        title = "ROC" if is_alone else "ROC, each class against the rest"
        display = RocDisplay.from_predictions(
            is_class, score, groups=run.patients, name=name, ax=ax, title=title, band=is_alone
        )
        areas[name] = display.area
    alt = "; ".join(f"class {name} against the rest, area {area}" for name, area in areas.items())
    section.add_figure(ax, alt=f"ROC curve of {alt}")
    plt.close(ax.figure)


def _confusion(section, run):
    """Counts of true by predicted class, shaded by the share of the true class."""
    counts = confusion_table(run).set_index("true class")
    share = counts.to_numpy() / np.maximum(counts.to_numpy().sum(axis=1, keepdims=True), 1)
    ax = axes_for(None, _SIZE)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1.2)
    for (row, column), value in np.ndenumerate(counts.to_numpy()):
        text = f"{value}\n{share[row, column]:.0%}"
        ax.text(column, row, text, ha="center", va="center", color="white" if share[row, column] > 0.7 else INK)
    ax.set_xticks(range(len(counts)), counts.columns, rotation=0 if len(counts) < 4 else 45)
    ax.set_yticks(range(len(counts)), counts.index)
    tidy(ax, title="Slides, and share of the true class", xlabel="Predicted class", ylabel="True class")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    rows = "; ".join(
        f"true class {name}: " + ", ".join(f"{value} predicted {other}" for other, value in row.items())
        for name, row in counts.iterrows()
    )
    section.add_figure(ax, alt=f"Confusion matrix. {rows}")
    plt.close(ax.figure)


def _calibration(section, table, of):
    ax = axes_for(None, _SIZE)
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle="--")
    mean, share = table["mean probability"], table["observed share"]
    ax.plot(mean, share, "o-", color=COLORS[0], linewidth=1.5, markersize=7)
    ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    tidy(ax, title="Calibration", xlabel=f"Mean probability of {of}", ylabel="Observed share")
    points = "; ".join(f"{x:.2f} predicted, {y:.2f} observed" for x, y in zip(mean, share))
    caption = (
        "In up to five groups, divided at the fifths of the slides by probability; slides of equal probability are in "
        "one group, so groups may be of unequal size. On the dashed line, probabilities are accurate."
    )
    section.add_figure(ax, alt=f"Calibration of the probability of {of}: {points}", caption=caption)
    plt.close(ax.figure)


def _decisions(section, run):
    label = run.classes[1]
    is_ill = run.predictions["target"].astype(str) == label
    display = DecisionCurveDisplay.from_predictions(is_ill, run.predictions[f"{PROBABILITY}{label}"])
    at = [10, 30, 50, 70]
    points = ", ".join(f"{display.benefit[share - 1]:.3f} at {share / 100}" for share in at)
    caption = (
        f"Benefit of treating those whose probability of {label} reaches the threshold, in true positives per "
        "slide. The model is useful where its line is the highest."
    )
    section.add_figure(display, alt=f"Decision curve, net benefit for class {label}: {points}", caption=caption)
    plt.close(display.figure_)


def _add(section, display, alt):
    section.add_figure(display, alt=alt)
    plt.close(display.figure_)


_CHARTS = {Regression.name: _scatter, Classification.name: _classes, Survival.name: _survival_curves}
