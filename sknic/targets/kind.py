"""Target: the interface through which training, evaluation, reports and plots use a kind of slide-level target."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from sknic.targets.values import TargetValues

if TYPE_CHECKING:
    import pandas as pd


class Target(TargetValues):
    """One kind of slide-level target. Subclass it and decorate the class with `register` to add a kind.

    Attributes
    ----------
    name : str
        Name of the kind, as used on the command line and in `run.json`.
    title : str
        Heading of a report.
    roles : tuple of str
        Roles for which a table needs a column, such as "target", or "event" and "time".
    metrics : tuple of str
        Metrics of an evaluation, the main one first.
    score_metric : str
        Metric of `score`, as in scikit-learn's or scikit-survival's estimators.
    prediction_method : str
        Method of a fitted estimator whose result is averaged over models.
    quality : tuple of str
        What `quality_of` measures: a word for tables, and its meaning.
    text_columns : tuple of str
        Columns of predictions.csv that contain names, even if they look like numbers.
    is_of_patient : bool
        Whether all slides of a patient must have the same target.
    has_model_scale : bool
        Whether each fitted model has a scale of its own, so that predictions of different models cannot be compared
        directly.
    is_censored : bool
        Whether the target is a time that may be censored before the event.
    picks_one : bool
        Whether the columns of a prediction are classes, of which exactly one is true.
    single : str or None
        Name of the kind of each column, if y has one column per target; None for kinds of one target.
    """

    name: str
    title: str
    roles: tuple[str, ...] = ("target",)
    metrics: tuple[str, ...]
    score_metric: str
    prediction_method: str = "predict"
    quality: tuple[str, str]
    text_columns: tuple[str, ...] = ()
    is_of_patient: bool = False
    has_model_scale: bool = False
    is_censored: bool = False
    picks_one: bool = False
    single: str | None = None

    def labels(self, prediction: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
        """What `predict` returns for a mean of `prediction_method`'s results.

        Parameters
        ----------
        prediction : array (n_slides,) or (n_slides, k)
            Result of `prediction_method`.
        classes : array or None
            Labels of the estimator; None without classes.

        Returns
        -------
        array (n_slides,)
            Labels, numbers or risks.
        """
        return prediction

    def scores(self, prediction: np.ndarray) -> np.ndarray:
        """Convert a mean prediction to columns for a linear model.

        Parameters
        ----------
        prediction : array (n_slides,) or (n_slides, k)
            Result of `prediction_method`.

        Returns
        -------
        float array (n_slides, n_scores)
            One column, or one for each class except the first.
        """
        return np.asarray(prediction, dtype=float).reshape(len(prediction), -1)

    def for_metric(self, metric: Any, prediction: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
        """Convert a mean prediction to the form that a metric takes.

        Parameters
        ----------
        metric : str or callable
            Metric as in `sknic.evaluation.estimate`.
        prediction : array (n_slides,) or (n_slides, k)
            Result of `prediction_method`.
        classes : array or None
            Labels of the estimator; None without classes.

        Returns
        -------
        array
            Values for the metric.
        """
        return prediction

    def check_classes(self, y: np.ndarray, classes: np.ndarray | None, *, may_be_new: bool = False) -> None:
        """Check that a model of these classes can be scored on y; targets without classes always can.

        Parameters
        ----------
        y : array (n_slides,)
            Truth, as `read` returns it.
        classes : array or None
            Labels of the model; None without classes.
        may_be_new : bool
            Whether slides of other classes simply count as wrong, as long as some have a class of the model.

        Raises
        ------
        ValueError
            If y contains other labels, as where the text "0" stands for the number 0, or one class has two spellings.
        """

    @abstractmethod
    def truth(self, y: np.ndarray) -> dict[str, np.ndarray]:
        """Columns of predictions.csv that contain the target.

        Parameters
        ----------
        y : array (n_slides,) or (n_slides, n_outputs)
            Target, as `read` returns it.

        Returns
        -------
        dict of str to array
            Columns by name.
        """

    @abstractmethod
    def predicted(self, prediction: np.ndarray, classes: np.ndarray | None) -> dict[str, np.ndarray]:
        """Columns of a table of predictions that contain a result of `prediction_method`.

        Parameters
        ----------
        prediction : array (n_slides,) or (n_slides, k)
            Result of `prediction_method`.
        classes : array or None
            Labels of the estimator; None without classes.

        Returns
        -------
        dict of str to array
            Columns by name.
        """

    def prediction_of(self, table: pd.DataFrame, classes: np.ndarray | None) -> np.ndarray:
        """Read a result of `prediction_method` back from a table of predictions that `predicted` wrote.

        Parameters
        ----------
        table : DataFrame
            Rows with the columns of `predicted`.
        classes : array or None
            Labels of the estimator; None without classes.

        Returns
        -------
        array (n_slides,) or (n_slides, k)
            As returned by the estimator.
        """
        return table["prediction"].to_numpy(float)

    def columns(self, y: np.ndarray, prediction: np.ndarray, classes: np.ndarray | None) -> dict[str, np.ndarray]:
        """Columns of predictions.csv: the truth, then the prediction.

        Parameters
        ----------
        y : array (n_slides,) or (n_slides, n_outputs)
            Target, as `read` returns it.
        prediction : array (n_slides,) or (n_slides, k)
            Result of `prediction_method`.
        classes : array or None
            Labels of the estimator; None without classes.

        Returns
        -------
        dict of str to array
            Columns by name.
        """
        return {**self.truth(y), **self.predicted(prediction, classes)}

    @property
    @abstractmethod
    def required_columns(self) -> tuple[str, ...]:
        """Columns that a predictions.csv of this kind must have."""

    @abstractmethod
    def quality_of(self, table: pd.DataFrame) -> np.ndarray:
        """How well each slide of a predictions.csv was predicted, float (n_slides,): higher is better.

        Parameters
        ----------
        table : DataFrame
            Rows of a predictions.csv.

        Returns
        -------
        float array (n_slides,)
            Quality of each row.
        """

    @abstractmethod
    def summary(self, table: pd.DataFrame, whole: pd.DataFrame) -> dict[str, Any]:
        """Distribution of the target over the rows `table` of the predictions `whole`.

        Parameters
        ----------
        table : DataFrame
            Rows of a predictions.csv.
        whole : DataFrame
            All rows of it.

        Returns
        -------
        dict
            Names and values of a few rows of a report.
        """

    @abstractmethod
    def describe(self, y: np.ndarray) -> str:
        """Describe the distribution of y in one line, to be read before anything is trained.

        Parameters
        ----------
        y : array (n_slides,) or (n_slides, n_outputs)
            Target, as `read` returns it.

        Returns
        -------
        str
            The line.
        """
