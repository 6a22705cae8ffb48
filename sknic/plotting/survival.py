"""Kaplan-Meier curves of risk groups, with numbers at risk and the log-rank p-value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sknic.evaluation import format_p, split_by_risk
from sknic.plotting.style import COLORS, INK, axes_for, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from sknic.evaluation.survival import RiskGroups


class KaplanMeierDisplay:
    """Survival of the patients at low and at high risk.

    Parameters
    ----------
    groups : RiskGroups
        From :func:`sknic.evaluation.split_by_risk`.

    Attributes
    ----------
    ax_, figure_, lines_ : matplotlib artists
        Axes, figure and curves, set by `plot`.
    """

    def __init__(self, groups: RiskGroups) -> None:
        self.groups = groups

    @classmethod
    def from_predictions(
        cls,
        y: np.ndarray,
        risk: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        how: str = "mean",
        threshold: float | None = None,
        ax: Axes | None = None,
        time_unit: str | None = None,
        title: str | None = None,
    ) -> Self:
        """Split at the median risk and draw both groups.

        Parameters
        ----------
        y : structured array, shape (n_slides,)
            Event (bool) and time.
        risk : array-like of float, shape (n_slides,)
        groups, how, threshold
            As in :func:`sknic.evaluation.split_by_risk`.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        time_unit : str, default=None
            Such as "months", for the axis.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        KaplanMeierDisplay
            The display, drawn.
        """
        split = split_by_risk(y, risk, groups=groups, how=how, threshold=threshold)
        return cls(split).plot(ax, time_unit=time_unit, title=title)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        groups: ArrayLike | None = None,
        how: str = "mean",
        threshold: float | None = None,
        ax: Axes | None = None,
        time_unit: str | None = None,
        title: str | None = None,
    ) -> Self:
        """Predict risks with a fitted survival estimator, split at their median and draw.

        Parameters
        ----------
        estimator : fitted survival estimator
            Model to predict with.
        X : sequence of n_slides grids
            Grids, or whatever the model takes.
        y : array-like, shape (n_slides,)
            Structured array of event (bool) and time.
        groups, how, threshold
            As in :func:`sknic.evaluation.split_by_risk`.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        time_unit : str, default=None
            Such as "months", for the axis.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        KaplanMeierDisplay
            The display, drawn.
        """
        options: dict[str, Any] = {"groups": groups, "how": how, "threshold": threshold}
        return cls.from_predictions(y, estimator.predict(X), **options, ax=ax, time_unit=time_unit, title=title)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        time_unit: str | None = None,
        title: str | None = None,
        interval: bool = True,
        at_risk: bool = True,
    ) -> Self:
        """Draw the display.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        time_unit : str, default=None
            Such as "months", for the axis.
        title : str, default=None
            Title of the picture; by default it says what is drawn.
        interval : bool, default=True
            Shade the pointwise intervals.
        at_risk : bool, default=True
            Write the numbers at risk beneath.

        Returns
        -------
        self : KaplanMeierDisplay
            The display, with what was drawn.
        """
        self.ax_ = axes_for(ax, (5.2, 4.4 if at_risk else 3.8))
        self.figure_ = self.ax_.figure
        curves = {"low risk": self.groups.low, "high risk": self.groups.high}
        end = max(curve.durations.max() for curve in curves.values())
        self.lines_ = [
            _draw_curve(self.ax_, curve, color, f"{name} ({curve.n_events} events of {curve.n})", interval, end)
            for (name, curve), color in zip(curves.items(), COLORS)
        ]
        self.ax_.set(xlim=(0, end * 1.02), ylim=(0, 1.02))
        xlabel = f"Time ({time_unit})" if time_unit else "Time"
        tidy(self.ax_, xlabel=xlabel, ylabel="Fraction without event")
        self._write_legend()
        # Above the legend.
        self.ax_.set_title(title or "Survival by predicted risk", color=INK, fontsize="medium", loc="left", pad=32)
        if at_risk:
            self._write_at_risk(curves)
        return self

    def _write_legend(self):
        """Between title and curves, for curves and their intervals may fill all of the picture."""
        said = [f"log-rank {format_p(self.groups.p_value)}"]
        if self.groups.hazard_ratio is not None:
            said.append(f"hazard ratio {self.groups.hazard_ratio}")
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.1, "borderpad": 0.1}
        sizes = {"fontsize": "small", "title_fontsize": "small", "handlelength": 1.2, "columnspacing": 1.2}
        self.ax_.legend(title=", ".join(said), alignment="left", ncols=2, frameon=False, **place, **sizes)

    def _write_at_risk(self, curves):
        end = self.ax_.get_xlim()[1]
        ticks = [tick for tick in self.ax_.get_xticks() if 0 <= tick <= end]
        # A tick may lie above the time that it is labelled with, by the rounding of its number.
        times = np.array(ticks) - _ROUNDING * end
        place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "fontsize": "x-small"}
        place |= {"va": "top", "annotation_clip": False}
        self.ax_.annotate("at risk", (0, 0), (-16, -38), ha="right", color=INK, **place)
        for row, (name, curve) in enumerate(curves.items()):
            down = -38 - 12 * (row + 1)
            self.ax_.annotate(name.split()[0], (0, 0), (-16, down), ha="right", color=INK, **place)
            for tick, count in zip(ticks, curve.at_risk(times)):
                self.ax_.annotate(str(count), (tick, 0), (0, down), ha="center", color=INK, **place)


def _draw_curve(ax, curve, color, label, interval, end):
    stop = min(curve.durations.max(), end)
    time = np.r_[0, curve.time, stop]
    steps = {name: np.r_[1, values, values[-1]] for name, values in vars(curve).items() if name in _STEPS}
    (line,) = ax.step(time, steps["survival"], where="post", color=color, linewidth=1.8, label=label)
    if interval:
        ax.fill_between(time, steps["low"], steps["high"], step="post", color=color, alpha=0.15, linewidth=0)
    at = np.searchsorted(time, curve.censored, side="right") - 1
    ax.plot(curve.censored, steps["survival"][at], "|", color=color, markersize=5, markeredgewidth=0.8)
    return line


_STEPS = ("survival", "low", "high")
# Times that differ by less than this share of the axis are the same.
_ROUNDING = 1e-6
