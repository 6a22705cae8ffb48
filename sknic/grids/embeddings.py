"""Embeddings are stored as float16 if that suffices, and as float32 if it overflows or loses small numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

# Below 2**-14 float16 loses digits: where the largest number is less, all that is a hundredth of it has lost some.
_SMALL = 2.0**-8
# Share of the range of a channel that may be lost, and rows that are looked at: fewer say nothing of a range.
_LOST, _N_ROWS = 0.02, 64


def finite_embeddings(where: str, embeddings: ArrayLike) -> np.ndarray:
    """Cast embeddings to float16, or to float32 if float16 overflows or loses small numbers.

    Parameters
    ----------
    where : str
        Name of the file or argument, for the error.
    embeddings : array (..., n, C)
        Numbers of any type.

    Returns
    -------
    float16 or float32 ndarray (..., n, C)
        The same numbers, all finite.

    Raises
    ------
    ValueError
        If a number is NaN or infinite, or beyond float32.
    """
    embeddings = np.asarray(embeddings)
    for dtype in (np.float32,) if _are_small(embeddings) or _are_close(embeddings) else (np.float16, np.float32):
        with np.errstate(over="ignore"):
            cast = embeddings.astype(dtype, copy=False)
        if np.isfinite(cast).all():
            return cast
    bad = np.argwhere(~np.isfinite(cast))
    raise ValueError(
        f"{where}: {len(bad)} of {cast.size} numbers are NaN or infinite, the first of them in row {bad[0][-2]}, "
        f"column {bad[0][-1]}: expected finite numbers"
    )


def _are_close(embeddings):
    """Whether the values of some channel lie so close together that float16 would not tell them apart."""
    some = embeddings.reshape(-1, embeddings.shape[-1])[:: max(1, embeddings.size // embeddings.shape[-1] // _N_ROWS)]
    if embeddings.dtype.kind != "f" or embeddings.dtype == np.float16 or len(some) < _N_ROWS:
        return False
    exact = some.astype(np.float64)
    with np.errstate(over="ignore"):
        lost = np.abs(exact - some.astype(np.float16)).max(axis=0)
    spread = np.ptp(exact, axis=0)
    return bool(((lost > _LOST * spread) & (spread > 0)).any())


def _are_small(embeddings):
    if embeddings.dtype == np.float16 or embeddings.size == 0:
        return False
    largest = max(abs(float(embeddings.min())), abs(float(embeddings.max())))
    return 0 < largest < _SMALL
