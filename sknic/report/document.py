"""Report: sections of text, tables, pictures and settings, written as one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jinja2 import Environment, StrictUndefined

from sknic.files.whole import whole_file
from sknic.report.pictures import figure_uri, image_uri

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Card:
    """A picture with a few facts beneath, such as a slide and its prediction.

    Attributes
    ----------
    title : str
    image : uint8 ndarray, shape (height, width, 3)
    alt : str
        What the picture shows, for those who do not see it.
    facts : dict of str to object
        Numbers are rounded when they are shown.
    """

    title: str
    image: np.ndarray
    alt: str
    facts: dict = field(default_factory=dict)


@dataclass
class Section:
    """A heading and what stands under it; made by :meth:`Report.add_section`. Each `add_` returns the section."""

    heading: str
    blocks: list = field(default_factory=list)

    def _add(self, kind, **content):
        self.blocks.append({"kind": kind, **content})
        return self

    def add_text(self, text: str) -> Self:
        """Add a paragraph of plain text."""
        return self._add("text", text=text)

    def add_table(self, table: pd.DataFrame, *, caption: str, folded: bool = False) -> Self:
        """Add a table.

        Parameters
        ----------
        table : DataFrame
            Its first column names the rows; numbers stand on the right, rounded; the index is not shown.
        caption : str
        folded : bool
            Show only the caption until the reader opens it; it is printed in full.
        """
        columns = [{"name": str(name), "numeric": table[name].dtype.kind in "iuf"} for name in table]
        rows = [[show(value) for value in row] for row in table.itertuples(index=False, name=None)]
        return self._add("table", columns=columns, rows=rows, caption=caption, folded=folded)

    def add_figure(self, figure: Any, *, alt: str, caption: str | None = None) -> Self:
        """Add a chart; it is drawn now, so the caller may close or change it afterwards.

        Parameters
        ----------
        figure : matplotlib Figure, Axes, or a display of :mod:`sknic.plotting` after `plot`
        alt : str
            What the chart shows, for those who do not see it.
        caption : str, optional
        """
        return self._add("figure", uri=figure_uri(figure), alt=alt, caption=caption)

    def add_image(self, image: np.ndarray, *, alt: str, caption: str | None = None) -> Self:
        """Add a picture, uint8 (height, width, 3)."""
        return self._add("image", uri=image_uri(image), alt=alt, caption=caption)

    def add_cards(self, cards: Sequence[Card], *, title: str) -> Self:
        """Add a row of :class:`Card` under a small title."""
        shown = [
            {"title": card.title, "uri": image_uri(card.image), "alt": card.alt, "facts": _shown(card.facts)}
            for card in cards
        ]
        return self._add("cards", cards=shown, title=title)

    def add_settings(self, settings: dict[str, Any], *, title: str | None = None) -> Self:
        """Add a list of names and values, such as settings or versions; a dict inside becomes ``outer.inner``."""
        return self._add("settings", settings=_shown(flatten(settings)), title=title)


@dataclass
class Report:
    """A report in one HTML file: no network, readable on a phone, on paper and by a screen reader.

    Parameters
    ----------
    title : str
    subtitle : str
    sections : list of Section
    """

    title: str
    subtitle: str = ""
    sections: list = field(default_factory=list)

    def add_section(self, heading: str) -> Section:
        """Begin a section and return it, to be filled.

        Returns
        -------
        Section
        """
        self.sections.append(Section(heading))
        return self.sections[-1]

    def to_html(self) -> str:
        """The whole page as a str."""
        assets = files("sknic.report") / "assets"
        environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        template = environment.from_string((assets / "report.html").read_text(encoding="utf-8"))
        return template.render(report=self, style=(assets / "report.css").read_text(encoding="utf-8"))

    def write(self, path: str | Path) -> Path:
        """Write the page to a file, at once or not at all.

        Returns
        -------
        Path
        """
        html = self.to_html()
        with whole_file(path) as temporary:
            temporary.write_text(html, encoding="utf-8")
        return Path(path)


def show(value):
    """A value as a reader wants it: floats with four figures, nothing for what is missing."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def flatten(settings, prefix=""):
    """Nested dicts as one, whose keys are joined by dots."""
    flat = {}
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _shown(facts):
    # A setting of None says something, unlike an empty cell of a table.
    return {str(name): "none" if value is None else show(value) for name, value in facts.items()}
