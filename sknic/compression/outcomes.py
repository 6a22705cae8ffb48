"""Summaries of the outcomes of many slides, in words."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence

from sknic.compression.job import Outcome
from sknic.exceptions import CompressionError, DamagedLevelWarning, SlideFailureWarning, TissueWarning, warn

# Slides that a message names when many have one fault.
N_NAMED = 3


def speak_up(outcomes: Sequence[Outcome], on_error: str) -> None:
    """Warn of slides without tissue or with damaged levels, and raise or warn of slides that failed.

    Parameters
    ----------
    outcomes : sequence of Outcome
        One per slide; a slide may occur twice.
    on_error : {"raise", "skip"}
        What to do about slides that failed.

    Raises
    ------
    CompressionError
        With "raise", if slides failed; `failures` has the reasons, and `grids` the grids of the others.
    """
    slides = {outcome.slide: outcome for outcome in outcomes}
    failed, empty = (
        [outcome for outcome in slides.values() if outcome.status == status] for status in ("failed", "no tissue")
    )
    of_all = f"of {len(slides)} slide{'s' if len(slides) != 1 else ''}"
    if empty:
        warn(f"{len(empty)} {of_all} without tissue:\n{_lines(empty)}", TissueWarning)
    damaged = [outcome for outcome in slides.values() if _damage(outcome)]
    if damaged:
        lines = _of_causes([outcome.slide for outcome in damaged], map(_damage, damaged))
        warn(f"{len(damaged)} {of_all} with a damaged pyramid level:\n{lines}", DamagedLevelWarning)
    if not failed:
        return
    message = f"{len(failed)} {of_all} could not be compressed:\n{_lines(failed)}"
    if on_error == "raise":
        failures = {outcome.slide: outcome.error for outcome in failed}
        raise CompressionError(message, failures, [outcome.grid for outcome in outcomes])
    warn(f"{message}\nTheir grids are empty.", SlideFailureWarning)


def _damage(outcome):
    return outcome.grid.header.damage if outcome.grid is not None else None


def _lines(outcomes):
    return _of_causes([outcome.slide for outcome in outcomes], [outcome.error for outcome in outcomes])


def _of_causes(slides, causes):
    return "\n".join(f"  {line}" for line in by_cause(slides, list(causes)))


def by_cause(slides: Sequence[str], errors: Sequence[str]) -> list[str]:
    """Return what went wrong, one line per cause.

    Parameters
    ----------
    slides : sequence of str
        Paths; a repeated path is named once.
    errors : sequence of str
        Reason for each; empty if nothing went wrong.

    Returns
    -------
    list of str
        The slides and the cause; if many slides share a cause, they are counted and a few are named.
    """
    causes: dict[str, dict[str, str]] = {}
    for slide, error in zip(slides, errors):
        if error:
            causes.setdefault(_without_names(slide, error), {}).setdefault(slide, error)
    return [f"{_named(list(those))}: {next(iter(those.values()))}" for those in causes.values()]


def counts(outcomes: Sequence[Outcome]) -> str:
    """Return the number of slides per status, in words.

    Parameters
    ----------
    outcomes : sequence of Outcome
        One per slide.

    Returns
    -------
    str
        Such as "24 slides: 20 done, 2 no tissue, 2 failed".
    """
    of_status = Counter(outcome.status for outcome in outcomes)
    order = ("done", "cached", "no tissue", "failed")
    parts = ", ".join(f"{of_status[status]} {status}" for status in order if of_status[status])
    return f"{len(outcomes)} slide{'s' if len(outcomes) != 1 else ''}: {parts}"


def _without_names(slide, error):
    """The cause without the slide's own names, so that equal causes have equal texts."""
    stem = os.path.splitext(os.path.basename(slide))[0]
    text = re.sub("; did you mean '.*'", "", error.replace(slide, "*"))
    # A short name is perhaps a word; as the name of a file it is not.
    return text.replace(stem, "*") if len(stem) > 2 else re.sub(rf"(?<=/){re.escape(stem)}(?=\.)", "*", text)


def _named(slides):
    if len(slides) <= N_NAMED:
        return ", ".join(slides)
    return f"{len(slides)} slides ({', '.join(slides[:N_NAMED])} and {len(slides) - N_NAMED} more)"
