"""The slides that were predicted best and worst, with what the models looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_hex

from sknic.files.names import unique_names
from sknic.plotting.overlay import COLOR_MAPS
from sknic.report.section import Card
from sknic.targets.rows import PROBABILITY

if TYPE_CHECKING:
    from sknic.report.run_folder import RunFolder


def fit_of_slides(run):
    """How well each slide was predicted, float (n_slides,): higher is better, whatever the task."""
    return run.kind.quality_of(run.predictions)


def best_and_worst(run: RunFolder, n_slides: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the slides that were predicted best and worst, the most extreme first.

    Parameters
    ----------
    run : RunFolder
        Evaluation whose slides are ranked.
    n_slides : int, default=3
        Number of slides at each end; fewer if the cohort is small, so that none is in both.

    Returns
    -------
    best, worst : int arrays (n_slides,)
        Rows of the predictions.
    """
    fit = fit_of_slides(run)
    known = np.flatnonzero(~np.isnan(fit))
    order = known[np.argsort(-fit[known], kind="stable")]
    n_slides = min(n_slides, len(order) // 2)
    return order[:n_slides], order[::-1][:n_slides]


def add_slides(report, run):
    """Add the section of slides: cards if there are pictures, otherwise tables, and all predictions, folded."""
    section = report.add_section("Slides")
    fit = fit_of_slides(run)
    name, meaning = run.kind.quality
    section.add_text(f"Best and worst by {meaning}.")
    slides = run.predictions["slide"]
    table = run.predictions.drop(columns=["digest", *run.survival], errors="ignore").assign(
        slide=slides.map(unique_names(slides)), **{name: np.abs(fit)}
    )
    _add_legend(section, run)
    for title, rows in zip(("Predicted best", "Predicted worst"), best_and_worst(run)):
        chosen = table.iloc[rows]
        cards = [_card(run, row) for row in chosen.to_dict("records") if row["slide"] in run.overlays]
        if cards:
            section.add_cards(cards, title=title)
        else:
            section.add_table(chosen, caption=title)
    section.add_table(table, caption=f"All {len(table)} predictions", folded=True)


def _add_legend(section, run):
    if not run.overlays:
        return
    what = "the predicted class" if _has_labels(run) else "a high prediction"
    items = [("colors", f"weak to strong evidence for {what}, from a model that had not seen the slide")]
    if _has_labels(run):
        items = [("right", "the predicted class is the true one"), ("wrong", "it is another"), *items]
    strip = COLOR_MAPS["positive"](np.linspace(0, 1, 6))
    section.add_legend(items, colors=[to_hex(color) for color in strip])


def _has_labels(run):
    """Whether target and prediction are names, which are equal or not, rather than numbers, which are near or far."""
    return {"target", "prediction"} <= set(run.kind.text_columns)


def _card(run, row):
    """A slide with its saliency and what matters most."""
    shown = row.pop("slide")
    facts = {name: value for name, value in row.items() if name != "fold" and not name.startswith(PROBABILITY)}
    alt = f"Thumbnail of slide {shown}; the cells that the model looked at are colored"
    is_right = str(row["target"]) == str(row["prediction"]) if _has_labels(run) else None
    return Card(shown, run.overlays[shown], alt, facts, is_right)
