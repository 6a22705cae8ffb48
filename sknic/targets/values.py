"""TargetValues: how the values of a kind of slide-level target are read, checked, and divided into folds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class TargetValues(ABC):
    """The part of `Target` that sees y, before there are predictions."""

    @abstractmethod
    def fits(self, estimator: Any, y: np.ndarray) -> bool:
        """Whether an estimator that declares no kind learns this one from `y`.

        Parameters
        ----------
        estimator : estimator
            Estimator in question.
        y : array (n_slides,) or (n_slides, n_outputs)
            Target, as `read` returns it.

        Returns
        -------
        bool
            Whether it does.
        """

    @abstractmethod
    def read(self, y: Any) -> np.ndarray:
        """Check every value of what a user passes as y.

        Parameters
        ----------
        y : array-like
            One row per slide.

        Returns
        -------
        ndarray, shape (n_slides,) or (n_slides, n_outputs)

        Raises
        ------
        ValueError
            With the first values that are not of this kind.
        """

    @abstractmethod
    def from_table(
        self, table: pd.DataFrame, columns: Mapping[str, str], event_value: str | None = None
    ) -> tuple[np.ndarray, str]:
        """Read y from the columns of a table of text.

        Parameters
        ----------
        table : DataFrame
            One row per slide; its index numbers the rows in messages.
        columns : mapping from str to str
            Column of each of `roles`.
        event_value : str, optional
            The value that stands for an event, for kinds that have events.

        Returns
        -------
        y : ndarray, shape (n_slides,)
        note : str
            How the cells were understood, to be shown to the user; may be empty.

        Raises
        ------
        ValueError
            With column, row and value of the first cell that is not of this kind.
        """

    @abstractmethod
    def check(self, y: np.ndarray) -> None:
        """Raise DegenerateDataError if there is nothing to learn from `y`.

        Parameters
        ----------
        y : array (n_slides,) or (n_slides, n_outputs)
            Target, as `read` returns it.
        """

    @abstractmethod
    def check_training_part(self, y: np.ndarray, train: np.ndarray) -> None:
        """Raise DegenerateDataError if the rows `train` of a fold do not suffice to learn what the others test.

        Parameters
        ----------
        y : array (n_slides,) or (n_slides, n_outputs)
            Target, as `read` returns it.
        train : int array
            Rows of the training part.
        """

    def need_one(self, what: str) -> None:
        """Raise ValueError if this is a kind of several targets per slide; here it is not.

        Parameters
        ----------
        what : str
            What takes one target per slide, as the subject of a sentence.
        """
        return

    def column(
        self, k: int, y: np.ndarray, *predictions: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray | None]]:
        """Choose one of several targets, in the form of its own kind; here there is only one.

        Parameters
        ----------
        k : int
            Number of the target.
        y : array (n_slides, n_targets)
            Targets.
        *predictions : arrays (n_slides, n_targets) or None
            Predictions of all targets.

        Returns
        -------
        rows : int array (n_known,)
            Slides whose label is known.
        y : array (n_known,)
            The target there.
        predictions : list of array (n_known,) or None
            Each as given.

        Raises
        ------
        ValueError
            If there is no such target.
        """
        raise ValueError(f"target={k!r}: expected None, because y has one target per slide")

    def strata(self, y: np.ndarray) -> np.ndarray | None:
        """Label of each slide by which to stratify a split, shape (n_slides,), or None.

        Parameters
        ----------
        y : array (n_slides,) or (n_slides, n_outputs)
            Target, as `read` returns it.

        Returns
        -------
        array (n_slides,) or None
            Labels, or None.
        """
        return None
