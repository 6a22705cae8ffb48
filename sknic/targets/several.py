"""Several targets per slide, learnt by one network: scores, or labels that are each there or not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sknic.exceptions import DegenerateDataError
from sknic.targets.classification import Classification
from sknic.targets.kind import Target
from sknic.targets.kinds import register
from sknic.targets.known import accuracy_of_known, known_columns, n_columns, numbers_or_missing, r2_of_known
from sknic.targets.regression import Regression

# Probabilities nearer to 0 or 1 count as it, in log odds.
_LEAST = 1e-4


class SeveralTargets(Target):
    """What kinds of several targets share: missing labels, and checks of each target alone.

    Attributes
    ----------
    score_of_known : callable (y, predicted, weights) -> float
        The metric `score_metric` on the labels that are known, with a weight for each slide.
    """

    score_of_known: Callable[..., float]

    def fits(self, estimator, y):
        """Whether each column fits, and there are several."""
        return n_columns(y) > 1 and super().fits(estimator, y)

    def read(self, y):
        """Check that y contains numbers, or NaN for a missing label; float (n_slides, n_targets)."""
        return numbers_or_missing(y)

    def from_table(self, table, columns, event_value=None):
        """Refuse: a table names one column per role."""
        raise ValueError(
            f"task={self.name!r}: expected regression, classification or survival; the command line learns one target "
            "per model. Several are learnt in Python, with a y of several columns"
        )

    def need_one(self, what):
        """Refuse, because there are several."""
        raise ValueError(
            f"{what} takes one target per slide, and y has several columns; give one column, without missing labels"
        )

    def check(self, y):
        """Every target needs two different known values."""
        for k, (known,) in enumerate(known_columns(y)):
            self._check_values(known, f"target {k} of y", "leave it out, or add slides")

    def check_classes(self, y, classes, *, may_be_new=False):
        """Nothing: every column has the values 0 and 1, which `read` checks."""

    def check_training_part(self, y, train):
        """Every target needs two different known values in the training part."""
        for k, (known,) in enumerate(known_columns(y[train])):
            where = f"the training part of a fold: target {k}"
            self._check_values(known, where, "use fewer folds, more patients of the other value, or leave it out")

    def column(self, k, y, *predictions):
        """Choose one target, on the slides whose label is known."""
        if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 0 <= k < y.shape[1]:
            raise ValueError(f"target={k!r}: expected the number of a column of y, 0 to {y.shape[1] - 1}")
        rows = np.flatnonzero(~np.isnan(y[:, k]))
        return rows, y[rows, k], [None if table is None else table[rows, k] for table in predictions]

    def _check_values(self, known, where, advice):
        values = np.unique(known)
        if len(values) < 2:
            found = f"is {values[0]:g} on all {len(known)} slides whose label is known" if len(values) else "is unknown"
            raise DegenerateDataError(f"{where} {found}, so nothing can be learnt about it; {advice}")

    @property
    def required_columns(self):
        """The first target and prediction."""
        return ("target 0", "prediction 0")

    def prediction_of(self, table, classes):
        """Predictions of all targets."""
        return _columns(table, "prediction")


@register
class Scores(SeveralTargets, Regression):
    """Several scores per slide: numbers, or NaN if missing; shape (n_slides, n_targets)."""

    name = "scores"
    title = "Predicting several scores"
    single = Regression.name
    score_of_known = staticmethod(r2_of_known)

    def describe(self, y):
        """Range and median of each target, and how many labels are missing."""
        parts = [f"target {k}: {_range(known, len(y))}" for k, (known,) in enumerate(known_columns(y))]
        return "; ".join(parts)


@register
class Labels(SeveralTargets, Classification):
    """Several labels per slide, each there (1), not there (0) or missing (NaN); shape (n_slides, n_labels)."""

    name = "labels"
    title = "Predicting several labels"
    single = Classification.name
    score_of_known = staticmethod(accuracy_of_known)
    picks_one = False

    def read(self, y):
        """Check that y contains 0, 1 or NaN; float (n_slides, n_labels)."""
        y = super().read(y)
        wrong = np.argwhere(~np.isin(y, [0, 1]) & ~np.isnan(y))
        if len(wrong):
            row, k = wrong[0]
            raise ValueError(
                f"y[{row}, {k}]={y[row, k]:g}: expected 0, 1, or NaN for a missing label in a y of several columns"
            )
        return y

    def strata(self, y):
        """The rarest label that each slide has: 1, 2, ... from the rarest; after them, slides without any."""
        order = np.argsort(np.nansum(y, axis=0), kind="stable")
        has = np.column_stack([y[:, order] == 1, np.ones(len(y), bool)])
        return has.argmax(axis=1)

    def labels(self, prediction, classes):
        """1 for a label whose probability is above one half, as in scikit-learn; int (n_slides, n_labels)."""
        return (prediction > 0.5).astype(int)

    def scores(self, prediction):
        """Log odds of each label; finite also for probabilities of 0 and 1."""
        p = np.clip(prediction, _LEAST, 1 - _LEAST)
        return np.log(p / (1 - p))

    def truth(self, y):
        """Target of each label."""
        return _numbered("target", y)

    def predicted(self, prediction, classes):
        """Prediction and probability of each label."""
        labels = self.labels(prediction, classes)
        return {**_numbered("prediction", labels), **_numbered("probability", prediction)}

    def prediction_of(self, table, classes):
        """Probabilities of the labels."""
        return _columns(table, "probability")

    def describe(self, y):
        """Number of slides with each label, and how many labels are missing."""
        parts = [
            f"label {k}: {int(known.sum())} of {len(known)} slides{_missing(known, len(y))}"
            for k, (known,) in enumerate(known_columns(y))
        ]
        return "; ".join(parts)


def _numbered(name, values):
    return {f"{name} {k}": column for k, column in enumerate(values.T)}


def _columns(table, name):
    return table[[column for column in table.columns if str(column).startswith(f"{name} ")]].to_numpy(float)


def _range(known, n):
    return f"from {known.min():.4g} to {known.max():.4g}, median {np.median(known):.4g}{_missing(known, n)}"


def _missing(known, n):
    return f", {n - len(known)} missing" if len(known) < n else ""
