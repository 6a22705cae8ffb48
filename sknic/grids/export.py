"""Export grids to other tools, and display them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sknic.exceptions import DegenerateDataError
from sknic.files.notebook import card
from sknic.files.whole import whole_file
from sknic.grids.placement import Placement

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes


class GridExports:
    """The methods of Grid that display it and export it to other tools."""

    __slots__ = ()

    def plot(self, *, ax: Axes | None = None, title: str | None = None) -> Any:
        """Draw the grid in the colors of its principal components.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; new ones by default.
        title : str, default=None
            Title of the picture; by default it says what is drawn.

        Returns
        -------
        GridDisplay
            The display, drawn; :mod:`sknic.plotting` has others.

        Raises
        ------
        DegenerateDataError
            With fewer than three cells or features, or no variation.
        """
        # By name: plotting imports grids, and grids, which do not use torch, must not import what does.
        return import_module("sknic.plotting").GridDisplay.from_grid(self, ax=ax, title=title)

    def to_geojson(
        self, values: dict | None = None, path: str | Path | None = None, *, slide: Any = None, annotate: Any = None
    ) -> dict:
        """Make a GeoJSON FeatureCollection that QuPath imports as tiles, or annotations, with measurements.

        Positions are in level-0 px from the corner of the slide's bounds (`openslide.bounds-x`, `-y`), as in QuPath;
        `coords` in a grid file, which TRIDENT and CLAM read, start at the corner of the file. Files of these tools do
        not contain the bounds: without `slide`, the bounds are assumed to start at the corner of the file.

        Parameters
        ----------
        values : dict of str to array, default=None
            Numbers to attach: `(n_cells,)` in the order of `cells`, or `(rows, columns)`. The embeddings by default.
        path : str or Path, default=None
            Also write the JSON there.
        slide : Slide, default=None
            The open slide, which has the bounds, and the um/px of level 0 if the grid does not have it.
        annotate : dict of str to int array, default=None
            For each class, positions in `cells` of its annotations, which QuPath lists. By default all cells are tiles.

        Returns
        -------
        dict
            The collection.

        Raises
        ------
        MissingMppError
            If the size of a cell in level-0 px is unknown.
        SlideMismatchError
            If the grid was made from another slide.
        """
        collection = geojson(self, values, slide, annotate)
        if path is not None:
            with whole_file(path) as temporary:
                temporary.write_text(json.dumps(collection))
        return collection

    def to_anndata(self: Any) -> AnnData:
        """Make an AnnData whose observations are the cells, for scanpy, squidpy and other tools.

        Returns
        -------
        anndata.AnnData
            `X` float32 (n_cells, C), the embeddings; `obs["row"]`, `obs["column"]`; `obsm["spatial"]` float64
            (n_cells, 2), center of each patch in level-0 px from the corner of the file, x before y. If the size of a
            cell in level-0 px is unknown, the unit is a cell; `uns["spatial_unit"]` names the unit.

        Raises
        ------
        ImportError
            Without the package `anndata` (``pip install "sknic[anndata]"``).
        """
        return anndata(self.header, self.cells, self.embeddings)

    def _repr_html_(self):
        return notebook_card(self)


def geojson(grid, values=None, slide=None, annotate=None):
    """Cells as QuPath tiles or annotations with measurements, in a FeatureCollection.

    Parameters
    ----------
    grid : Grid
        The grid.
    values : dict of str to array, default=None
        Measurements, as in `Grid.to_geojson`.
    slide : Slide, default=None
        The open slide.
    annotate : dict of str to int array, default=None
        Class to positions, as in `Grid.to_geojson`.
    """
    if values is None:
        values = {f"embedding {i}": column for i, column in enumerate(grid.embeddings.T)}
    columns = {name: _per_cell(grid, name, value) for name, value in values.items()}
    place = Placement.of(grid.header) if slide is None else Placement.on(grid.header, slide)
    # QuPath counts from the corner of the slide's bounds, as it does in the masks that are read.
    corners = place.corners(grid.cells) - np.asarray(place.bounds, np.int64)
    wanted = {"": range(grid.n_cells)} if annotate is None else annotate
    features = [
        _feature(
            corners[i].tolist(), round(place.patch), {name: float(column[i]) for name, column in columns.items()}, kind
        )
        for kind, rows in wanted.items()
        for i in rows
    ]
    return {"type": "FeatureCollection", "features": features}


def _per_cell(grid, name, value):
    value = np.asarray(value)
    if value.shape == tuple(grid.shape):
        return value[tuple(grid.cells.T)]
    if value.shape != (grid.n_cells,):
        raise ValueError(f"values[{name!r}] has shape {value.shape}; expected {(grid.n_cells,)} or {grid.shape}")
    return value


def anndata(header, cells, embeddings):
    """Cells as the observations of an AnnData, with the centers of their patches."""
    import pandas as pd
    from anndata import AnnData

    if header.stride_level0 is None:
        centers, unit = np.asarray(cells)[:, ::-1] + 0.5, "cells"
    else:
        place = Placement.of(header)
        centers, unit = place.corners(cells) + round(place.patch) / 2, "level-0 px"
    return AnnData(
        X=embeddings.astype(np.float32),
        obs=pd.DataFrame(cells, columns=["row", "column"], index=[f"{row}-{column}" for row, column in cells]),
        obsm={"spatial": centers},
        uns={"spatial_unit": unit},
    )


def notebook_card(grid):
    """The grid in the colors of its principal components, next to its properties."""
    from sknic.grids.colors import pca_rgb

    header = grid.header
    try:
        pixels = np.rint(pca_rgb(grid) * 255).astype(np.uint8)
    except DegenerateDataError:
        pixels = None  # too few cells or features for three components
    rows = {
        "cells": f"{header.shape[0]} x {header.shape[1]}, {grid.n_cells} with tissue",
        "features": f"{grid.code_size}, {grid.dtype}",
        "patch": header.patch_size and f"{header.patch_size} px, every {header.stride} px",
        "um/px": header.mpp and f"{header.mpp:.4g}",
        "slide": header.slide,
        "encoder": header.fingerprint,
        "damage": header.damage,
        "file": grid.path,
    }
    return card("Grid", rows, pixels)


def _feature(corner, size, measurements, kind):
    """A tile, or an annotation of the class `kind`."""
    x, y = corner
    ring = [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]
    what = {"objectType": "annotation", "classification": {"name": kind}} if kind else {"objectType": "tile"}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {**what, "measurements": measurements},
    }
