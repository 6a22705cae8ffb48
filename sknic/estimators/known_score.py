"""The `score` of estimators whose target may be several columns with missing labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sknic.targets import kind_of
from sknic.targets.rows import check_columns, check_paired
from sknic.targets.several import SeveralTargets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike


class KnownScore:
    """Score with scikit-learn's own mixin, which is next in line, or on the labels that are known."""

    def predict(self, X: Any) -> np.ndarray:
        """Predict the target of each grid; the estimator's own."""
        raise NotImplementedError

    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Score `predict`: accuracy of classes and labels, R2 of numbers.

        Parameters
        ----------
        X : sequence or object array of n Grids or (C, rows, columns) arrays, 4-D array, or table (n, C)
            Grids of any size; a row of a table is a grid of one cell.
        y : array-like (n,) or (n, n_targets)
            Truth, as in `fit`.
        sample_weight : array-like (n,), default=None
            Weight of each grid.

        Returns
        -------
        float
            Accuracy, the share of grids whose class is right, or whose known labels all are; or R2, of several targets
            the mean of each on the grids whose label is known. Without missing labels both are scikit-learn's.

        Raises
        ------
        ValueError
            If no grid has a class that `fit` saw, as where the text "0" stands for the number 0.
        """
        check_paired(X=X, y=y, sample_weight=sample_weight)
        check_columns(y, getattr(self, "target_names_", None))
        kind = kind_of(self, None)
        if isinstance(kind, SeveralTargets):
            return kind.score_of_known(kind.read(y), self.predict(X), sample_weight)
        if hasattr(self, "classes_"):
            kind.check_classes(kind.read(y), self.classes_, may_be_new=True)
        return super().score(X, y, sample_weight)  # type: ignore[misc]
