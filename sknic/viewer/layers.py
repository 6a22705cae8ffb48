"""Layers: small transparent pictures that are stretched over a slide, one pixel per cell.

A new layer is a class like those below, named in `slide_view.py`; the page needs no change. Nothing is computed before
it is requested, and the server requests one thing at a time.
"""

from copy import copy
from dataclasses import dataclass
from functools import cached_property

import matplotlib as mpl
import numpy as np

from sknic.slides import tissue_mask

_GREEN = (0, 158, 115, 255)


@dataclass(frozen=True)
class Legend:
    """Colors from low to high, as hexadecimal strings, and what stands at both ends."""

    colors: list
    low: str
    high: str

    @classmethod
    def of(cls, color_map, low, high):
        """Seventeen colors of a matplotlib color map, or of one of that name, between two numbers."""
        colors = mpl.colormaps.get_cmap(color_map)(np.linspace(0, 1, 17))
        return cls([mpl.colors.to_hex(color) for color in colors], f"{low:.3g}", f"{high:.3g}")


@dataclass(frozen=True, eq=False)
class Picture:
    """A layer drawn.

    Attributes
    ----------
    pixels : uint8 ndarray (h, w, 4)
    place : tuple of float
        x, y, width and height, in level-0 px from the corner of the slide's bounds.
    legend : Legend or None
    """

    pixels: np.ndarray
    place: tuple
    legend: Legend | None = None


class Layer:
    """What all layers have.

    Attributes
    ----------
    id : str
        Unique on the slide.
    title : str
    frame : GridFrame or None
        Frame of the grid whose cells it shows.
    n_features : int
        Number of features to choose from.
    has_classes : bool
        Whether there is a class to choose.
    """

    n_features = 0
    has_classes = False

    def __init__(self, name, title, frame=None):
        self.id = f"{frame.id}-{name}" if frame else name
        self.title = title
        self.frame = frame

    def picture(self, choice=None):
        """Draw the layer, or the feature or class of that number; returns a Picture."""
        raise NotImplementedError

    def value(self, row, column, choice=None):
        """The layer's value at a tissue cell, as text; None if it has none."""


class TissueLayer(Layer):
    """What counts as tissue; its pixels are those of the mask, not cells."""

    def __init__(self, slide, method):
        super().__init__("tissue", "Tissue mask")
        self._slide = slide
        self._method = method

    @cached_property
    def _picture(self):
        with copy(self._slide) as slide:  # it may be closed
            found = tissue_mask(slide, self._method)
        height, width = found.mask.shape
        scale = found.mpp / self._slide.mpp
        pixels = np.where(found.mask[..., None], np.array(_GREEN, np.uint8), np.uint8(0))
        return Picture(pixels, (0, 0, width * scale, height * scale))

    def picture(self, choice=None):
        """Green where there is tissue."""
        return self._picture


class ColorLayer(Layer):
    """A grid in the colors of its principal components."""

    def __init__(self, frame, palette):
        super().__init__("colors", "Embedding as colors", frame)
        self._palette = palette

    def picture(self, choice=None):
        """Similar cells in similar colors; background is transparent."""
        colors = self._palette.colors(self.frame.grid)
        return self.frame.picture(colors[tuple(self.frame.cells.T)])


class FeatureLayer(Layer):
    """One feature of the embeddings."""

    def __init__(self, frame, palette):
        super().__init__("feature", "Single feature", frame)
        self.n_features = frame.grid.code_size
        self._palette = palette

    def picture(self, choice=None):
        """Blue below the mean, red above."""
        low, high = self._palette.range(choice or 0)
        values = self.frame.embeddings[:, choice or 0].astype(np.float64)
        colors = mpl.colormaps["RdBu_r"](np.clip((values - low) / (high - low), 0, 1))
        return self.frame.picture(colors, Legend.of("RdBu_r", low, high))

    def value(self, row, column, choice=None):
        """The feature's value."""
        return f"{self.frame.embedding(row, column)[choice or 0]:.4g}"


class SaliencyLayer(Layer):
    """Where a model looked.

    Parameters
    ----------
    frame : GridFrame
    method : str
        Name of a function of :mod:`sknic.saliency`.
    title : str
    model : Model
    """

    has_classes = True

    def __init__(self, frame, method, title, model):
        super().__init__(method.replace("_", "-"), title, frame)
        self._method = method
        self._model = model
        self._drawn = {}

    def picture(self, choice=None):
        """The stronger the saliency, the more opaque the cell."""
        from sknic.plotting.overlay import color_map, colorize

        if choice not in self._drawn:
            self._drawn[choice] = self._model.explain(self._method, self.frame.grid, choice)
        values = self._drawn[choice]
        colors, opacity = colorize(values, alpha=1)
        limit, signed = np.abs(values).max(), values.min() < 0
        legend = Legend.of(color_map(values), -limit if signed else 0, limit)
        cells = tuple(self.frame.cells.T)
        return self.frame.picture(np.dstack([colors, opacity])[cells], legend)

    def value(self, row, column, choice=None):
        """Saliency of a cell, if the layer has been rendered; inspecting a cell never runs the model."""
        return f"{self._drawn[choice][row, column]:.4g}" if choice in self._drawn else None
