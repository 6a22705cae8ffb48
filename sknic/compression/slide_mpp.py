"""um/px that the user states for slides, by path, file name or stem, however a path is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sknic.exceptions import MppWarning, warn
from sknic.files.shared import first_shared


def by_slide(slide_mpp: Any) -> Any:
    """Bring the slides of a mapping into one form: whole paths, file names, and stems.

    Parameters
    ----------
    slide_mpp : float, mapping, Series or None
        As `SlideCompressor` takes it.

    Returns
    -------
    float, dict of str to float, or None

    Raises
    ------
    ValueError
        If a slide is not named by a text or a path, as in a Series whose index counts rows.
    """
    if not isinstance(slide_mpp, Mapping | pd.Series):
        return slide_mpp
    wrong = [name for name in dict(slide_mpp) if not isinstance(name, str | os.PathLike)]
    if wrong:
        raise ValueError(
            f"slide_mpp: {wrong[0]!r} is not the path of a slide; pass a mapping from path to um/px, or a Series with "
            "the paths as index"
        )
    found: dict[str, Any] = {}
    for name, mpp in slide_mpp.items():
        state(found, _whole(os.fspath(name)), mpp)
    return found


def state(stated: dict[str, Any], path: str, mpp: Any) -> None:
    """Add what is stated of a slide.

    Parameters
    ----------
    stated : dict of str to float
        What is stated so far; changed in place.
    path : str
        Slide.
    mpp : float or None
        Its um/px.

    Raises
    ------
    ValueError
        If something else was stated of it before.
    """
    before = stated.setdefault(path, mpp)
    if before is not mpp and before != mpp and not (pd.isna(before) and pd.isna(mpp)):
        raise ValueError(f"slide_mpp: {path} has {before} and {mpp} um/px: expected one number")


def stated_mpp(slide_mpp: Any, path: str) -> float | None:
    """Look up the um/px of one slide by its path, its file name, then its stem.

    Parameters
    ----------
    slide_mpp : float, dict of str to float, or None
        What `by_slide` returned.
    path : str
        Path of the slide.

    Returns
    -------
    float or None
        None, also for NaN, leaves it to the metadata of the slide.
    """
    if isinstance(slide_mpp, Mapping):
        slide_mpp = slide_mpp.get(_named(slide_mpp, path))
    is_empty = isinstance(slide_mpp, float | np.floating) and np.isnan(slide_mpp)  # an empty cell of a table
    return None if is_empty else slide_mpp


def check_stated(slide_mpp: Any, paths: list[str]) -> None:
    """Warn of slides that a mapping does not name, whose um/px are those of their metadata.

    Parameters
    ----------
    slide_mpp : float, dict of str to float, or None
        What `by_slide` returned.
    paths : list of str
        Slides.

    Raises
    ------
    ValueError
        If a name without its folder belongs to several of the slides.
    """
    if not isinstance(slide_mpp, Mapping):
        return
    name_of = {path: _named(slide_mpp, path) for path in paths}
    shared = first_shared({path: name for path, name in name_of.items() if name is not None})
    if shared is not None:
        one, other = shared
        raise ValueError(f"slide_mpp: {name_of[one]!r} is the name of both {one} and {other}; name them by their paths")
    unnamed = [path for path, name in name_of.items() if name is None]
    if unnamed:
        warn(
            f"slide_mpp does not name {len(unnamed)} of {len(name_of)} slides, such as {unnamed[0]}: their metadata "
            "say their um/px. Name every slide, with NaN to use its metadata",
            MppWarning,
        )


def _named(slide_mpp, path):
    """The name under which a mapping has a slide; None if it has not."""
    names = (os.path.abspath(path), Path(path).name, Path(path).stem)
    return next((name for name in names if name in slide_mpp), None)


def _whole(name):
    return os.path.abspath(name) if os.path.dirname(name) else name
