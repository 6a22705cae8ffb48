"""From an evaluation to its report: which numbers, charts and slides are worth showing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sknic.exceptions import DegenerateDataError
from sknic.files.names import unique_names
from sknic.plotting import KaplanMeierDisplay, LearningCurveDisplay, RocDisplay, ScatterDisplay
from sknic.report.classes import calibration_table, class_table, confusion_table
from sknic.report.document import Card, Headline, Report
from sknic.targets import Classification, Regression, Survival, survival_array

if TYPE_CHECKING:
    from sknic.report.run_folder import RunFolder


_METRICS = {
    "spearman": "Spearman's correlation",
    "r2": "R²",
    "auc": "Area under the ROC curve",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "concordance": "Concordance index",
}


# The colors of `sknic.plotting.overlay`.
_LEGEND = " Colored cells speak for the prediction (Grad-CAM), from green to yellow: the stronger, the more opaque."


def report_of_run(run: RunFolder, title: str | None = None) -> Report:
    """Lay out the report of an evaluation.

    Parameters
    ----------
    run : RunFolder
        Evaluation to report on.
    title : str, default=None
        Title of the page; the kind of target and its column by default.

    Returns
    -------
    Report
        Cohort, results, learning curves, slides and settings.
    """
    report = Report(title or _title(run), subtitle=_subtitle(run), headline=_headline(run))
    results = report.add_section("Results")
    results.add_table(metrics_table(run), caption="Predictions of slides that the model had not seen")
    if run.verdict is not None:
        _add_verdict(results, run)
    for reason in dict.fromkeys(estimate.reason for estimate in run.metrics.values() if estimate.reason):
        results.add_text(f"n/a: {reason}.")
    if any(estimate.low == estimate.high for estimate in run.metrics.values()):
        results.add_text(
            "An interval without width does not mean certainty: where nothing was predicted wrongly, drawing the"
            " same patients again cannot tell how others would be predicted."
        )
    try:
        _add_chart(results, run)
    except DegenerateDataError as error:
        results.add_text(f"There is no chart: {error}.")
    _add_cohort(report, run)
    if run.history is not None:
        _add_learning_curves(report, run)
    _add_slides(report, run)
    settings = report.add_section("Settings")
    settings.add_settings(run.record.get("settings", {}))
    for name in ("versions", "machine"):
        if run.record.get(name):
            settings.add_settings(run.record[name], title=name.capitalize())
    return report


def _headline(run):
    """The most telling metric beside chance and baseline, and what it means."""
    verdict = run.verdict
    if verdict is None or np.isnan(verdict.score.value):
        return None
    score, whose = verdict.score, "slides" if run.patients is None else "patients"
    facts = {f"{score.level:.0%} interval, by {whose[:-1]}": _interval(score)["interval"].split(" (")[0]}
    if verdict.chance is not None:
        facts["chance"] = f"{verdict.chance:.3g}"
    if verdict.comparison is not None:
        facts["mean embedding and linear model"] = f"{verdict.comparison.b.value:.3f}"
    facts["out of fold"] = (
        f"{len(run.predictions)} slides, {score.n} {whose}" if whose == "patients" else f"{score.n} slides"
    )
    return Headline(_METRICS.get(verdict.metric, verdict.metric), f"{score.value:.3f}", facts, str(verdict))


def _add_cohort(report, run):
    cohort = report.add_section("Cohort")
    cohort.add_table(cohort_table(run), caption="What was learnt from, and tested on in each fold")
    if run.errors:
        reasons = "; ".join(f"{slide}: {reason}" for slide, reason in run.errors.items())
        cohort.add_text(f"{len(run.errors)} slides could not be used and were left out: {reasons}.")


def _title(run):
    target = run.record.get("settings", {}).get("target")
    return f"{run.kind.title}: {target}" if target else run.kind.title


def _subtitle(run):
    command, when = run.record.get("command"), run.record.get("when")
    parts = [f"sknic {command}" if command else None, when and str(when).replace("T", " ").replace("+00:00", " UTC")]
    return ", ".join(part for part in parts if part)


def cohort_table(run):
    """Who was in the cohort, and in each fold: numbers of slides and patients, and how the target is spread."""
    table = run.predictions
    parts = {"All": table}
    if "fold" in table:
        parts |= {f"Fold {fold}": rows for fold, rows in table.groupby("fold")}
    return pd.DataFrame([{"Part": name, **_summary(run, rows)} for name, rows in parts.items()])


def _summary(run, table):
    summary = {"Slides": len(table)}
    if run.patients is not None:
        summary["Patients"] = table["patient"].nunique()
    return summary | run.kind.summary(table, run.predictions)


def metrics_table(run):
    """Each metric with its interval."""
    rows = [
        {
            "metric": _METRICS.get(name, name),
            **_interval(estimate),
            "n": f"{estimate.n} {'slides' if run.patients is None else 'patients'}",
        }
        for name, estimate in run.metrics.items()
    ]
    return pd.DataFrame(rows, columns=["metric", "value", "interval", "n"])


def _or_na(value, text):
    return "n/a" if np.isnan(value) else text


def _add_verdict(section, run):
    """What the score means: beside chance, beside the baseline, and fold by fold."""
    verdict = run.verdict
    if np.isnan(verdict.score.value):
        section.add_text(str(verdict))  # else it stands at the top
    rows = [{"prediction": "model", **_interval(verdict.score)}]
    if verdict.comparison is not None:
        rows.append({"prediction": "mean embedding and linear model", **_interval(verdict.comparison.b)})
        rows.append({"prediction": "difference", **_interval(verdict.comparison.difference)})
    if verdict.chance is not None:
        rows.append({"prediction": "chance", "value": f"{verdict.chance:.3g}", "interval": ""})
    name = _METRICS.get(verdict.metric, verdict.metric)
    section.add_table(pd.DataFrame(rows), caption=f"{name}, on the same folds; the difference is paired by patient")
    folds = {f"fold {k}": _or_na(score, f"{score:.3f}") for k, score in enumerate(verdict.fold_scores)}
    if folds:
        folds["mean"] = _or_na(verdict.mean_of_folds, f"{verdict.mean_of_folds:.3f}")
        section.add_table(
            pd.DataFrame([folds]), caption=f"{name} of each fold alone: models of different folds have no common scale"
        )


def _interval(estimate):
    return {
        "value": _or_na(estimate.value, f"{estimate.value:.3f}"),
        "interval": _or_na(estimate.low, f"{estimate.low:.3f} to {estimate.high:.3f} ({estimate.level:.0%})"),
    }


def _add_chart(section, run):
    draw = _CHARTS.get(run.task)
    if draw is not None:
        draw(section, run)


def _scatter(section, run):
    table = run.predictions
    display = ScatterDisplay.from_predictions(table["target"], table["prediction"], groups=run.patients)
    _add_display(section, display, f"Scatter plot of predicted against true values, Spearman {display.spearman}")


def _survival_curves(section, run):
    table = run.predictions
    y = survival_array(table["event"], table["time"])
    display = KaplanMeierDisplay.from_predictions(y, table["prediction"].to_numpy(), groups=run.patients)
    alt = f"Kaplan-Meier curves of patients at low and at high predicted risk: {display.groups}"
    _add_display(section, display, alt)


def _classes(section, run):
    section.add_table(confusion_table(run), caption="Slides of each true class (rows) by predicted class (columns)")
    threshold = "probability 0.5 or more" if len(run.classes) == 2 else "the highest probability of all classes"
    section.add_table(class_table(run), caption=f"Each class against the rest; predicted is the class with {threshold}")
    calibration = calibration_table(run)
    if calibration is not None:
        of = f"class {run.classes[1]}" if len(run.classes) == 2 else "the predicted class"
        section.add_table(calibration, caption=f"Calibration: probability of {of}, in up to five groups of equal size")
        for name in run.classes[-1:] if len(run.classes) == 2 else run.classes:
            _roc(section, run, name)


def _roc(section, run, name):
    is_class = (run.predictions["target"].astype(str) == name).to_numpy()
    score, title = run.predictions[f"probability {name}"], f"Positive class: {name}"
    display = RocDisplay.from_predictions(is_class, score, groups=run.patients, title=title)
    _add_display(section, display, f"ROC curve of class {name} against the rest, area {display.area}")


def _add_display(section, display, alt):
    section.add_figure(display, alt=alt)
    plt.close(display.figure_)


_CHARTS = {Regression.name: _scatter, Classification.name: _classes, Survival.name: _survival_curves}


def _add_learning_curves(report, run):
    history = run.history
    folds = [rows for _, rows in history.groupby("fold")] if "fold" in history else [history]
    # An epoch that has no validation loss must not have the key, as in `history_`.
    records = [[row.dropna().to_dict() for _, row in rows.iterrows()] for rows in folds]
    display = LearningCurveDisplay(records).plot()
    epochs = [int(rows["epoch"].max()) for rows in folds]
    ran = f"{min(epochs)} to {max(epochs)} evaluations" if len(epochs) > 1 else f"{epochs[0]} evaluations"
    alt = f"Training and validation loss by step of {len(folds)} models, {ran}"
    report.add_section("Learning curves").add_figure(display, alt=alt)
    plt.close(display.figure_)


def fit_of_slides(run):
    """How well each slide was predicted, float (n_slides,): higher is better, whatever the task."""
    return run.kind.quality_of(run.predictions)


def best_and_worst(run: RunFolder, n_slides: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the slides that were predicted best and worst, the most extreme first.

    Parameters
    ----------
    run : RunFolder
        Evaluation whose slides are ranked.
    n_slides : int, default=3
        Number of slides at each end; fewer where the cohort is small, so that none is in both.

    Returns
    -------
    best, worst : int arrays (n_slides,)
        Rows of the predictions.
    """
    fit = fit_of_slides(run)
    known = np.flatnonzero(~np.isnan(fit))
    order = known[np.argsort(-fit[known], kind="stable")]
    n_slides = min(n_slides, len(order) // 2)
    return order[:n_slides], order[::-1][:n_slides]


def _add_slides(report, run):
    section = report.add_section("Slides")
    fit = fit_of_slides(run)
    name, meaning = run.kind.quality
    section.add_text(f"Best and worst by {meaning}.{_LEGEND if run.overlays else ''}")
    slides = run.predictions["slide"]
    table = run.predictions.assign(slide=slides.map(unique_names(slides)), **{name: np.abs(fit)})
    for title, rows in zip(("Predicted best", "Predicted worst"), best_and_worst(run)):
        chosen = table.iloc[rows]
        cards = [_card(run, row) for row in chosen.to_dict("records") if row["slide"] in run.overlays]
        if cards:
            section.add_cards(cards, title=title)
        else:
            section.add_table(chosen, caption=title)
    section.add_table(table, caption=f"All {len(table)} predictions", folded=True)


def _card(run, row):
    """A slide with its saliency and what matters most; a class is marked as right or wrong."""
    shown = row.pop("slide")
    is_class = "target" in row and isinstance(row["target"], str)
    mark = {True: "✓ right: ", False: "✗ wrong: "}[row["target"] == row["prediction"]] if is_class else ""
    facts = {name: value for name, value in row.items() if name != "fold" and not name.startswith("probability ")}
    alt = f"Thumbnail of slide {shown}; the cells that the model looked at are colored"
    return Card(f"{mark}{shown}", run.overlays[shown], alt, facts)
