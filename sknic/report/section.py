"""Section: text, tables, pictures and settings under one heading of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sknic.report.pictures import figure_uri, image_uri

if TYPE_CHECKING:
    import pandas as pd


# Columns of a table that half a page holds.
_NARROW_TABLE = 7
# Name and sign of what a card's mark says; a sign as well as a color, for readers who do not see the color.
_MARKS = {None: None, True: ("right", "\N{CHECK MARK}"), False: ("wrong", "\N{MULTIPLICATION X}")}


@dataclass(frozen=True)
class Card:
    """A picture with a few facts below it, such as a slide and its prediction.

    Attributes
    ----------
    title : str
        Name above the picture.
    image : uint8 array (height, width, 3)
        Picture, RGB.
    alt : str
        Description for readers who cannot see the picture.
    facts : dict of str to object
        Names and values below it; numbers are rounded for display.
    is_right : bool or None
        Whether a mark before the title says right or wrong; None for no mark.
    """

    title: str
    image: np.ndarray
    alt: str
    facts: dict = field(default_factory=dict)
    is_right: bool | None = None


@dataclass
class Section:
    """A heading with its content; made by :meth:`Report.add_section`. Each `add_` method returns the section.

    Attributes
    ----------
    heading : str
        Heading of the section.
    blocks : list of dict
        Content for the template of the page.
    """

    heading: str
    blocks: list = field(default_factory=list)

    def _add(self, kind, *, is_wide=True, **content):
        """Add a block; two narrow blocks are placed side by side if there is room."""
        self.blocks.append({"kind": kind, "is_wide": is_wide, **content})
        return self

    def add_text(self, text: str) -> Self:
        """Add a paragraph.

        Parameters
        ----------
        text : str
            Plain text.

        Returns
        -------
        Section
            The section itself, so that calls can be chained.
        """
        return self._add("text", text=text)

    def add_table(self, table: pd.DataFrame, *, caption: str, folded: bool = False) -> Self:
        """Add a table.

        Parameters
        ----------
        table : DataFrame
            Its first column names the rows; numbers are rounded and right-aligned; the index is not shown.
        caption : str
            Text above the table.
        folded : bool, default=False
            Whether only the caption is shown until the reader opens it; it is printed in full.

        Returns
        -------
        Section
            The section itself, so that calls can be chained.
        """
        columns = [{"name": str(name), "numeric": table[name].dtype.kind in "iuf"} for name in table]
        rows = [[show(value) for value in row] for row in table.itertuples(index=False, name=None)]
        is_wide = folded or len(columns) > _NARROW_TABLE
        return self._add("table", is_wide=is_wide, columns=columns, rows=rows, caption=caption, folded=folded)

    def add_figure(self, figure: Any, *, alt: str, caption: str | None = None) -> Self:
        """Add a chart; it is drawn now, so the caller may close or change it afterwards.

        Parameters
        ----------
        figure : matplotlib Figure, Axes, or a display of :mod:`sknic.plotting` after `plot`
            Chart to draw.
        alt : str
            Description for readers who cannot see the chart.
        caption : str, default=None
            Text below the chart.

        Returns
        -------
        Section
            The section itself, so that calls can be chained.
        """
        return self._add("figure", is_wide=False, uri=figure_uri(figure), alt=alt, caption=caption)

    def add_cards(self, cards: Sequence[Card], *, title: str) -> Self:
        """Add pictures with facts, side by side.

        Parameters
        ----------
        cards : sequence of Card
            Pictures with their facts.
        title : str
            Small title above them.

        Returns
        -------
        Section
            The section itself, so that calls can be chained.
        """
        shown = [
            {
                "title": card.title,
                "uri": image_uri(card.image),
                "alt": card.alt,
                "facts": _shown(card.facts),
                "mark": _MARKS[card.is_right],
            }
            for card in cards
        ]
        return self._add("cards", cards=shown, title=title)

    def add_headline(
        self, value: str, label: str, *, note: str = "", facts: dict[str, Any] | None = None, text: str = ""
    ) -> Self:
        """Add the main number of the page, in large digits.

        Parameters
        ----------
        value : str
            The number, as it is shown.
        label : str
            What it measures.
        note : str, default=""
            Line below it, such as its interval.
        facts : dict of str to object, default=None
            Values to compare it with, shown next to it.
        text : str, default=""
            Sentence that says what it means.

        Returns
        -------
        Section
            The section itself, so that calls can be chained.
        """
        return self._add("headline", value=value, label=label, note=note, facts=_shown(facts or {}), text=text)

    def add_legend(self, items: Sequence[tuple[str, str]], *, colors: Sequence[str] = ()) -> Self:
        """Add a legend for the signs and colors of the pictures below it.

        Parameters
        ----------
        items : sequence of (str, str)
            Sign and meaning; the signs "right" and "wrong" are drawn as on a :class:`Card`, and "colors" as a strip.
        colors : sequence of str, default=()
            Colors of the strip, from low to high, as CSS writes them.

        Returns
        -------
        Section
            The section itself, so that calls can be chained.
        """
        marks = {mark[0]: mark for mark in _MARKS.values() if mark}
        shown = [{"mark": marks.get(sign), "is_strip": sign == "colors", "text": text} for sign, text in items]
        return self._add("legend", items_=shown, colors=", ".join(colors))

    def add_settings(self, settings: dict[str, Any], *, title: str | None = None) -> Self:
        """Add a list of names and values, such as settings or versions.

        Parameters
        ----------
        settings : dict of str to object
            Names and values; a dict inside becomes ``outer.inner``.
        title : str, default=None
            Small title above them.

        Returns
        -------
        Section
            The section itself, so that calls can be chained.
        """
        return self._add("settings", settings=_shown(flatten(settings)), title=title)


def show(value):
    """Format a value for readers: floats with four digits, an empty text for missing values."""
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return ""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, (float, np.floating)) else str(value)


def flatten(settings, prefix=""):
    """Flatten nested dicts; keys are joined by dots."""
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
