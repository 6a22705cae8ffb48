"""Standardize each channel of the embeddings to mean 0 and standard deviation 1 over the training tissue."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler

# Cells that are read at a time where grids are as small as the rows of a table.
_CELLS = 1 << 14


@dataclass(frozen=True)
class ChannelScaling:
    """Mean and standard deviation of each channel, float32 (C,). Background is left at 0."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, grids):
        """Compute them over all cells of some grids.

        The scale is 1 for a channel that is constant, or that differs by less than its stored numbers can: divided by
        the deviation of such rounding, a value of another scanner would be thousands of deviations from the mean.
        """
        scaler, waiting, resolution = StandardScaler(), [], 0.0
        for index, grid in enumerate(grids):
            waiting.append(np.asarray(grid.embeddings))
            resolution = max(resolution, float(np.finfo(waiting[-1].dtype).eps))
            if sum(map(len, waiting)) >= _CELLS or index == len(grids) - 1:
                cells = np.concatenate(waiting)
                if len(cells):
                    scaler.partial_fit(cells.astype(np.float64))
                waiting = []
        scale = np.where(scaler.scale_ <= resolution * np.abs(scaler.mean_), 1.0, scaler.scale_)
        return cls(scaler.mean_.astype(np.float32), scale.astype(np.float32))

    def __call__(self, embeddings):
        """Standardize embeddings (n, C), a numpy array or a tensor; float32 tensor."""
        if isinstance(embeddings, np.ndarray):
            # A copy: the array may be a map of a file, which torch must not take for its own. Numpy's own way from
            # float16 takes ten times as long.
            embeddings = torch.from_numpy(np.array(embeddings))
        mean, scale = (torch.from_numpy(values).to(embeddings.device) for values in (self.mean, self.scale))
        return embeddings.float().sub_(mean).div_(scale)
