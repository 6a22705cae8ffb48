"""
Learn two scores at once, with missing labels
=============================================

One network for the shares of tumour and of stroma. The second is not known for a third of the slides, which still
contribute what can be learnt from the first.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch

from sknic import CrossValEnsemble, GridCNNRegressor, SlideCompressor, TorchEncoder, datasets
from sknic.estimators import AttentionMIL
from sknic.plotting import ScatterDisplay

folder = Path(tempfile.gettempdir()) / "sknic-examples"
cohort = datasets.make_histology_cohort(40, folder / "slides", random_state=0, n_jobs=2)

# %%
# Any torch module is an encoder; this one has no weights.


class ColorStatistics(torch.nn.Module):
    """Mean and spread of a patch's colors, and of their changes from pixel to pixel: an encoder without weights."""

    def forward(self, x):
        across, down = (x[..., 1:] - x[..., :-1]).abs(), (x[..., 1:, :] - x[..., :-1, :]).abs()
        return torch.cat([part(dim=(2, 3)) for part in (x.mean, x.std, across.mean, down.mean)], dim=1)


encoder = TorchEncoder(ColorStatistics(), input_size=64, mpp=1.0, mean=(0.75, 0.55, 0.7), std=(0.1, 0.1, 0.1))
grids = SlideCompressor(encoder, cache_dir=folder / "grids").transform(cohort.paths)

# %%
# Two columns, and NaN for what nobody has measured. Shares do not depend on arrangement, so attention over the bag of
# cells is enough.

names = ["tumour_fraction", "stroma_fraction"]
truth = cohort.table[names].to_numpy(float)
y = truth.copy()
y[np.random.default_rng(0).random(len(y)) < 0.33, 1] = np.nan

model = GridCNNRegressor(module=AttentionMIL, max_steps=300, random_state=0)
ensemble = CrossValEnsemble(model, cv=4, random_state=0, n_jobs=2)
ensemble.fit(grids, y, groups=cohort.patients)
for k, name in enumerate(names):
    print(f"{name}, known for {np.isfinite(y[:, k]).sum()} slides: {ensemble.oof_verdict('spearman', target=k)}")

# %%
# Out-of-fold predictions of both scores. Circles mark the slides whose second score no model has been told.

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
for k, (ax, name) in enumerate(zip(axes, names)):
    ScatterDisplay.from_predictions(
        truth[:, k], ensemble.oof_prediction_[:, k], groups=cohort.patients, ax=ax, title=name.replace("_", " ")
    )
    hidden = np.isnan(y[:, k])
    ax.scatter(truth[hidden, k], ensemble.oof_prediction_[hidden, k], s=90, facecolors="none", edgecolors="tab:red")
plt.show()
