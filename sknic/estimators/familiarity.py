"""Do new slides look like those of the training? How far their mean embeddings are from those of its slides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sknic.estimators.reading import file_of, name_of
from sknic.exceptions import UnfamiliarSlidesWarning, warn

# Measured (docs/guide/estimators.md): slides of the images that a model learnt from are about 1 away and at most 3.3,
# those of other images 4.1 to 7.2 (with the mean color 1.7 to 8.9).
FAR = 4.0
# Fewer slides, or slides of fewer patients, do not show how far slides are apart.
MIN_SLIDES = 10
# A channel that is silent on all training slides but one would otherwise decide alone.
_MOST = 10.0
_NAMED = 3


@dataclass(frozen=True)
class SlideSpread:
    """Mean and standard deviation of the mean embeddings of slides, float32 (C,), and the slides' size in cells."""

    mean: np.ndarray
    scale: np.ndarray
    n_cells: float

    @classmethod
    def of(cls, grids, groups=None):
        """Measure it; None for too few slides or patients, and for the rows of a table."""
        n = len(grids) if groups is None else len(np.unique(groups))
        grids = [grid for grid in grids if len(grid.cells)]  # arrays may be background throughout
        if min(n, len(grids)) < MIN_SLIDES or all(len(grid.cells) == 1 for grid in grids):
            return None
        means, squared_errors = map(np.stack, zip(*map(_mean_and_squared_error, grids)))
        mean, resolution = means.mean(axis=0), max(np.finfo(grid.dtype).eps for grid in grids)
        # A few slides may be closer by luck than the means of that many cells are, or than the rounding of the numbers.
        least = np.maximum(np.sqrt(squared_errors.mean(axis=0)), resolution * np.abs(mean))
        scale = np.maximum(means.std(axis=0, ddof=1), least)
        scale[scale == 0] = 1
        size = float(np.median([len(grid.cells) for grid in grids]))
        return cls(mean.astype(np.float32), scale.astype(np.float32), size)

    def distances(self, grids):
        """Distance of each slide in standard deviations, float64 (n,): the root mean square over the channels.

        It is NaN without tissue.
        """
        # The mean of a few cells varies more than that of a whole slide.
        size = np.array([len(grid.cells) or np.nan for grid in grids])
        scale = self.scale * np.sqrt(np.maximum(1, self.n_cells / size))[:, np.newaxis]
        means = np.stack([_mean(np.asarray(grid.embeddings)) for grid in grids])
        away = np.minimum(np.abs(means - self.mean) / scale, _MOST)
        return np.sqrt(np.mean(away**2, axis=1))


def _mean(embeddings):
    return embeddings.sum(axis=0, dtype=np.float64) / max(1, len(embeddings))


def _mean_and_squared_error(grid):
    """Mean embedding of a slide, and the variance that its cells alone would give that mean."""
    embeddings = np.asarray(grid.embeddings)  # once, because it may be read from a file
    return _mean(embeddings), embeddings.var(axis=0, dtype=np.float64) / len(embeddings)


def warn_of_unfamiliar(names):
    """Warn of the slides with these names, which are far from those of the training."""
    if not names:
        return
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    warn(
        f"slides look unlike those of the training: {', '.join(names[:_NAMED])}{more}. Their mean embeddings are more "
        f"than {FAR:.0f} standard deviations of its slides away, as after a change of stain, scanner or tissue. The "
        "order of their predictions may be right, but not the level of numbers, probabilities and survival curves; "
        "test the model on slides of the same origin whose outcome is known",
        UnfamiliarSlidesWarning,
    )


def names_of_far(grids, distances):
    """Names of the slides that are too far away."""
    return [file_of(grids[index]) or name_of(grids[index], index) for index in np.flatnonzero(distances > FAR)]
