"""Do new slides look like those of the training? How far their mean embeddings are from those of its slides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sknic.estimators.reading import name_of
from sknic.exceptions import UnfamiliarSlidesWarning, warn

# Measured (docs/guide/estimators.md): slides of the images that a model learnt from are about 1 away and never 4, those
# of other images 4.5 to 11, and of fewer slides the spread is not known well enough.
FAR, MIN_SLIDES = 4.0, 10
_NAMED = 3


@dataclass(frozen=True)
class SlideSpread:
    """Mean and standard deviation of the slides' mean embeddings, float32 (C,)."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, grids):
        """Measure it; None for too few slides, and for the rows of a table."""
        if len(grids) < MIN_SLIDES or all(len(grid.cells) == 1 for grid in grids):
            return None
        means, resolution = _means(grids), max(np.finfo(grid.dtype).eps for grid in grids)
        mean, scale = means.mean(axis=0), means.std(axis=0, ddof=1)
        # As in `ChannelScaling`: a deviation that is rounding says nothing of how far slides lie apart.
        scale[scale <= resolution * np.abs(mean)] = 1
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    def distances(self, grids):
        """Distance of each slide in standard deviations, float64 (n,): the root mean square over the channels."""
        return np.sqrt(np.mean(((_means(grids) - self.mean) / self.scale) ** 2, axis=1))


def _means(grids):
    return np.stack([np.asarray(grid.embeddings).mean(axis=0, dtype=np.float64) for grid in grids])


def warn_of_unfamiliar(grids, distances):
    """Warn of slides that are far from those of the training."""
    far = np.flatnonzero(distances > FAR)
    if not len(far):
        return
    named = ", ".join(name_of(grids[index], index) for index in far[:_NAMED])
    more = f" and {len(far) - _NAMED} more" if len(far) > _NAMED else ""
    warn(
        f"{len(far)} of {len(grids)} slides look unlike those of the training ({named}{more}): their mean embeddings "
        f"are more than {FAR:.0f} standard deviations of its slides away, as after a change of stain, scanner or "
        "tissue. The order of their predictions may be right, but not the level of numbers, probabilities and survival "
        "curves; test the model on slides of the same origin whose outcome is known",
        UnfamiliarSlidesWarning,
    )
