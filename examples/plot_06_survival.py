"""
Survival: from slides to Kaplan-Meier curves
============================================

A CNN learns from follow-up alone who is at risk. Patients are split at the median of their out-of-fold risk, and the
two groups compared.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from sknic import CrossValEnsemble, GridCoxSurvival, MultitaskEncoder, SlideCompressor, datasets
from sknic.evaluation import split_by_risk
from sknic.plotting import KaplanMeierDisplay

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
# Event and time of each slide's patient, as scikit-survival wants them.

y, patients = cohort.survival, cohort.patients
print(cohort.table[["patient", "time", "event"]].drop_duplicates().head())

# %%
# The batch is as large as the cohort, so that every slide is compared with all others.

model = GridCoxSurvival(n_filters=32, batch_size=32, max_epochs=6, random_state=0)
ensemble = CrossValEnsemble(model, cv=4, random_state=0, n_jobs=2).fit(grids, y, groups=patients)
print("concordance:", ensemble.oof_score())

# %%
# Slides are reduced to patients before anything is tested: two slides of one patient are one death.

groups = split_by_risk(y, ensemble.oof_prediction_, groups=patients)
print(groups)

# %%
# Left: both groups with their intervals and the numbers at risk. Right: the survival predicted for three slides.

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
KaplanMeierDisplay(groups).plot(axes[0], time_unit="days")
order = ensemble.oof_prediction_.argsort()[[0, len(grids) // 2, -1]]
for row, function in zip(order, ensemble.predict_survival_function(grids[order])):
    axes[1].step(function.x, function(function.x), where="post", label=cohort.table["slide"][row])
axes[1].set(title="Predicted survival of three slides", xlabel="Time (days)", ylabel="Survival", ylim=(0, 1.02))
axes[1].legend(frameon=False)
plt.show()
