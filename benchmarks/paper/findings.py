"""What predictions say, as text: a metric over the seeds with its interval, differences, the external test."""

import numpy as np

from sknic.evaluation import compare, estimate
from sknic.evaluation.metrics import get_metric


def over_seeds(metric):
    """The mean over the seeds of a metric of predictions (n, n_seeds), for `estimate` and `compare`."""
    of_one = get_metric(metric)

    def mean(y_true, y_pred):
        return float(np.mean([of_one(y_true, column) for column in y_pred.T]))

    return mean


def spread(metric, y_true, y_pred):
    """Lowest and highest of a metric over the seeds, as text; empty for one seed."""
    values = [get_metric(metric)(y_true, column) for column in y_pred.T]
    return f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else ""


def told(comparison):
    """A paired difference as text, which says so when it is smaller than its interval."""
    d = comparison.difference
    if d.low <= 0 <= d.high:
        return f"{d}, no difference shown"
    return f"{d}, {'above' if d.value > 0 else 'below'}"


def on_test(metric, test, y_test, prediction):
    """A metric, by name, on the external test slides and its spread over the seeds, as text; a dash without them."""
    if test is None:
        return "–"
    mean = estimate(over_seeds(metric), y_test, prediction, groups=test.patients)
    seeds = spread(metric, y_test, prediction)
    return f"{mean}; seeds {seeds}" if seeds else str(mean)


def differences(metric, predictions, cohort, y, test, y_test, pairs=None):
    """A row for each pair of names, the first with each other one unless given: out of fold, and on the test slides."""
    first, *others = predictions
    rows = []
    for a, b in pairs or [(first, other) for other in others]:
        row = {"this": a, "against": b}
        row["difference"] = told(compare(metric, y, predictions[a][0], predictions[b][0], groups=cohort.patients))
        if test is not None:
            on = compare(metric, y_test, predictions[a][1], predictions[b][1], groups=test.patients)
            row["difference, test"] = told(on)
        rows.append(row)
    return rows


def external(test):
    """Sentence on what the test slides are, for the protocols."""
    if test is None:
        return ""
    return (
        f" External test: {len(test)} slides of {len(set(test.patients))} other patients (in the mosaic of other source"
        " images, which the folds share), predicted by the mean of the four CNNs."
    )
