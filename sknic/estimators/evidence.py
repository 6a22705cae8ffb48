"""Whether a training learnt anything: its loss beside that of one answer for all slides, and when it was best."""

import warnings

import numpy as np

from sknic.exceptions import NothingLearntWarning

# A training of fewer steps is a trial, of which nothing is expected.
_TRIAL = 100
# Rows of the history whose training losses are averaged: a single one is luck of the batches.
_LAST_ROWS = 3
# A loss that is lower by less than this share is a constant that was luckily chosen.
_MARGIN = 0.01


def constant_loss(loss, constant, targets, batches=None):
    """Loss of one answer for all slides: over all targets at once, or its mean over batches.

    Parameters
    ----------
    loss : callable (output, target) -> scalar tensor
        Loss of the training.
    constant : float tensor (n_outputs,)
        The answer.
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


def warn_of_doubts(name, rows, constant):
    """Warn when a training did not beat a constant answer, or was best before it had well begun.

    Parameters
    ----------
    name : str
        Name of the estimator.
    rows : list of dict
        History of the training.
    constant : float
        Loss of one answer for all slides, on the slides that the training watched.
    """
    if rows[-1]["step"] < _TRIAL:
        return
    held_out = "valid_loss" in rows[-1]
    values = np.array([row["valid_loss" if held_out else "train_loss"] for row in rows])
    reached = values.min() if held_out else values[-_LAST_ROWS:].mean()
    if not reached < (1 - _MARGIN) * constant:
        _warn(
            f"{name} learnt nothing: its {'validation' if held_out else 'training'} loss, {reached:.3g}, did not beat "
            f"that of one answer for all slides, {constant:.3g}. More steps, another lr or other embeddings may help"
        )
    elif held_out and len(rows) > 4 and values.argmin() < 2:
        best = rows[int(values.argmin())]["step"]
        _warn(
            f"{name} keeps the weights of step {best} of {rows[-1]['step']}: afterwards the validation loss only rose. "
            "The learning rate may be too high, or the validation slides too few"
        )


def _warn(message):
    warnings.warn(message, NothingLearntWarning, stacklevel=5)
