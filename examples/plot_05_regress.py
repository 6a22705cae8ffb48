"""
Regress a score with the fold ensemble
======================================

The paper's protocol: one CNN a fold, the slides at hand predicted by the CNN that has not seen them, new slides by
the mean of all CNNs.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from sknic import CrossValEnsemble, GridCNNRegressor, MultitaskEncoder, SlideCompressor, datasets
from sknic.plotting import LearningCurveDisplay, ScatterDisplay

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
# The last patients are kept aside as the test set. The score is the share of tumour in the tissue.

score, patients = cohort.table["tumour_fraction"].to_numpy(), cohort.patients
test = patients >= sorted(set(patients))[-6]
train = ~test

# %%
# Thirty slides are too few to hold out a quarter of each fold for validation and to drop features at random. With a
# hundred and more, keep the defaults.

model = GridCNNRegressor(n_filters=32, dropout=0.0, lr=3e-3, validation_fraction=None, max_epochs=10, random_state=0)
ensemble = CrossValEnsemble(model, cv=4, random_state=0, n_jobs=2)
ensemble.fit(grids[train], score[train], groups=patients[train])
print("out of fold:", ensemble.oof_score("spearman"))

# %%
# Left: the losses of the four models. Middle: each slide by the model that has not seen it. Right: the test slides
# by the mean of the four.

figure, axes = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
LearningCurveDisplay.from_estimator(ensemble, ax=axes[0])
ScatterDisplay.from_predictions(score[train], ensemble.oof_prediction_, groups=patients[train], ax=axes[1])
ScatterDisplay.from_estimator(ensemble, grids[test], score[test], groups=patients[test], ax=axes[2])
plt.show()
