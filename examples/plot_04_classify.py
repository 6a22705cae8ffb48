"""
Classify a pattern that depends only on arrangement
===================================================

Liver metastases grow in two patterns: with a rim of stroma around the tumour (desmoplastic) or directly into the
liver (replacement). In this cohort both have the same amount of stroma, in different positions. The mean of the
embeddings hardly sees the difference; a CNN on the grid does.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknic import CrossValEnsemble, GridCNNClassifier, SlideCompressor, TorchEncoder, datasets
from sknic.evaluation import compare
from sknic.plotting import GridDisplay, RocDisplay, pca_rgb

folder = Path(tempfile.gettempdir()) / "sknic-examples"
cohort = datasets.make_histology_cohort(40, folder / "slides", random_state=0, n_jobs=2)

# %%
# Any torch module is an encoder. This one needs no training, which keeps the example short; the published encoders,
# or your own, can be used in the same way.


class ColorStatistics(torch.nn.Module):
    """Mean and spread of a patch's colors, and of their changes from pixel to pixel: an encoder without weights."""

    def forward(self, x):
        across, down = (x[..., 1:] - x[..., :-1]).abs(), (x[..., 1:, :] - x[..., :-1, :]).abs()
        return torch.cat([part(dim=(2, 3)) for part in (x.mean, x.std, across.mean, down.mean)], dim=1)


encoder = TorchEncoder(ColorStatistics(), input_size=64, mpp=1.0, mean=(0.75, 0.55, 0.7), std=(0.1, 0.1, 0.1))
grids = SlideCompressor(encoder, cache_dir=folder / "grids").transform(cohort.paths)
pattern, patients = cohort.table["pattern"], cohort.patients

# %%
# Both models are fitted fold by fold, with all slides of a patient in one fold, and scored on slides that they have not
# seen.

model = GridCNNClassifier(random_state=0)
cnn = CrossValEnsemble(model, cv=4, random_state=0, n_jobs=2).fit(grids, pattern, groups=patients)

means = np.array([grid.embeddings.mean(axis=0, dtype=float) for grid in grids])
linear = CrossValEnsemble(make_pipeline(StandardScaler(), LogisticRegression(C=0.1)), cv=4, random_state=0)
linear.fit(means, pattern, groups=patients)

print(compare("auc", pattern, cnn.oof_prediction_, linear.oof_prediction_, groups=patients))

# %%
# One slide of each pattern, in the colors of common principal components, and the ROC curves with bands from resampling
# patients.

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
first = [grids[(pattern == name).to_numpy().argmax()] for name in cnn.classes_]
for ax, name, image in zip(axes, cnn.classes_, pca_rgb(*first)):
    GridDisplay(image, cell_um=64).plot(ax, title=name)
RocDisplay.from_predictions(pattern, cnn.oof_prediction_[:, 1], groups=patients, name="grid CNN", ax=axes[2])
RocDisplay.from_predictions(pattern, linear.oof_prediction_[:, 1], groups=patients, name="mean embedding", ax=axes[2])
plt.show()
