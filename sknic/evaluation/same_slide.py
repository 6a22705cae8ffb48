"""The same slide in two rows: known by its path or digest, by the file of its grid, or by equal embeddings."""

import hashlib
import os

import numpy as np

from sknic.exceptions import SlideLeakageError

# Of embeddings, as many numbers as are compared, and as few as may be equal by chance or by construction.
_MAX_ROWS, _MIN_NUMBERS = 4096, 32


def slide_names(X):
    """Return names that identify the slide of each item of X: a list of sets of str, or None for a table.

    Two items that share a name are the same slide; an array has no name.
    """
    if hasattr(X, "shape") and len(X.shape) != 1:
        return None
    return [_names(item) for item in X]


def _names(item):
    if isinstance(item, str | os.PathLike):
        return {os.path.realpath(item)}
    if isinstance(item, list):  # the slides of a patient
        return set().union(*map(_names, item))
    if not hasattr(item, "cells"):
        return set()
    files = (getattr(item, "slide", None), getattr(item, "path", None))
    digest = getattr(getattr(item, "header", None), "slide_digest", None)
    named = {os.path.realpath(file) for file in files if file} | ({f"slide {digest}"} if digest else set())
    return named | _content(item)


def _content(grid):
    embeddings = np.asarray(grid.embeddings[:_MAX_ROWS])
    if embeddings.size < _MIN_NUMBERS or (embeddings == embeddings.flat[0]).all():
        return set()
    digest = hashlib.blake2b(embeddings.tobytes(), digest_size=16)
    digest.update(np.ascontiguousarray(grid.cells[:_MAX_ROWS]).tobytes())
    return {f"{digest.hexdigest()} {grid.shape}"}


def check_no_shared_slide(names, train, test):
    """Raise SlideLeakageError if a slide is on both sides of a split.

    Parameters
    ----------
    names : list of set of str
        From `slide_names`.
    train, test : int arrays
        Rows of both sides.
    """
    row_of = {name: row for row in train for name in names[row]}
    for row in test:
        for name in names[row]:
            if name in row_of:
                raise SlideLeakageError(
                    f"X[{row_of[name]}] and X[{row}] are the same slide, and are in both training and test; leave one "
                    "out, or give them the same patient in groups="
                )
