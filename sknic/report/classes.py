"""How well classes are distinguished: per class, at the stated threshold, and how well probabilities are calibrated."""

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from sknic.targets.rows import PROBABILITY

# Fifths of the slides by probability: a few dozen slides have no more to say.
_CALIBRATION_BINS = 5


def confusion_table(run):
    """Slides of each true class by predicted class."""
    labels, predicted = _labels(run)
    counts = pd.DataFrame(confusion_matrix(labels, predicted, labels=run.classes), columns=run.classes)
    counts.insert(0, "true class", run.classes)
    return counts


def class_table(run):
    """Sensitivity, specificity, F1 and area under the ROC curve of each class against the rest."""
    labels, predicted = _labels(run)
    rows = []
    for name in run.classes:
        is_class, is_predicted = labels == name, predicted == name
        rows.append(
            {
                "class": name,
                "slides": int(is_class.sum()),
                "sensitivity": _share(is_predicted[is_class]),
                "specificity": _share(~is_predicted[~is_class]),
                "F1": float(f1_score(is_class, is_predicted, zero_division=0)),
                "AUC": _area(is_class, run.predictions.get(f"{PROBABILITY}{name}")),
            }
        )
    return pd.DataFrame(rows).round(3)


def calibration_table(run):
    """Mean predicted probability, and observed share of the class, in up to five groups by probability.

    The limits are the fifths of the slides; slides of equal probability are in one group, so groups may be of unequal
    size. With two classes the second one is used, with more the predicted one; None without probabilities.
    """
    labels, predicted = _labels(run)
    columns = [f"{PROBABILITY}{name}" for name in run.classes]
    if not set(columns) <= set(run.predictions):
        return None
    probabilities = run.predictions[columns].to_numpy(float)
    if len(run.classes) == 2:
        came_true, probability = labels == run.classes[1], probabilities[:, 1]
    else:
        came_true, probability = labels == predicted, probabilities.max(axis=1)
    share, mean = calibration_curve(came_true, probability, n_bins=_CALIBRATION_BINS, strategy="quantile")
    return pd.DataFrame({"mean probability": mean, "observed share": share}).round(3)


def _labels(run):
    return (run.predictions[name].astype(str).to_numpy() for name in ("target", "prediction"))


def _share(hits):
    return float(np.mean(hits)) if len(hits) else np.nan


def _area(is_class, probability):
    if probability is None or is_class.all() or not is_class.any():
        return np.nan
    return float(roc_auc_score(is_class, probability))
