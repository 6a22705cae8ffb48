"""How well survival is predicted over time: area under the ROC curve, and Brier score compared with Kaplan-Meier."""

from __future__ import annotations

from contextlib import contextmanager

import matplotlib.pyplot as plt
import numpy as np

from sknic.evaluation import CensoredScores, aggregate, kaplan_meier
from sknic.evaluation.bootstrap import bootstrap, independent_units
from sknic.exceptions import DegenerateDataError
from sknic.plotting.style import COLORS, FAINT, INK, axes_for, tidy

_N_RESAMPLES = 300


def add_scores_over_time(section, run):
    """Add both charts if the predictions contain survival curves and folds."""
    table, times = run.predictions, run.survival_times
    if len(times) < 2 or "fold" not in table:
        return
    scores = CensoredScores(run.truth, table["prediction"], table["fold"], run.survival.to_numpy(float), times)
    try:
        _draw_auc(section, scores, run.patients)
    except DegenerateDataError as error:
        section.add_text(f"There is no chart of the area under the ROC curve over time: {error}.")
    _draw_brier(section, scores, run.patients)
    _draw_calibration(section, run)


@contextmanager
def _axes():
    """Axes of a figure that is closed at the end, also if there is nothing to draw."""
    ax = axes_for(None, (5, 4))
    try:
        yield ax
    finally:
        plt.close(ax.figure)


def _draw_auc(section, scores, patients):
    with _axes() as ax:
        auc = _draw_line(ax, scores, scores.auc, patients, COLORS[0], None)
        ax.axhline(0.5, color=FAINT, linewidth=0.8, linestyle="--")
        ax.set_ylim(min(0.4, auc.min()), 1.02)
        tidy(ax, title="Prediction of events up to a time", xlabel="Time", ylabel="Area under the ROC curve")
        caption = "Pairs of slides are compared within a fold; the dashed line is chance."
        alt = f"Area under the time-dependent ROC curve: {_points(scores.times, auc)}"
        section.add_figure(ax, alt=alt, caption=caption)


def _draw_brier(section, scores, patients):
    with _axes() as ax:
        model = _draw_line(ax, scores, scores.brier, patients, COLORS[0], "model")
        without = scores.brier(np.arange(len(scores.y)), reference=True)
        ax.plot(
            scores.times, without, color=FAINT, linewidth=1.5, linestyle="--", label="Kaplan-Meier, ignoring the slides"
        )
        ax.set_ylim(0, None)
        ax.legend(frameon=False, fontsize="small", labelcolor=INK, loc="lower right")
        tidy(
            ax,
            title="Error of the predicted survival probability",
            xlabel="Time",
            ylabel="Brier score (lower is better)",
        )
        alt = f"Brier score: {_points(scores.times, model)}; of Kaplan-Meier: {_points(scores.times, without)}"
        section.add_figure(ax, alt=alt)


def _draw_calibration(section, run):
    """Plot predicted against observed survival at the middle of the times, for groups of equal size."""
    time = run.survival_times[len(run.survival_times) // 2]
    found = calibration_at(run.truth, run.survival.to_numpy(float), run.survival_times, time, run.patients)
    is_known = ~np.isnan(found[1])
    said, seen, low, high = found[:, is_known]
    with _axes() as ax:
        ax.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle="--")
        ax.vlines(said, low, high, color=COLORS[0], linewidth=2.5, alpha=0.4)
        ax.plot(said, seen, "o-", color=COLORS[0], linewidth=1.5, markersize=7)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        tidy(ax, title=f"Calibration at time {time:g}", xlabel="Mean predicted survival", ylabel="Observed survival")
        points = "; ".join(f"{x:.2f} predicted, {y:.2f} observed" for x, y in zip(said, seen))
        units = "Slides" if run.patients is None else "Patients"
        caption = (
            f"{units} in up to four groups of equal size, by predicted survival; observed survival is that of "
            "Kaplan-Meier, with its interval. On the dashed line, the predictions are accurate."
        )
        if not is_known.all():
            caption += f" In {(~is_known).sum()} of {len(is_known)} groups, nobody was under observation for so long."
        section.add_figure(ax, alt=f"Calibration of survival at time {time:g}: {points}", caption=caption)


def calibration_at(y, survival, times, time, patients=None):
    """Mean predicted survival of each group, and observed survival with its limits; four float arrays.

    The prediction for a patient is the mean of that for the slides. What was observed is NaN in a group of which nobody
    was under observation for so long, unless all have died.
    """
    at_time = survival[:, list(times).index(time)]
    if patients is not None:  # one row each, because slides of one patient are not independent
        y, at_time = aggregate(y, patients, how="same")[1], aggregate(at_time, patients)[1]
    found = []
    for rows in np.array_split(np.argsort(at_time, kind="stable"), max(1, min(4, len(y) // 10))):
        curve = kaplan_meier(y[rows])
        found.append((at_time[rows].mean(), *_observed(curve, time)))
    return np.array(found).T


def _observed(curve, time):
    """Survival at a time with its limits."""
    last = np.searchsorted(curve.time, time, side="right") - 1
    if last < 0:  # nobody left or died until then
        return 1.0, 1.0, 1.0
    if time > curve.time[-1] and curve.survival[-1] > 0:
        return np.nan, np.nan, np.nan
    return curve.survival[last], curve.low[last], curve.high[last]


def _draw_line(ax, scores, measure, patients, color, label):
    """Plot a metric at each time, with its pointwise 95 % interval over patients; returns its values."""
    units = independent_units(scores.y, patients)
    values = measure(np.arange(len(scores.y)))
    interval = bootstrap(lambda rows: tuple(measure(rows)), units, 0.95, _N_RESAMPLES, 0).confidence_interval
    ax.fill_between(scores.times, interval.low, interval.high, color=color, alpha=0.15, linewidth=0)
    ax.plot(scores.times, values, "o-", color=color, linewidth=1.8, markersize=4, label=label)
    return values


def _points(times, values):
    return ", ".join(f"{value:.3f} at {time:g}" for time, value in zip(times, values))
