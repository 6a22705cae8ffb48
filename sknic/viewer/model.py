"""Model: what the page asks of a fitted estimator, which is loaded when it is asked first."""

from functools import cached_property

import numpy as np

from sknic.targets.kinds import predicted_columns


class Model:
    """A fitted estimator, loaded when it is asked first.

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
    def classes(self):
        """Labels, list; empty where the model predicts no classes."""
        return list(getattr(self._estimator, "classes_", []))

    def describe(self):
        """What the page needs to know."""
        return {"name": type(self._estimator).__name__, "classes": [str(label) for label in self.classes]}

    def predict(self, grid):
        """What the model says of a slide: name to text."""
        columns = predicted_columns(self._estimator, [grid])
        return {name: short(column[0]) for name, column in columns.items()}

    def explain(self, method, grid, label):
        """Saliency by a function of :mod:`sknic.saliency`; `label` is the number of a class, None the predicted one."""
        from sknic import saliency

        return getattr(saliency, method)(self._estimator, grid, None if label is None else self.classes[label])


def short(value):
    """A value in a few digits."""
    return f"{value:.3g}" if isinstance(value, float | np.floating) else str(value)
