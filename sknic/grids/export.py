"""Cells of a grid in the forms that other tools read."""

import numpy as np


def geojson(header, cells, columns):
    """Cells as QuPath's tiles with measurements: a FeatureCollection.

    Parameters
    ----------
    header : GridHeader
    cells : int32 array (n, 2)
    columns : dict of str to array (n,)
        Measurements.
    """
    # QuPath counts from the corner of the slide's bounds, as it does in the masks that are read.
    corners = header.coords(cells) - np.asarray(header.origin, np.int64)
    features = [
        _tile(corner, header.patch_size_level0, {name: float(column[i]) for name, column in columns.items()})
        for i, corner in enumerate(corners.tolist())
    ]
    return {"type": "FeatureCollection", "features": features}


def anndata(header, cells, embeddings):
    """Cells as the observations of an AnnData, with the centers of their patches in level-0 px of the file."""
    import pandas as pd
    from anndata import AnnData

    return AnnData(
        X=embeddings.astype(np.float32),
        obs=pd.DataFrame(cells, columns=["row", "column"], index=[f"{row}-{column}" for row, column in cells]),
        obsm={"spatial": header.coords(cells) + header.patch_size_level0 / 2},
    )


def _tile(corner, size, measurements):
    x, y = corner
    ring = [[x, y], [x + size, y], [x + size, y + size], [x, y + size], [x, y]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"objectType": "tile", "measurements": measurements},
    }
