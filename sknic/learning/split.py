"""Training and validation sets, drawn by patient and stratified."""

import numpy as np

from sknic.exceptions import DegenerateDataError
from sknic.learning.randomness import make_random
from sknic.targets.names import check_patients


def quantile_bins(values, n_bins=4):
    """Return the quantile bin, int (n,), of each of the floats `values` (n,), to stratify a target by."""
    values = np.asarray(values, dtype=float)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n_bins + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right")


def check_groups(groups, n_samples):
    """Return the number of each sample's group, int (n,), in the order of their names; None stays None.

    Parameters
    ----------
    groups : array-like (n,) or None
        Patient or source of each sample: all text, or all numbers.
    n_samples : int
        Number of samples.

    Returns
    -------
    int array (n,) or None
        Numbers from 0.

    Raises
    ------
    ValueError
        If their number is wrong, one is missing, or text is mixed with something else.
    """
    if groups is None:
        return None
    if np.ndim(groups) != 1 or len(groups) != n_samples:
        raise ValueError(f"groups: expected one per sample, shape ({n_samples},); found shape {np.shape(groups)}")
    return np.unique(check_patients("groups", groups), return_inverse=True)[1]


def split(n_samples, fraction, *, groups=None, stratify=None, random_state=None):
    """Split samples into training and validation; a group is never on both sides.

    Parameters
    ----------
    n_samples : int
    fraction : float
        Share of the samples to use for validation, inside (0, 1).
    groups : array-like (n_samples,), optional
        Patient of each sample.
    stratify : array-like of labels (n_samples,), optional
        Class, event or quantile bin (`quantile_bins`). Each label contributes its share if it has two or more
        groups; otherwise its only group stays in training. A group counts for its most frequent label.
    random_state : int, RandomState or None

    Returns
    -------
    train, valid : int arrays, sorted

    Raises
    ------
    ValueError
        For a fraction outside (0, 1).
    DegenerateDataError
        If there are fewer than two groups.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction={fraction}: expected a number above 0 and below 1")
    groups = np.arange(n_samples) if groups is None else check_groups(groups, n_samples)
    n_groups = groups.max() + 1
    if n_groups < 2:
        raise DegenerateDataError(f"{n_groups} patient(s) cannot be split in two; give two or more")
    random = make_random(random_state)
    strata = _group_labels(groups, stratify)
    chosen = [_pick(np.flatnonzero(strata == label), groups, fraction, random) for label in np.unique(strata)]
    chosen = np.concatenate(chosen)
    if len(chosen) == 0:
        chosen = _pick(np.arange(n_groups), groups, fraction, random)
    in_valid = np.isin(groups, chosen)
    return np.flatnonzero(~in_valid), np.flatnonzero(in_valid)


def _group_labels(groups, stratify):
    if stratify is None:
        return np.zeros(groups.max() + 1, dtype=int)
    _, labels = np.unique(np.asarray(stratify), return_inverse=True)
    counts = np.zeros((groups.max() + 1, labels.max() + 1), dtype=int)
    np.add.at(counts, (groups, labels), 1)
    return counts.argmax(axis=1)


def _pick(candidates, groups, fraction, random):
    """Draw groups until about `fraction` of the candidates' samples are taken; never none of two, never all."""
    if len(candidates) < 2:
        return candidates[:0]
    order = random.permutation(candidates)
    taken = np.bincount(groups, minlength=groups.max() + 1)[order].cumsum()
    n = np.abs(taken - fraction * taken[-1]).argmin() + 1
    return order[: min(n, len(order) - 1)]
