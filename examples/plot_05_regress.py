"""
Regress a score with the fold ensemble
======================================

The paper's protocol: one CNN per fold; each training slide is predicted by the CNN that has not seen it, new slides by
the mean of all CNNs.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from sknic import CrossValEnsemble, GridCNNRegressor, SlideCompressor, TorchEncoder, datasets
from sknic.plotting import LearningCurveDisplay, ScatterDisplay

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

# %%
# The last patients are kept aside as the test set. The score is the share of tumour in the tissue.

score, patients = cohort.table["tumour_fraction"].to_numpy(), cohort.patients
test = patients >= sorted(set(patients))[-6]
train = ~test

# %%
# The defaults suit thirty slides as well as hundreds.

model = GridCNNRegressor(random_state=0)
ensemble = CrossValEnsemble(model, cv=4, random_state=0, n_jobs=2)
ensemble.fit(grids[train], score[train], groups=patients[train])
print("out of fold:", ensemble.oof_score("spearman"))

# %%
# Left: the losses of the four models. Middle: each slide, predicted by the model that has not seen it. Right: the test
# slides, predicted by the mean of the four models.

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
LearningCurveDisplay.from_estimator(ensemble, ax=axes[0])
ScatterDisplay.from_predictions(score[train], ensemble.oof_prediction_, groups=patients[train], ax=axes[1])
ScatterDisplay.from_estimator(ensemble, grids[test], score[test], groups=patients[test], ax=axes[2])
axes[1].set_xlabel("True, out of fold")
axes[2].set_xlabel("True, test slides")
plt.show()
