"""SlideView: a slide with its tiles, its grids and the layers over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sknic.slides import Annotations, Slide
from sknic.viewer.grid_frame import GridFrame
from sknic.viewer.layers import ColorLayer, FeatureLayer, Layer, SaliencyLayer, TissueLayer
from sknic.viewer.owners import grids_of_slides
from sknic.viewer.palette import Palette
from sknic.viewer.tiles import Tiles

_SALIENCY = {"grad_cam": "Saliency: Grad-CAM", "integrated_gradients": "Saliency: contributions"}


def open_views(
    slides: Sequence[str | Path],
    grids: Any = (),
    model: Callable | None = None,
    *,
    slide_mpp: float | None = None,
    tissue: str | Annotations | Callable | None = "density",
) -> list:
    """Open slides with the grids that belong to them.

    Parameters
    ----------
    slides : sequence of str or Path
    grids : sequence of Grid
        Each belongs to the slide at its path, of its digest, or else of its name, if only one slide has that name.
    model : callable () -> fitted estimator, optional
        Called when its saliency is first looked at.
    slide_mpp : float, optional
        um per px of level 0, where the metadata lack it and the grids do not know it either.
    tissue : str, Annotations, callable or None, default="density"
        Method of the mask, as in :func:`sknic.slides.tissue_mask`.

    Returns
    -------
    list of SlideView

    Raises
    ------
    SlideMismatchError
        If a grid belongs to none of the slides, or may belong to several.
    UnreadableSlideError, MissingMppError
        As in :class:`sknic.slides.Slide`.
    """
    paths = [str(path) for path in slides]
    owned = grids_of_slides(paths, grids)
    palettes = {id(grid): palette for grid, palette in zip(grids, Palette.of_encoders(grids))}
    model = model and cache(model)
    return [
        SlideView(_open_slide(path, own, slide_mpp), own, palettes, model, tissue) for path, own in zip(paths, owned)
    ]


def _open_slide(path, grids, slide_mpp):
    """The slide at the um/px given, or else at the one that its grids were made with."""
    known = [grid.slide_mpp for grid in grids if grid.slide_mpp]
    return Slide(path, mpp=slide_mpp or (known[0] if known else None))


class SlideView:
    """A slide as the page shows it; made by :func:`open_views`.

    Parameters
    ----------
    slide : Slide
        Slide to show.
    grids : list of Grid
        Its grids.
    palettes : dict of int to palette
        Colors of each grid's embeddings, by its `id`.
    model : callable or None
        Returns the fitted estimator whose saliency is drawn; None draws none.
    tissue : str, Annotations, callable or None
        Tissue mask to draw, as SlideCompressor takes it; None draws none.
    """

    def __init__(
        self,
        slide: Slide,
        grids: list,
        palettes: dict,
        model: Callable | None,
        tissue: str | Annotations | Callable | None,
    ) -> None:
        self.name = Path(slide.path).name
        self.mpp = slide.mpp
        self.tiles = Tiles(slide.path)
        self.frames = [GridFrame(grid, slide, number) for number, grid in enumerate(grids)]
        layers: list[Layer] = [TissueLayer(slide, tissue)] if tissue is not None else []
        for frame in self.frames:
            palette = palettes[id(frame.grid)]
            layers += [ColorLayer(frame, palette), FeatureLayer(frame, palette)]
            if model is not None:
                layers += [SaliencyLayer(frame, method, title, model) for method, title in _SALIENCY.items()]
        self.layers = {layer.id: layer for layer in layers}

    def describe(self) -> dict:
        """Describe the slide, its layers and its grids to the page.

        Returns
        -------
        dict
            What JSON can hold: "name", "mpp", "tiles", "layers" and "grids".
        """
        layers = [
            {
                "id": layer.id,
                "title": layer.title,
                "features": layer.n_features,
                "grid": self.frames.index(layer.frame) if layer.frame else None,
            }
            for layer in self.layers.values()
        ]
        grids = [frame.describe() for frame in self.frames]
        return {"name": self.name, "mpp": self.mpp, "tiles": self.tiles.describe(), "layers": layers, "grids": grids}

    def cell(self, number: int, row: int, column: int, feature: int) -> dict | None:
        """Describe a cell of a grid to the page.

        Parameters
        ----------
        number : int
            Number of the grid.
        row, column : int
            Place of the cell.
        feature : int
            Number of the feature whose value is told.

        Returns
        -------
        dict, or None outside the grid
            `tissue` (bool), `x` and `y` of its center in mm, `values` (title to text) and `embedding` (list of float).
        """
        frame = self.frames[number]
        rows, columns = frame.grid.shape
        if not (0 <= row < rows and 0 <= column < columns):
            return None
        x, y = (
            (corner + (index + 0.5) * frame.cell_size) * self.mpp / 1000
            for corner, index in zip(frame.corner, (column, row))
        )
        embedding = frame.embedding(row, column)
        found = {"tissue": embedding is not None, "x": x, "y": y, "values": {}, "embedding": []}
        if embedding is not None:
            found["embedding"] = np.asarray(embedding, float).round(4).tolist()
            found["values"] = self._values(frame, row, column, feature)
        return found

    def _values(self, frame, row, column, feature):
        values = {}
        for layer in self.layers.values():
            if layer.frame is frame and (not layer.n_features or feature < layer.n_features):
                title = f"Feature {feature}" if layer.n_features else layer.title
                values[title] = layer.value(row, column, feature)
        return {title: text for title, text in values.items() if text is not None}
