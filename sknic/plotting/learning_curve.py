"""Learning curves: loss by training step, of one model or of all models of an ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sknic.plotting.style import COLORS, FAINT, INK, axes_for, tidy
from sknic.targets.kinds import fitted_learner

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class LearningCurveDisplay:
    """Training and validation loss, and the learning rate's steps, by training step (or by epoch).

    Parameters
    ----------
    histories : list of list of dict
        ``history_`` of one or more models.

    Attributes
    ----------
    ax_, figure_, lines_ : matplotlib artists
        Axes, figure and curves, set by `plot`.
    """

    def __init__(self, histories: list) -> None:
        self.histories = histories

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None, title: str | None = None) -> Self:
        """Draw the history of a fitted estimator, of the last step of a pipeline, or of every model of an ensemble.

        Parameters
        ----------
        estimator : fitted estimator
            With ``history_``, or a Pipeline, search or CrossValEnsemble of such.
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        LearningCurveDisplay
            The display, drawn.
        """
        learner = fitted_learner(estimator)
        return cls([_history(model) for model in getattr(learner, "estimators_", [learner])]).plot(ax, title=title)

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
        self : LearningCurveDisplay
            The display, with what was drawn.
        """
        self.ax_ = axes_for(ax, (5, 3.4))
        self.figure_ = self.ax_.figure
        self.lines_: list = []
        trainings = [training for history in self.histories for training in _by_member(history)]
        for number, training in enumerate(trainings):
            self._draw(training, labelled=number == 0, alone=len(trainings) == 1)
        title = title or ("Learning curve" if len(trainings) == 1 else f"Learning curves of {len(trainings)} networks")
        self.ax_.legend(frameon=False, fontsize="small")
        tidy(self.ax_, title=title, xlabel="Step" if "step" in self.histories[0][0] else "Epoch", ylabel="Loss")
        return self

    def _draw(self, history, labelled, alone):
        alpha = 1 if alone else 0.6
        for key, color, name in (("train_loss", COLORS[0], "training"), ("valid_loss", COLORS[1], "validation")):
            rows = [(_at(row), row[key]) for row in history if key in row]
            if rows:
                label = name if labelled else None
                self.lines_ += self.ax_.plot(*zip(*rows), color=color, linewidth=1.5, alpha=alpha, label=label)
        best = [row for row in history if row.get("event_best")]
        if best and "valid_loss" in best[-1]:
            label = "weights kept" if labelled else None
            self.ax_.plot(_at(best[-1]), best[-1]["valid_loss"], "o", color=INK, markersize=5, label=label)
        if alone:
            for before, after in zip(history, history[1:]):
                if after.get("lr", 0) < before.get("lr", 0):
                    self.ax_.axvline(_at(after), color=FAINT, linewidth=0.6, linestyle=":")


def _by_member(history):
    """The rows of each network of an estimator that has several."""
    members = sorted({row.get("member", 0) for row in history})
    return [[row for row in history if row.get("member", 0) == member] for member in members]


def _at(row):
    return row.get("step", row["epoch"])


def _history(model):
    last = fitted_learner(model)
    if not hasattr(last, "history_"):
        raise ValueError(f"{type(last).__name__} has no history_; learning curves need a fitted estimator that has one")
    return last.history_
