"""Reading the input of an estimator: grids of any form, finite, with tissue, and all made in the same way."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from sklearn.utils.validation import validate_data

from sknic.estimators.crops import ArrayGrid
from sknic.exceptions import EmptyGridError, ProvenanceError, ProvenanceWarning, warn
from sknic.grids.header import MPP_TOLERANCE

_EXPECTED = "a sequence of Grids or of arrays (C, rows, columns)"
_WORDS = {"encoder": "encoder", "mpp": "um/px", "patch_size": "patch size", "stride": "stride"}
_WORDS["coarse_mpp"] = "um/px of the coarser channels"


def read_grids(estimator, X, *, reset):
    """Convert X to a list of grids, and check them.

    Parameters
    ----------
    estimator : estimator
        Gets `n_features_in_` (C) and `provenance_` if `reset`; must have them otherwise.
    X : sequence or 1-D object array of Grids or (C, rows, columns) arrays, 4-D array, or 2-D table (n, C)
        Grids of any size. A row of a table is a grid of one cell.
    reset : bool
        Whether the estimator is being fitted.

    Returns
    -------
    list
        Objects with `embeddings`, `cells`, `shape`, `code_size` and `orientations`.

    Raises
    ------
    ValueError
        For an item that is not a grid, not finite, or has another number of channels.
    EmptyGridError
        For a Grid without cells.
    ProvenanceError
        For grids of different encoders, um/px, patch sizes or strides.
    """
    if getattr(X, "shape", ())[1:] == (1,) and _holds_grids(np.asarray(X, object)[:, 0]):
        X = np.asarray(X, object)[:, 0]
    if not _holds_grids(X):
        if reset:
            estimator.provenance_ = None
        try:
            table = validate_data(estimator, X, dtype=np.float32, reset=reset)
        except TypeError as error:
            if "float() argument" not in str(error) or isinstance(X, np.ndarray):
                raise
            raise ValueError(f"X of type {type(X).__name__}: expected {_EXPECTED}, or a table of numbers") from None
        cell = np.zeros((1, 2), np.int32)
        return [ArrayGrid(row[None], cell, (1, 1)) for row in table]
    grids = [_as_grid(item, index) for index, item in enumerate(X)]
    # First, so that grids of another encoder are reported as such, and not as a wrong number of features.
    known = None if reset else getattr(estimator, "provenance_", None)
    seen = common_provenance(grids, known, "the grids that the model was fitted on" if known else None)
    if reset:
        estimator.n_features_in_, estimator.provenance_ = grids[0].code_size, seen
    for index, grid in enumerate(grids):
        if grid.code_size != estimator.n_features_in_:
            raise ValueError(
                f"X[{index}] has {grid.code_size} features, but {type(estimator).__name__} is expecting "
                f"{estimator.n_features_in_} features as input"
            )
    _check_content(grids)
    return grids


def common_provenance(grids, known=None, whose=None):
    """Return what all grids agree on: their encoder's fingerprint, um/px, patch size and stride.

    Unknown properties are not compared, but mixing grids of an unknown encoder with grids of a known one gives a
    warning. Arrays, and grids without any provenance, are left out.

    Parameters
    ----------
    grids : list of grids
        Grids to compare.
    known : dict, optional
        Provenance that they have to agree with, from an earlier call.
    whose : str, optional
        Description of where `known` comes from, for the message.

    Returns
    -------
    dict or None
        Keys "encoder", "mpp", "patch_size" and "stride", with None for unknown ones, and "coarse_mpp" for grids of
        several magnifications; None if no grid has any of them.

    Raises
    ------
    ProvenanceError
        If two of them differ.

    Warns
    -----
    ProvenanceWarning
        If some encoders are known and others are not.
    """
    common = dict(known or {})
    sources = dict.fromkeys(common, whose)
    unnamed = whose if known and known["encoder"] is None else None
    for index, grid in enumerate(grids):
        said = provenance(grid)
        if said is None:
            continue
        name = name_of(grid, index)
        if said["encoder"] is None:
            unnamed = unnamed or name
        for key, value in said.items():
            if value is None or common.get(key) is None:
                common[key], sources[key] = (common.get(key), sources.get(key)) if value is None else (value, name)
            elif not _equal(key, value, common[key]):
                raise ProvenanceError(
                    f"{_WORDS[key]} {_short(value)} of {name} is not {_short(common[key])} of {sources[key]}: "
                    "one model needs grids of one encoder, um/px, patch size and stride"
                )
    if unnamed and common.get("encoder"):
        warn(
            f"{unnamed}: the file does not name its encoder, while that of {sources['encoder']} is "
            f"{_short(common['encoder'])}; embeddings of two encoders must not be mixed",
            ProvenanceWarning,
        )
    return common or None


def provenance(grid):
    """Return how a grid was made, as a dict like that of `common_provenance`; None if nothing is known."""
    said = {
        "encoder": getattr(grid, "fingerprint", None) or None,
        "mpp": getattr(grid, "mpp", None),
        "patch_size": getattr(grid, "patch_size", None),
        "stride": getattr(grid, "stride", None),
    }
    if coarse := getattr(grid, "coarse_mpp", ()):
        said["coarse_mpp"] = " and ".join(f"{mpp:g}" for mpp in coarse)
    return said if any(value is not None for value in said.values()) else None


def name_of(grid, index):
    """Return how to name a grid in messages: by its file, its slide, or its position in X."""
    file = file_of(grid)
    return f"X[{index}]" if file is None else f"X[{index}] ({file})"


def file_of(grid):
    """Return the name of a grid's file, or of its slide; None if neither is known."""
    place = getattr(grid, "path", None) or getattr(grid, "slide", None)
    return None if place is None else Path(place).name


def _equal(key, value, other):
    return abs(value - other) <= MPP_TOLERANCE * other if key == "mpp" else value == other


def _short(value):
    return f"{value[:12]}..." if isinstance(value, str) and len(value) > 16 else str(value)


def _check_content(grids):
    empty = [
        name_of(grid, index)
        for index, grid in enumerate(grids)
        if not isinstance(grid, ArrayGrid) and len(grid.cells) == 0
    ]
    if empty:
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        raise EmptyGridError(f"no tissue cells in {', '.join(empty[:5])}{more}; leave out slides without tissue")
    for index, grid in enumerate(grids):
        if not all(_finite(version.embeddings) for version in grid.orientations):
            raise ValueError(f"{name_of(grid, index)} contains NaN or infinity")


def _finite(embeddings, rows=1 << 16):
    """Whether all numbers are finite; checked in parts, because the array may be a memory map of a large file."""
    return all(np.isfinite(embeddings[i : i + rows]).all() for i in range(0, len(embeddings), rows))


def _holds_grids(X):
    if isinstance(X, np.ndarray) and X.ndim == 4:
        return True
    if not hasattr(X, "__len__") or not hasattr(X, "__getitem__") or getattr(X, "ndim", 1) != 1 or isinstance(X, dict):
        return False  # a set has no order, and its grids would meet the targets of others
    return any(_is_grid_or_slide(item) for item in X)


def _is_grid_or_slide(item):
    return item is None or isinstance(item, str | os.PathLike) or hasattr(item, "cells") or np.ndim(item) == 3


def _as_grid(item, index):
    if hasattr(item, "cells"):
        return item
    if np.ndim(item) != 3:
        raise ValueError(
            f"X[{index}] is {type(item).__name__}: expected a Grid or an array (C, rows, columns). SlideCompressor "
            "makes grids of slides"
        )
    if np.ma.is_masked(item):
        raise ValueError(f"X[{index}] is masked: expected a number everywhere; fill in the masked values")
    array = np.asarray(item)
    if array.dtype.kind == "c":
        raise ValueError(f"X[{index}] is {array.dtype}: expected real numbers")
    return ArrayGrid.of_array(array if array.dtype == np.float16 else array.astype(np.float32))
