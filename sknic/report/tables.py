"""Tables that the report and the model card share: the cohort by fold, and the metrics with their intervals."""

import numpy as np
import pandas as pd

_TITLES = {
    "spearman": "Spearman's correlation",
    "r2": "R²",
    "auc": "Area under the ROC curve",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "concordance": "Concordance index",
    "concordance_ipcw": "Concordance, weighted for censoring",
    "mean_auc": "Area under the ROC curve over time",
    "integrated_brier": "Integrated Brier score (low is good)",
    "kaplan_meier_brier": "the same, ignoring the slides",
}


def title_of(metric):
    """Name of a metric for readers; a metric of the user keeps its own."""
    return _TITLES.get(metric, metric)


def cohort_table(run):
    """The cohort and its folds: numbers of slides and patients, and the distribution of the target."""
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
            "metric": title_of(name),
            **interval_of(estimate),
            "n": f"{estimate.n} {'slides' if run.patients is None else 'patients'}",
        }
        for name, estimate in run.metrics.items()
    ]
    return pd.DataFrame(rows, columns=["metric", "value", "interval", "n"])


def or_na(value, text):
    """Return the text that shows a value, or n/a if the value is NaN."""
    return "n/a" if np.isnan(value) else text


def interval_of(estimate):
    """Value and interval of an estimate as text, by the heads of their columns."""
    return {
        "value": or_na(estimate.value, f"{estimate.value:.3f}"),
        "interval": or_na(estimate.low, f"{estimate.low:.3f} to {estimate.high:.3f} ({100 * estimate.level:.12g}%)"),
    }
