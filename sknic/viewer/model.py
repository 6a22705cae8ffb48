"""Model: what the page needs from a fitted estimator, which is loaded on first use."""

from functools import cached_property

import numpy as np
from sklearn.base import is_regressor

from sknic.targets.kinds import predicted_columns


class Model:
    """A fitted estimator, loaded on first use.

    Parameters
    ----------
    load : callable () -> fitted estimator
        Called once.
    """

    def __init__(self, load):
        self._load = load

    @cached_property
    def _estimator(self):
        return self._load()

    @property
    def choices(self):
        """What can be explained, list: labels, or the numbers of several targets; empty if there is only one output."""
        if hasattr(self._estimator, "classes_"):
            return list(self._estimator.classes_)
        n_targets = _n_outputs(self._estimator) if is_regressor(self._estimator) else 1
        return list(range(n_targets)) if n_targets > 1 else []

    def describe(self):
        """What the page needs to know."""
        of_class = hasattr(self._estimator, "classes_")
        return {
            "name": type(self._estimator).__name__,
            "choice": "Class" if of_class else "Target",
            "choices": [str(choice) for choice in self.choices],
        }

    def predict(self, grid):
        """The prediction for a slide: text by name."""
        columns = predicted_columns(self._estimator, [grid])
        return {name: short(column[0]) for name, column in columns.items()}

    def explain(self, method, grid, label):
        """Saliency by a function of :mod:`sknic.saliency`; `label` indexes `choices`, None the predicted or first."""
        from sknic import saliency

        return getattr(saliency, method)(self._estimator, grid, None if label is None else self.choices[label])


def _n_outputs(estimator):
    """Number of outputs of the estimator, or of the first one inside an ensemble or at the end of a pipeline."""
    inner = getattr(estimator, "estimators_", None) or [step for _, step in getattr(estimator, "steps", [])][-1:]
    return _n_outputs(inner[0]) if inner else estimator.n_outputs_


def short(value):
    """A value with a few digits."""
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)
