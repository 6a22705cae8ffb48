"""A score: one or more numbers per slide."""

import numpy as np

from sknic.targets.cells import as_numbers, note_of_codes, numbers_of
from sknic.targets.kind import Target
from sknic.targets.kinds import register


def _numbered(name, values):
    return {name: values} if values.ndim == 1 else {f"{name} {k}": column for k, column in enumerate(values.T)}


@register
class Regression(Target):
    """A score: finite numbers, shape (n_slides,) or (n_slides, n_outputs)."""

    name = "regression"
    title = "Predicting a score"
    metrics = ("spearman", "r2")
    score_metric = "r2"
    quality = ("error", "the difference between prediction and target")

    def fits(self, estimator, y):
        """Whether y is neither the target of a classifier nor a survival time."""
        from sklearn.base import is_classifier

        return not is_classifier(estimator) and getattr(getattr(y, "dtype", None), "names", None) is None

    def read(self, y):
        """Check that y contains finite numbers."""
        return as_numbers(y)

    def from_table(self, table, columns, event_value=None):
        """Read the numbers of the column "target", and point out numbers that may stand for a missing value."""
        column = columns["target"]
        y = numbers_of(table, column)
        return y, note_of_codes(column, y)

    def check(self, y):
        """Any number can be learnt from."""

    def check_training_part(self, y, train):
        """Any number can be learnt from."""

    def truth(self, y):
        """Target; numbered if there are several outputs."""
        return _numbered("target", y)

    def predicted(self, prediction, classes):
        """Prediction; numbered if there are several outputs."""
        return _numbered("prediction", prediction)

    @property
    def required_columns(self):
        """Target and prediction."""
        return ("target", "prediction")

    def quality_of(self, table):
        """Minus the absolute error."""
        return -(table["prediction"] - table["target"]).abs().to_numpy(float)

    def summary(self, table, whole):
        """Lowest, median and highest target."""
        target = table["target"]
        return {"Lowest": target.min(), "Median": target.median(), "Highest": target.max()}

    def describe(self, y):
        """Range and median."""
        return f"target from {y.min():.4g} to {y.max():.4g}, median {np.median(y):.4g}"
