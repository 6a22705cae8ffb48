"""SlideView: a slide with its tiles, its grids and the layers over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sknic.compression.slide_mpp import by_slide, stated_mpp
from sknic.exceptions import SknicError, SlideFailureWarning, warn
from sknic.files.names import unique_names
from sknic.slides import Annotations, Slide
from sknic.viewer.grid_frame import GridFrame
from sknic.viewer.layers import ColorLayer, FeatureLayer, Layer, SaliencyLayer, TissueLayer
from sknic.viewer.model import Model
from sknic.viewer.owners import grids_of_slides
from sknic.viewer.palette import Palette
from sknic.viewer.tiles import Tiles

_SALIENCY = {"grad_cam": "Saliency: Grad-CAM", "integrated_gradients": "Saliency: contributions"}


def open_views(
    slides: Sequence[str | Path],
    grids: Any = (),
    model: Callable | None = None,
    *,
    truth: Sequence[dict] | None = None,
    slide_mpp: float | dict | None = None,
    tissue: str | Annotations | Callable | None = "density",
    on_error: str = "raise",
) -> list:
    """Open slides with the grids that belong to them.

    Parameters
    ----------
    slides : sequence of str or Path
        Slides to show.
    grids : sequence of Grid, default=()
        Each belongs to the slide with its path or its digest, or else with its name if only one slide has that name.
    model : callable () -> fitted estimator, default=None
        Called when its prediction or saliency is first requested.
    truth : sequence of dict of str to str, default=None
        Known values of each slide, by name; shown next to the prediction.
    slide_mpp : float or dict of str to float, default=None
        um per px of level 0, of all slides or by path, for slides whose metadata and grids do not have it.
    tissue : str, Annotations, callable or None, default="density"
        Method of the mask, as in :func:`sknic.slides.tissue_mask`.
    on_error : {"raise", "skip"}, default="raise"
        What to do about slides that cannot be shown if there are others.

    Returns
    -------
    list of SlideView
        In the order of `slides`.

    Raises
    ------
    SlideMismatchError
        If a grid belongs to none of the slides, or may belong to several.
    UnreadableSlideError, MissingMppError
        As in :class:`sknic.slides.Slide`.

    Warns
    -----
    SlideFailureWarning
        With the slides that are left out.
    """
    paths = [str(path) for path in slides]
    owned = grids_of_slides(paths, grids)
    palettes = {id(grid): palette for grid, palette in zip(grids, Palette.of_encoders(grids))}
    asked = model and Model(model)
    stated = by_slide(slide_mpp)
    views, failed = [], []
    for path, name, own, known in zip(paths, _names(paths), owned, truth or [{}] * len(paths)):
        try:
            with _open_slide(path, own, stated) as slide:
                views.append(SlideView(slide, own, palettes, asked, tissue, name=name, truth=known))
        except SknicError as error:
            if on_error == "raise":
                raise
            failed.append(error)
    if failed and not views:
        raise failed[0]
    if failed:
        warn(f"{len(failed)} slides are left out: {'; '.join(map(str, failed[:3]))}", SlideFailureWarning)
    return views


def _names(paths):
    """Name of each file; if it is not unique, with the folders that distinguish them."""
    names, apart = [Path(path).name for path in paths], unique_names(paths)
    return [name if names.count(name) == 1 else f"{apart[path]}{Path(path).suffix}" for path, name in zip(paths, names)]


def _open_slide(path, grids, stated):
    """The slide at the um/px that is stated of it, or else at that of its grids."""
    known = [grid.slide_mpp for grid in grids if grid.slide_mpp]
    given = stated_mpp(stated, path)
    return Slide(path, mpp=given or (known[0] if known else None))


class SlideView:
    """A slide as the page shows it; made by :func:`open_views`.

    Parameters
    ----------
    slide : Slide
        Slide to show; it may be closed afterwards.
    grids : list of Grid
        Its grids.
    palettes : dict of int to palette
        Colors of each grid's embeddings, by its `id`.
    model : model or None
        The fitted estimator whose prediction and saliency are shown; None shows none.
    tissue : str, Annotations, callable or None
        Tissue mask to draw, as SlideCompressor takes it; None draws none.
    name : str
        Name on the page.
    truth : dict of str to str
        Known values of the slide, by name.
    """

    def __init__(
        self,
        slide: Slide,
        grids: list,
        palettes: dict,
        model: Any,
        tissue: str | Annotations | Callable | None,
        *,
        name: str,
        truth: dict,
    ) -> None:
        self.name = name
        self.mpp = slide.mpp
        self.truth = truth
        self.model = model
        self.tiles = Tiles(slide.file)
        self.frames = [GridFrame(grid, slide, number) for number, grid in enumerate(grids)]
        layers: list[Layer] = [TissueLayer(slide, tissue)] if tissue is not None else []
        for frame in self.frames:
            palette = palettes[id(frame.grid)]
            if model is not None:
                layers += [SaliencyLayer(frame, method, title, model) for method, title in _SALIENCY.items()]
            layers += [ColorLayer(frame, palette), FeatureLayer(frame, palette)]
        self.layers = {layer.id: layer for layer in layers}

    def describe(self) -> dict:
        """Describe the slide, its layers and its grids to the page.

        Returns
        -------
        dict
            Values that JSON can store: "name", "mpp", "truth", "tiles", "layers" and "grids".
        """
        layers = [
            {
                "id": layer.id,
                "title": layer.title,
                "features": layer.n_features,
                "classes": layer.has_classes,
                "grid": self.frames.index(layer.frame) if layer.frame else None,
            }
            for layer in self.layers.values()
        ]
        return {
            "name": self.name,
            "mpp": self.mpp,
            "truth": self.truth,
            "tiles": self.tiles.describe(),
            "layers": layers,
            "grids": [frame.describe() for frame in self.frames],
        }

    def cell(self, number: int, row: int, column: int, feature: int = 0, label: int | None = None) -> dict | None:
        """Describe a cell of a grid to the page.

        Parameters
        ----------
        number : int
            Number of the grid.
        row, column : int
            Place of the cell.
        feature : int, default=0
            Number of the feature whose value is returned.
        label : int, default=None
            Number of the class whose saliency is returned; the predicted one by default.

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
            found["values"] = self._values(frame, row, column, feature, label)
        return found

    def _values(self, frame, row, column, feature, label):
        values = {}
        for layer in self.layers.values():
            if layer.frame is frame and (not layer.n_features or feature < layer.n_features):
                title = f"Feature {feature}" if layer.n_features else layer.title
                values[title] = layer.value(row, column, label if layer.has_classes else feature)
        return {title: text for title, text in values.items() if text is not None}
