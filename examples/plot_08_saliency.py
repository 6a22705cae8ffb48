"""
Where did the model look?
=========================

A CNN learns the growth pattern of whole slides, and a map of each slide shows which cells speak for its prediction.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from sknic import GridCNNClassifier, SlideCompressor, TorchEncoder, datasets, saliency
from sknic.plotting import SaliencyDisplay, TissueDisplay

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
# Fit on all slides except those of the last four patients, and explain one slide of each pattern among these.

pattern, patients = cohort.table["pattern"].to_numpy(), cohort.patients
train = patients < sorted(set(patients))[-4]
model = GridCNNClassifier(random_state=0)
model.fit(grids[train], pattern[train], groups=patients[train])
rows = [int(((pattern == name) & ~train).argmax()) for name in model.classes_]

# %%
# Grad-CAM shows what speaks for the predicted class; integrated gradients show what each cell adds to it (green to
# yellow) or subtracts from it (blue). The checkered pattern comes from the stride of the convolutions. A map explains
# the prediction of the model, right or wrong, not the slide.

figure, axes = plt.subplots(len(rows), 3, figsize=(12, 3.6 * len(rows)), layout="constrained")
for row, line in zip(rows, axes):
    path, grid = cohort.paths[row], grids[row]
    (label,), (probability,) = model.predict([grid]), model.predict_proba([grid])
    TissueDisplay.from_slide(path, ax=line[0], title=f"truth: {pattern[row]}")
    title = f"Grad-CAM for {label} ({probability.max():.0%})"
    SaliencyDisplay.from_grid(grid, saliency.grad_cam(model, grid), slide=path, ax=line[1], title=title)
    added = saliency.integrated_gradients(model, grid)
    SaliencyDisplay.from_grid(grid, added, slide=path, ax=line[2], title="what each cell adds")
plt.show()

# %%
# The same numbers as tiles for QuPath:

grid = grids[rows[0]]
tiles = grid.to_geojson({"saliency": saliency.grad_cam(model, grid)}, folder / "saliency.geojson")
print(len(tiles["features"]), tiles["features"][0]["properties"])
