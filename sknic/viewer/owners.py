"""Which slide a grid belongs to: by path, by digest, and only then by name."""

import os
import unicodedata
from pathlib import Path

import openslide

from sknic.exceptions import SknicWarning, SlideMismatchError, warn


def grids_of_slides(paths, grids):
    """Sort grids by the slide that they belong to.

    Parameters
    ----------
    paths : list of str
        Slides.
    grids : sequence of Grid
        Grids.

    Returns
    -------
    list of list of Grid
        For each slide, its grids.

    Raises
    ------
    SlideMismatchError
        If a grid belongs to none of the slides, or may belong to several.
    """
    digests = [_digest(path) for path in paths]
    owned = [[] for _ in paths]
    for grid in grids:
        owned[_owner(grid, paths, digests)].append(grid)
    return owned


def _owner(grid, paths, digests):
    header = grid.header
    same = [i for i, digest in enumerate(digests) if digest and digest == header.slide_digest]
    here = [i for i in same or range(len(paths)) if header.slide and _real(paths[i]) == _real(header.slide)]
    if here or same:
        return (here or same)[0]
    named = [i for i, path in enumerate(paths) if _names(path) & _names(header.slide or grid.path or "")]
    if len(named) == 1:
        return named[0]
    if named:
        raise SlideMismatchError(
            f"{_said(grid)} may belong to each of {', '.join(paths[i] for i in named)}; give one of them at a time"
        )
    if len(paths) == 1 and header.slide_digest is None:
        if header.slide:
            warn(
                f"{_said(grid)} is drawn on {paths[0]}, which has another name; the grid has no other information "
                "to tell slides apart",
                SknicWarning,
            )
        return 0
    raise SlideMismatchError(f"{_said(grid)} belongs to none of the slides {', '.join(paths)}")


def _said(grid):
    return f"the grid of {grid.slide}" if grid.slide else f"{grid}"


def _real(path):
    return os.path.realpath(path)


def _names(path):
    # Other tools record the name without its suffix, in which a dot is not the start of a suffix.
    name = unicodedata.normalize("NFC", Path(path).name)
    return {name, Path(name).stem} - {""}


def _digest(path):
    try:
        with openslide.OpenSlide(path) as slide:
            return slide.properties.get("openslide.quickhash-1")
    except (openslide.OpenSlideError, OSError, ValueError):
        return None  # the view of this slide will say why
