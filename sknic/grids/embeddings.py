"""Embeddings stay finite: float16 where it is large enough, float32 where it overflows."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def finite_embeddings(where: str, embeddings: ArrayLike) -> np.ndarray:
    """Cast embeddings to float16, or to float32 where float16 overflows.

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
    for dtype in (np.float16, np.float32):
        with np.errstate(over="ignore"):
            cast = embeddings.astype(dtype, copy=False)
        if np.isfinite(cast).all():
            return cast
    bad = np.argwhere(~np.isfinite(cast))
    raise ValueError(
        f"{where}: {len(bad)} of {cast.size} numbers are NaN or infinite, the first of them in row {bad[0][-2]}, "
        f"column {bad[0][-1]}: expected finite numbers"
    )
