"""
Features of a foundation model, from TRIDENT's files
====================================================

`TRIDENT <https://github.com/mahmoodlab/TRIDENT>`_ writes one HDF5 file per slide: the features of its patches and their
level-0 coordinates. :meth:`sknic.Grid.read` arranges them in a grid, and the grid estimators train on it. Here we write
such files ourselves, with made-up features.
"""

# %%
# What TRIDENT writes: ``features (n, C)``, ``coords (n, 2)`` and, as attributes of the coordinates, how the patches
# were cut.

import tempfile
from pathlib import Path

import h5py
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknic import CrossValEnsemble, Grid, GridCNNClassifier
from sknic.plotting import GridDisplay, RocDisplay, pca_rgb

rng = np.random.default_rng(0)
folder = Path(tempfile.mkdtemp())


def write_trident_file(path, ring, n_features=64, size=16):
    """Features of a round tissue with a core or, of the same area, a ring of another kind."""
    rows, columns = np.nonzero(np.hypot(*(np.indices((size, size)) - size / 2 + 0.5)) < size / 2)
    distance = np.hypot(rows - size / 2 + 0.5, columns - size / 2 + 0.5)
    inner = (distance > 4.6) & (distance < 6.1) if ring else distance < 4
    kinds = np.random.default_rng(1).normal(size=(2, n_features))
    with h5py.File(path, "w") as file:
        file["features"] = (kinds[inner.astype(int)] + rng.normal(scale=2, size=(len(rows), n_features))).astype(
            np.float32
        )
        file["coords"] = np.stack([columns, rows], axis=1) * 512  # x, y in px of level 0
        file["coords"].attrs.update(
            patch_size=256, patch_size_level0=512, level0_magnification=40, target_magnification=20,
            overlap=0, name=path.stem, level0_width=512 * size, level0_height=512 * size,
        )  # fmt: skip
    return path


ring = rng.permutation(np.arange(32) % 2)
paths = [write_trident_file(folder / f"slide_{number:02d}.h5", is_ring) for number, is_ring in enumerate(ring)]

# %%
# From here on, everything is as usual.

grids = [Grid.read(path) for path in paths]
print(grids[0], grids[0].mpp, grids[0].patch_size)

label = np.where(ring, "ring", "core")
model = CrossValEnsemble(GridCNNClassifier(random_state=0), cv=4, random_state=0)
model.fit(grids, label)

# %%
# Both classes have the same number of cells of each kind, so the mean of a slide's features carries no information: a
# model has to see where the cells are.

means = [grid.embeddings.mean(axis=0, dtype=float) for grid in grids]
linear = CrossValEnsemble(make_pipeline(StandardScaler(), LogisticRegression()), cv=4, random_state=0).fit(means, label)

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
first = [grids[(label == name).argmax()] for name in model.classes_]
for ax, name, image in zip(axes, model.classes_, pca_rgb(*first)):
    GridDisplay(image, cell_um=128).plot(ax, title=name)
for name, fitted in {"grid CNN": model, "mean features": linear}.items():
    RocDisplay.from_predictions(label, fitted.oof_prediction_[:, 1], name=name, ax=axes[2])
plt.show()
