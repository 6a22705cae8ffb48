"""The compressed slide: a sparse image of embeddings, its file, and the cache that keeps it."""

from sknic.grids.cache import GridCache
from sknic.grids.grid import Grid, orient

__all__ = ["Grid", "GridCache", "orient"]
