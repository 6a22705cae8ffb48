"""Slides of a few hundred kB, and an encoder that counts."""

import numpy as np
import pytest
import tifffile
from sklearn.base import BaseEstimator, TransformerMixin


class MeanEncoder(TransformerMixin, BaseEstimator):
    """Mean colour of each patch; counts the patches it saw."""

    patch_size, mpp, code_size = 32, 0.5, 3

    def __init__(self, name="mean"):
        self.name = name
        self.n_seen = 0

    def transform(self, patches):
        self.n_seen += len(patches)
        return patches.mean(axis=(1, 2), dtype=np.float32)

    def fingerprint(self):
        return self.name

    def __sklearn_is_fitted__(self):
        return True


@pytest.fixture
def encoder():
    return MeanEncoder()


def write_slide(path, pixels, mpp=0.5):
    resolution = () if mpp is None else (1e4 / mpp, 1e4 / mpp)
    options = {"resolution": resolution, "resolutionunit": "CENTIMETER"} if mpp else {}
    tifffile.imwrite(path, pixels, tile=(128, 128), compression="jpeg", photometric="rgb", **options)
    return str(path)


def tissue(seed, size=640, margin=64):
    """Pink noise on white."""
    rng = np.random.default_rng(seed)
    pixels = np.full((size, size, 3), 255, np.uint8)
    coarse = rng.integers(60, 200, (20, 20, 1)) // np.array([1, 2, 1])
    fine = np.kron(coarse, np.ones((size // 20, size // 20, 1), int))
    pixels[margin:-margin, margin:-margin] = fine[margin:-margin, margin:-margin]
    return pixels


@pytest.fixture
def slides(tmp_path):
    return [write_slide(tmp_path / f"slide{i}.tiff", tissue(i)) for i in range(3)]
