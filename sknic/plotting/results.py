"""Charts of results: predicted against true, and ROC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.metrics import roc_curve

from sknic.evaluation import auc, estimate
from sknic.evaluation.bootstrap import bootstrap, independent_units
from sknic.exceptions import DegenerateDataError
from sknic.plotting.style import COLORS, FAINT, INK, axes_for, next_color, tidy
from sknic.targets import kind_named
from sknic.targets.known import n_columns
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from sknic.evaluation.results import Estimate


class ScatterDisplay:
    """Predicted against true, with Spearman's correlation and its interval.

    Parameters
    ----------
    y_true, y_pred : ndarray of float, shape (n_slides,)
        True and predicted values.
    spearman : Estimate
        Correlation with its interval.

    Attributes
    ----------
    ax_, figure_, points_ : matplotlib artists
        Axes, figure and points, set by `plot`.
    """

    def __init__(self, y_true: np.ndarray, y_pred: np.ndarray, spearman: Estimate) -> None:
        self.y_true = y_true
        self.y_pred = y_pred
        self.spearman = spearman

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        ax: Axes | None = None,
        title: str | None = None,
        unit: str | None = None,
    ) -> Self:
        """Draw predictions.

        Parameters
        ----------
        y_true, y_pred : array-like of float, shape (n_slides,)
            True and predicted values.
        groups : array-like, shape (n_slides,), default=None
            Patient of each slide, for the interval.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.
        unit : str, default=None
            Unit of the target, for the axes.

        Returns
        -------
        ScatterDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there are several targets per slide: they have no common scale.
        """
        check_paired(y_true=y_true, y_pred=y_pred, groups=groups)
        if n_columns(y_true) > 1:
            kind_named("scores").need_one("ScatterDisplay")
        y_true, y_pred = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
        return cls(y_true, y_pred, estimate("spearman", y_true, y_pred, groups=groups)).plot(ax, title=title, unit=unit)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: ArrayLike | None = None,
        ax: Axes | None = None,
        title: str | None = None,
        unit: str | None = None,
    ) -> Self:
        """Predict with a fitted regressor and draw.

        Parameters
        ----------
        estimator : fitted regressor
            Model to predict with.
        X : sequence of n_slides grids
            Grids, or whatever the model takes.
        y : array-like, shape (n_slides,)
            True values.
        groups : array-like, shape (n_slides,), default=None
            Patient of each slide, for the interval.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.
        unit : str, default=None
            Unit of the target, for the axes.

        Returns
        -------
        ScatterDisplay
            The display, drawn.
        """
        return cls.from_predictions(y, estimator.predict(X), groups=groups, ax=ax, title=title, unit=unit)

    def plot(self, ax: Axes | None = None, *, title: str | None = None, unit: str | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.
        unit : str, default=None
            Unit of the target, for the axes.

        Returns
        -------
        self : ScatterDisplay
            The display, with what was drawn.
        """
        self.ax_ = axes_for(ax, (4.2, 4))
        self.figure_ = self.ax_.figure
        self.points_ = self.ax_.scatter(self.y_true, self.y_pred, s=16, color=COLORS[0], alpha=0.6, linewidths=0)
        both = np.r_[self.y_true, self.y_pred]
        self.ax_.plot([both.min(), both.max()], [both.min(), both.max()], color=FAINT, linewidth=0.8, linestyle="--")
        unit = f" ({unit})" if unit else ""
        units = "slides" if self.spearman.n == len(self.y_true) else "patients"
        title = title or f"Spearman {self.spearman}, n = {self.spearman.n} {units}"
        tidy(self.ax_, title=title, xlabel=f"True{unit}", ylabel=f"Predicted{unit}")
        return self


class RocDisplay:
    """A ROC curve with the interval of its area, and a band that resamples patients.

    Parameters
    ----------
    fpr, tpr : ndarray of float, shape (n_points,)
        False and true positive rate.
    low, high : ndarray of float, shape (n_band,), or None
        Pointwise interval of the true positive rate at `np.linspace(0, 1, n_band)`; None draws no band.
    area : Estimate
        Area under the curve with its interval.
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_, figure_, line_ : matplotlib artists
        Axes, figure and curve, set by `plot`.
    """

    def __init__(
        self,
        fpr: np.ndarray,
        tpr: np.ndarray,
        low: np.ndarray | None,
        high: np.ndarray | None,
        area: Estimate,
        name: str | None = None,
    ) -> None:
        self.fpr = fpr
        self.tpr = tpr
        self.low = low
        self.high = high
        self.area = area
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_score: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        title: str | None = None,
        band: bool = True,
    ) -> Self:
        """Draw the ROC curve of scores; call it again on the same `ax` for another model.

        Parameters
        ----------
        y_true : array-like, shape (n_slides,)
            Labels of two classes; the one that sorts last is positive.
        y_score : array-like of float, shape (n_slides,)
            Score of the positive class.
        groups : array-like, shape (n_slides,), default=None
            Patient of each slide, for the interval.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.
        band : bool, default=True
            Shade the interval of the curve, unless a class has too few slides for one.

        Returns
        -------
        RocDisplay
            The display, drawn.
        """
        check_paired(y_true=y_true, y_score=y_score, groups=groups)
        y_true, y_score = np.asarray(y_true), np.asarray(y_score, dtype=float)
        area = estimate("auc", y_true, y_score, groups=groups)
        positive = y_true == np.unique(y_true)[-1]
        fpr, tpr, _ = roc_curve(positive, y_score)
        low, high = _roc_band(positive, y_score, groups) if band else (None, None)
        return cls(fpr, tpr, low, high, area, name).plot(ax, title=title, band=band)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: ArrayLike | None = None,
        name: str | None = None,
        ax: Axes | None = None,
        title: str | None = None,
    ) -> Self:
        """Predict with a fitted classifier of two classes and draw.

        Parameters
        ----------
        estimator : fitted classifier
            Model to predict with.
        X : sequence of n_slides grids
            Grids, or whatever the model takes.
        y : array-like, shape (n_slides,)
            Labels of two classes.
        groups : array-like, shape (n_slides,), default=None
            Patient of each slide, for the interval.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        RocDisplay
            The display, drawn.
        """
        classes = np.asarray(estimator.classes_)
        if len(classes) != 2:
            raise ValueError(f"the model has {len(classes)} classes: expected two; draw each against the rest")
        kind_named("classification").check_classes(y, classes)
        score = estimator.predict_proba(X)[:, 1]
        return cls.from_predictions(y, score, groups=groups, name=name, ax=ax, title=title)

    def plot(self, ax: Axes | None = None, *, title: str | None = None, band: bool = True) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.
        band : bool, default=True
            Shade the interval of the curve.

        Returns
        -------
        self : RocDisplay
            The display, with what was drawn.
        """
        self.ax_ = axes_for(ax, (4.2, 4))
        self.figure_ = self.ax_.figure
        color = next_color(self.ax_)
        # The reason for a missing interval is too long for a legend.
        area = f"{self.area.value:.3f} [n/a]" if np.isnan(self.area.low) else str(self.area)
        label = f"{self.name}: AUC {area}" if self.name else f"AUC {area}, n = {self.area.n}"
        if band and self.low is not None:
            grid = np.linspace(0, 1, len(self.low))
            self.ax_.fill_between(grid, self.low, self.high, color=color, alpha=0.15, linewidth=0)
        (self.line_,) = self.ax_.plot(self.fpr, self.tpr, color=color, linewidth=1.8, label=label)
        self.ax_.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle="--")
        self.ax_.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        self.ax_.legend(frameon=False, fontsize="small", loc="lower right", labelcolor=INK)
        tidy(self.ax_, title=title or "ROC", xlabel="False positive rate", ylabel="True positive rate")
        return self


def _roc_band(positive, score, groups, n_points=101):
    """Pointwise 95 % interval of the true positive rate, low and high (n_points,); None if a class is too rare."""
    false_rates = np.linspace(0, 1, n_points)

    def curve(rows):
        auc(positive[rows], score[rows])  # raises where a resample lacks a class
        fpr, tpr, _ = roc_curve(positive[rows], score[rows])
        return np.interp(false_rates, fpr, tpr)

    try:
        interval = bootstrap(curve, independent_units(positive, groups), 0.95, 300, 0).confidence_interval
    except DegenerateDataError:
        return None, None
    return interval.low, interval.high
