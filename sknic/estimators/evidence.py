"""Whether a training learnt anything: its loss compared with that of a constant prediction, and when it was best."""

from dataclasses import dataclass

import numpy as np

from sknic.exceptions import NothingLearntWarning, warn

# A training of fewer steps is a trial, of which nothing is expected.
_TRIAL = 100
# Rows of the history whose training losses are averaged: a single one is luck of the batches.
_LAST_ROWS = 3
# A loss that is lower by less than this share is a constant that was luckily chosen.
_MARGIN = 0.01
# A best evaluation among so many first ones is early.
_EARLY = 2


def constant_loss(loss, constant, targets, batches=None):
    """Loss of a constant prediction: over all targets at once, or its mean over batches.

    Parameters
    ----------
    loss : callable (output, target) -> scalar tensor
        Loss of the training.
    constant : float tensor (n_outputs,)
        The constant prediction.
    targets : tensor (n, ...)
        Targets of the slides.
    batches : iterable of lists of int, optional
        Rows of each batch.

    Returns
    -------
    float
        The loss.
    """
    parts = [targets] if batches is None else [targets[rows] for rows in batches]
    return float(np.mean([float(loss(constant.expand(len(part), -1), part)) for part in parts]))


@dataclass(frozen=True)
class Doubts:
    """Doubts about a training, which is compared with a constant prediction.

    Attributes
    ----------
    train_constant : float
        Loss of the constant prediction on the training slides.
    valid_constant : float, optional
        The same on the held-out slides, if there are any.
    """

    train_constant: float
    valid_constant: float | None = None

    def none_of(self, net):
        """Whether a net has learnt its own training slides, judging by its last losses."""
        rows = net.history
        return _is_trial(rows) or _beats(_last_train_loss(rows), self.train_constant)

    def warn(self, name, histories):
        """Warn if a constant prediction was not beaten, or if the training was best near its start.

        Parameters
        ----------
        name : str
            Name of the estimator.
        histories : list of list of dict
            History of each member.
        """
        found = [(number, doubt) for number, rows in enumerate(histories) if (doubt := self._doubt(rows))]
        for number, doubt in found:
            member = "" if len(histories) == 1 else f", network {number + 1} of {len(histories)},"
            _warn(f"{name}{member} {doubt}")

    def _doubt(self, rows):
        """The doubt about one training in words, or None."""
        if _is_trial(rows):
            return None
        if self.valid_constant is None:
            reached, constant, which = _last_train_loss(rows), self.train_constant, "training"
        else:
            reached, constant, which = min(row["valid_loss"] for row in rows), self.valid_constant, "validation"
        if not _beats(reached, constant):
            return (
                f"learnt nothing: its {which} loss, {reached:.3g}, did not beat that of a constant prediction, "
                f"{constant:.3g}. More steps, another lr or other embeddings may help"
            )
        best = int(np.argmin([row["valid_loss"] for row in rows])) if self.valid_constant is not None else None
        if best is None or best >= _EARLY or len(rows) <= 2 * _EARLY:
            return None
        return (
            f"keeps the weights of step {rows[best]['step']} of {rows[-1]['step']}: after that, the validation loss "
            "only rose. The learning rate may be too high, or the validation slides too few"
        )


def _is_trial(rows):
    return rows[-1]["step"] < _TRIAL


def _last_train_loss(rows):
    return float(np.mean([row["train_loss"] for row in rows[-_LAST_ROWS:]]))


def _beats(loss, constant):
    return loss < (1 - _MARGIN) * constant


def _warn(message):
    warn(message, NothingLearntWarning)
