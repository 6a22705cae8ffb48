"""A class: one label per slide."""

import re
import warnings

import numpy as np

from sknic.exceptions import DegenerateDataError
from sknic.targets.cells import as_array, few, names_of, refuse_bools_among_numbers
from sknic.targets.kind import Target
from sknic.targets.kinds import register
from sknic.targets.names import EMPTY, refuse_alike, refuse_words
from sknic.targets.rows import PROBABILITY

# These metrics take labels; the others take probabilities.
_OF_LABELS = ("accuracy", "balanced_accuracy")
# Probabilities below it count as it, in log odds.
_LEAST = 1e-4


@register
class Classification(Target):
    """A class: labels of one type, shape (n_slides,)."""

    name = "classification"
    title = "Predicting a class"
    metrics = ("auc", "accuracy", "balanced_accuracy")
    score_metric = "accuracy"
    prediction_method = "predict_proba"
    quality = ("confidence", "the probability of the true class")
    text_columns = ("target", "prediction")
    picks_one = True

    def fits(self, estimator, y):
        """Whether scikit-learn calls the estimator a classifier."""
        from sklearn.base import is_classifier

        return is_classifier(estimator)

    def read(self, y):
        """Check that y contains one label per slide, all of one type."""
        from sklearn.utils import assert_all_finite, column_or_1d
        from sklearn.utils.multiclass import check_classification_targets

        array = as_array(y)
        refuse_bools_among_numbers(y, "y")
        if array.dtype.kind == "O" and not any(isinstance(value, str) for value in array.flat):
            array = np.array(array.tolist())  # numbers in an array of objects, as pandas may hand over
        if array.dtype.kind == "f":
            assert_all_finite(array, input_name="y")
        if array.ndim == 2 and array.shape[1] == 1:
            array = column_or_1d(array, warn=True)
        with warnings.catch_warnings():
            # Too many classes are counted and refused here, in words of our own.
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            check_classification_targets(array)
        if array.dtype.kind in "OU":
            refuse_alike("y", array.ravel(), case=True)
            refuse_words("y", array.ravel(), EMPTY)
        return array

    def from_table(self, table, columns, event_value=None):
        """Read the column "target" as text, exactly as it is written: "01" and "1" are two classes."""
        column = columns["target"]
        labels, doubtful = names_of(table, column)
        refuse_alike(f"column {column!r}", labels, case=True)
        return labels.astype(str), _note(column, labels, doubtful)

    def check(self, y):
        """A classifier needs two classes, at least one of which has two slides or more."""
        n_classes = np.unique(y).size
        if n_classes == len(y) > 2:
            raise DegenerateDataError(
                f"y has a class of its own for each of {n_classes} slides, such as {y[0]!s}: expected classes of "
                "several slides; use regression for numbers"
            )
        if n_classes < 2:
            raise DegenerateDataError(f"y of {len(y)} slides contains only one class; expected two or more")

    def check_training_part(self, y, train):
        """Every class has to be in the training part."""
        missing = np.setdiff1d(y, y[train]).tolist()
        if missing:
            raise DegenerateDataError(
                f"the training part of a fold does not contain class {missing[0]!r}: all its slides are in the test "
                "part; use fewer folds or more patients of that class"
            )

    def check_classes(self, y, classes, *, may_be_new=False):
        """Other labels count as wrong, and an AUC would give them the columns of the model's classes, in order."""
        known, found = dict.fromkeys(np.asarray(classes).tolist()), np.asarray(y).tolist()
        new = list(dict.fromkeys(label for label in found if label not in known))
        if new and not (may_be_new and known.keys() & set(found)):
            n = sum(label not in known for label in found)
            raise ValueError(
                f"the target contains {few(new)} ({n} of {len(found)} slides): expected the classes of the model, "
                f"{few(list(known))}, spelled alike; leave slides of other classes out"
            )

    def strata(self, y):
        """The labels themselves."""
        return y

    def labels(self, prediction, classes):
        """The class of the highest probability."""
        return classes[prediction.argmax(axis=1)]

    def scores(self, prediction):
        """Log odds of each class except the first against the first; finite also for probabilities of 0 and 1."""
        if prediction.ndim == 1:
            raise ValueError("the slide model has no predict_proba: expected a classifier with probabilities")
        logs = np.log(np.clip(prediction, _LEAST, None))
        return logs[:, 1:] - logs[:, :1]

    def for_metric(self, metric, prediction, classes):
        """Labels for accuracies, probabilities for all else."""
        return self.labels(prediction, classes) if metric in _OF_LABELS and prediction.ndim == 2 else prediction

    def truth(self, y):
        """Target."""
        return {"target": y}

    def predicted(self, prediction, classes):
        """Prediction, and the probability of each class if there are probabilities."""
        if prediction.ndim == 1:
            return {"prediction": prediction}
        probabilities = {f"{PROBABILITY}{name}": column for name, column in zip(classes, prediction.T)}
        return {"prediction": self.labels(prediction, classes), **probabilities}

    def prediction_of(self, table, classes):
        """Probabilities of the classes."""
        return table[[f"{PROBABILITY}{name}" for name in classes]].to_numpy(float)

    @property
    def required_columns(self):
        """Target and prediction."""
        return ("target", "prediction")

    def quality_of(self, table):
        """Probability of the true class; 1 or 0 if there are no probabilities."""
        rows = table.to_dict("records")
        right = [float(str(row["target"]) == str(row["prediction"])) for row in rows]
        return np.array([row.get(f"{PROBABILITY}{row['target']}", hit) for row, hit in zip(rows, right)], float)

    def summary(self, table, whole):
        """Number of slides of each class."""
        labels = table["target"].astype(str)
        return {name: int((labels == name).sum()) for name in sorted(whole["target"].astype(str).unique())}

    def describe(self, y):
        """Number of slides of each class."""
        labels, counts = np.unique(y, return_counts=True)
        said = [f"{label} ({count})" for label, count in zip(labels, counts)]
        more = f" and {len(said) - _MOST_SHOWN} more" if len(said) > _MOST_SHOWN else ""
        return f"classes: {', '.join(said[:_MOST_SHOWN])}{more}"


_MOST_SHOWN = 12


def _note(column, labels, doubtful):
    """Describe labels that may be something else: a missing value, or one class in two spellings."""
    notes = [f"{name!r} ({(labels == name).sum()})" for name in doubtful]
    said = (
        [f"{column}: {', '.join(notes)} counts as a class; leave these rows out if it means missing"] if notes else []
    )
    numbers: dict[float, list[str]] = {}
    for name in dict.fromkeys(labels):
        if re.fullmatch(r"[+-]?\d+(\.\d+)?", name):
            numbers.setdefault(float(name), []).append(name)
    said += [
        f"{column}: {', '.join(map(repr, names))} are different classes, although they are the same number"
        for names in numbers.values()
        if len(names) > 1
    ]
    return "; ".join(said)
