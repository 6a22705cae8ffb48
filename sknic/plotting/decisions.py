"""Charts for decisions: net benefit over thresholds, and the score of the slides that are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

import numpy as np

from sknic.evaluation.decisions import DECISION_THRESHOLDS, net_benefit, rejection_curve
from sknic.evaluation.metrics import metric_name
from sknic.plotting.style import FAINT, INK, axes_for, next_color, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike


class DecisionCurveDisplay:
    """Net benefit of a model over the treatment threshold, compared with treating everybody and nobody.

    Parameters
    ----------
    thresholds : ndarray of float, shape (m,)
        Thresholds of the probability.
    benefit, of_all : ndarray of float, shape (m,)
        Net benefit of treating by the model, and of treating everybody.
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_, figure_, line_ : matplotlib artists
        Axes, figure and curve of the model, set by `plot`.
    """

    def __init__(
        self, thresholds: np.ndarray, benefit: np.ndarray, of_all: np.ndarray, name: str | None = None
    ) -> None:
        self.thresholds = thresholds
        self.benefit = benefit
        self.of_all = of_all
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        probability: ArrayLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        title: str | None = None,
    ) -> Self:
        """Draw the decision curve of probabilities; call it again on the same `ax` for another model.

        Parameters
        ----------
        y_true : array-like, shape (n_slides,)
            Labels of two classes; the one that sorts last is the one to treat.
        probability : array-like of float, shape (n_slides,)
            Probability of that class.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        DecisionCurveDisplay
            The display, drawn.
        """
        benefit, of_all = (net_benefit(y_true, given) for given in (probability, None))
        return cls(DECISION_THRESHOLDS, benefit, of_all, name).plot(ax, title=title)

    def plot(self, ax: Axes | None = None, *, title: str | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        self : DecisionCurveDisplay
            The display, with what was drawn.
        """
        self.ax_ = axes_for(ax, (5, 4))
        self.figure_ = self.ax_.figure
        line = {"linewidth": 1.8, "color": next_color(self.ax_)}
        (self.line_,) = self.ax_.plot(self.thresholds, self.benefit, label=self.name or "by the model", **line)
        self._draw_references()
        highest = max(np.max(drawn.get_ydata(), initial=0) for drawn in self.ax_.lines)
        self.ax_.set(xlim=(0, 1), ylim=(-0.3 * highest, 1.1 * highest))
        self.ax_.legend(title="who is treated", frameon=False, fontsize="small", title_fontsize="small", labelcolor=INK)
        tidy(self.ax_, title=title or "Decision curve", xlabel="Threshold of the probability", ylabel="Net benefit")
        return self

    def _draw_references(self):
        """Everybody and nobody, once: of models on the same axes, the lines differ only if their slides do."""
        quiet = {"linewidth": 1, "color": FAINT}
        of_others = [line.get_ydata() for line in self.ax_.lines if line.get_label().startswith("everybody")]
        if not any(np.array_equal(values, self.of_all) for values in of_others):
            of = f", for {self.name or 'another model'}" if of_others else ""
            self.ax_.plot(self.thresholds, self.of_all, linestyle="--", label=f"everybody{of}", **quiet)
        if not of_others:
            self.ax_.axhline(0, linestyle=":", label="nobody", **quiet)


class RejectionDisplay:
    """A metric over the fraction of slides that are kept, if the most uncertain ones are left to people.

    Parameters
    ----------
    kept, values : ndarray of float, shape (m,)
        Fraction kept, and the metric of these slides; NaN if it is undefined.
    metric : str
        Name of the metric.
    name : str, default=None
        Name of the model, for the legend.

    Attributes
    ----------
    ax_, figure_, line_ : matplotlib artists
        Axes, figure and curve, set by `plot`.
    """

    def __init__(self, kept: np.ndarray, values: np.ndarray, metric: str, name: str | None = None) -> None:
        self.kept = kept
        self.values = values
        self.metric = metric
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        metric: str | Callable,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        doubt: ArrayLike,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        title: str | None = None,
    ) -> Self:
        """Draw the rejection curve; call it again on the same `ax` for another model or another uncertainty.

        Parameters
        ----------
        metric : str or callable
            Metric as in :func:`sknic.evaluation.estimate`.
        y_true : array-like, shape (n_slides,)
            Labels, numbers or structured survival targets.
        y_pred : array-like, shape (n_slides,) or (n_slides, k)
            Predictions as the metric takes them.
        doubt : array-like of float, shape (n_slides,)
            Uncertainty of each slide, such as `predict_spread`.
        name : str, default=None
            Name of the model, for the legend.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        RejectionDisplay
            The display, drawn.
        """
        kept = np.linspace(0.1, 1, 10)
        values = rejection_curve(metric, y_true, y_pred, doubt, kept)
        return cls(kept, values, metric_name(metric), name).plot(ax, title=title)

    def plot(self, ax: Axes | None = None, *, title: str | None = None) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        self : RejectionDisplay
            The display, with what was drawn.
        """
        self.ax_ = axes_for(ax, (5, 4))
        self.figure_ = self.ax_.figure
        style = {"linewidth": 1.8, "markersize": 5, "color": next_color(self.ax_)}
        (self.line_,) = self.ax_.plot(self.kept, self.values, "o-", label=self.name, **style)
        if self.name:
            self.ax_.legend(frameon=False, fontsize="small", labelcolor=INK)
        self.ax_.set_xlim(1.03, 0)
        labels = {"xlabel": "Fraction of slides kept", "ylabel": self.metric}
        tidy(self.ax_, title=title or "Without the most uncertain slides", **labels)
        return self
