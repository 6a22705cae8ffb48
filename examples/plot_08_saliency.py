"""
Where did the model look?
=========================

A CNN learns the growth pattern of whole slides, and a map per slide shows which cells spoke for its answer.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from sknic import GridCNNClassifier, MultitaskEncoder, SlideCompressor, datasets, saliency
from sknic.plotting import SaliencyDisplay, TissueDisplay

folder = Path(tempfile.gettempdir()) / "sknic-examples"
cohort = datasets.make_histology_cohort(40, folder / "slides", random_state=0, n_jobs=2)


def small_encoder(path):
    """A small encoder of our own, trained once; the path of any file that `load_encoder` reads will do instead."""
    if not path.exists():
        data = datasets.make_patch_tasks(800, patch_size=128, random_state=0)
        patches = data.patches.reshape(-1, 64, 2, 64, 2, 3).mean(axis=(2, 4)).astype("uint8")  # 1 um/px
        encoder = MultitaskEncoder(code_size=32, mpp=1.0, max_epochs=5, augmentation="light", random_state=0)
        encoder.fit(patches, data.labels, groups=data.groups).save(path)
    return path


encoder = small_encoder(folder / "encoder.safetensors")
grids = SlideCompressor(encoder, cache_dir=folder / "grids").transform(cohort.paths)

# %%
# Fit on all slides but those of the last two patients, and explain a slide of each of these.

pattern, patients = cohort.table["pattern"].to_numpy(), cohort.patients
held_out = sorted(set(patients))[-2:]
train = (patients != held_out[0]) & (patients != held_out[1])
model = GridCNNClassifier(n_filters=32, max_epochs=8, random_state=0).fit(
    grids[train], pattern[train], groups=patients[train]
)
rows = [int((patients == patient).argmax()) for patient in held_out]

# %%
# Grad-CAM shows what speaks for the predicted class; the signed input gradient what each cell adds to it (red) or
# takes from it (blue).

figure, axes = plt.subplots(len(rows), 3, figsize=(12, 4 * len(rows)), layout="constrained")
for row, line in zip(rows, axes):
    path, grid = cohort.paths[row], grids[row]
    (label,), (probability,) = model.predict([grid]), model.predict_proba([grid])
    TissueDisplay.from_slide(path, ax=line[0], title=f"truth: {pattern[row]}")
    title = f"Grad-CAM for {label} ({probability.max():.0%})"
    SaliencyDisplay.from_grid(grid, saliency.grad_cam(model, grid), slide=path, ax=line[1], title=title)
    added = saliency.input_gradients(model, grid, signed=True)
    SaliencyDisplay.from_grid(grid, added, slide=path, ax=line[2], title="what each cell adds")
plt.show()

# %%
# The same numbers as tiles for QuPath:

tiles = saliency.to_geojson(grids[rows[0]], saliency.grad_cam(model, grids[rows[0]]), folder / "saliency.geojson")
print(len(tiles["features"]), tiles["features"][0]["properties"])
