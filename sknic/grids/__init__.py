"""Compressed slides: sparse images of embeddings, their files, and the cache that stores them."""

from sknic.grids.cache import GridCache
from sknic.grids.grid import Grid
from sknic.grids.header import GridHeader
from sknic.grids.magnifications import stack_magnifications
from sknic.grids.orientation import orient, orient_back, orient_cells
from sknic.grids.placement import Placement

__all__ = [
    "Grid",
    "GridCache",
    "GridHeader",
    "Placement",
    "orient",
    "orient_back",
    "orient_cells",
    "stack_magnifications",
]
