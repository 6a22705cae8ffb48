"""Layout: where the numbers of a grid are in its file, so that they are read without libhdf5."""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np

from sknic.exceptions import GridFileError


class Layout(NamedTuple):
    """Where the contiguous arrays of a file are; flat, because a cohort keeps thousands of these.

    Attributes
    ----------
    n_cells, code_size : int
        Number of cells, and C.
    features, features_type : int, str
        First byte and type of the embeddings (n_cells, C).
    cells, cells_type : int, str
        First byte and type of row and column (n_cells, 2).
    oriented, oriented_type : int, str
        First byte and type of the embeddings (7, n_cells, C) after orientations 1 to 7; None without them.
    """

    n_cells: int
    code_size: int
    features: int
    features_type: str
    cells: int
    cells_type: str
    oriented: int | None = None
    oriented_type: str | None = None

    @classmethod
    def of(cls, path: str, places: dict, n_bytes: int) -> Layout:
        """Check what the header of a file says.

        Parameters
        ----------
        path : str
            The file, for errors.
        places : dict of str to (offset, shape, dtype)
            Position, shape and type of each dataset.
        n_bytes : int
            Size of the file in bytes.

        Returns
        -------
        Layout
            The layout.

        Raises
        ------
        GridFileError
            If datasets do not fit each other, or the file.
        """
        n_cells = places["cells"][1][0]
        for name, (offset, shape, dtype) in places.items():
            size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
            if size and (offset is None or offset + size > n_bytes):
                raise GridFileError(f"{path} is truncated: {name} reaches past the end of the file")
            if shape[-2] != n_cells:
                raise GridFileError(f"{path} is damaged: {name} has {shape[-2]} rows, cells {n_cells}")
        (features, (_, code_size), features_type), (cells, _, cells_type) = places["features"], places["cells"]
        layout = cls(n_cells, code_size, features, sys.intern(features_type), cells, sys.intern(cells_type))
        if "oriented_features" not in places:
            return layout
        oriented, _, oriented_type = places["oriented_features"]
        return layout._replace(oriented=oriented, oriented_type=sys.intern(oriented_type))

    def place(self, name: str) -> tuple[int, tuple[int, ...], str]:
        """Return the place of an array.

        Parameters
        ----------
        name : {"features", "cells", "oriented"}
            The array.

        Returns
        -------
        offset : int
            First byte.
        shape : tuple of int
            Shape.
        dtype : str
            Type.
        """
        shapes = {
            "features": (self.n_cells, self.code_size),
            "cells": (self.n_cells, 2),
            "oriented": (7, self.n_cells, self.code_size),
        }
        return getattr(self, name), shapes[name], getattr(self, f"{name}_type")

    def oriented_place(self, k: int) -> tuple[int, tuple[int, int], str]:
        """Return the place of the embeddings after orientation k, 1 to 7.

        Parameters
        ----------
        k : int
            Number of the orientation.

        Returns
        -------
        offset, shape, dtype
            As from `place`.
        """
        offset, (_, *shape), dtype = self.place("oriented")
        size = self.n_cells * self.code_size * np.dtype(dtype).itemsize
        return offset + (k - 1) * size, (shape[0], shape[1]), dtype
