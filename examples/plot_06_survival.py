"""
Survival: from follow-up to Kaplan-Meier curves
===============================================

A CNN learns who is at risk from follow-up alone. Patients are split at the median of their out-of-fold risk, and the
two groups are compared.
"""

# %%
# Learning from follow-up takes a hundred patients or more, which is more slides than an example can draw in a minute.
# So this one starts with grids, as arrays of 8 features: part of each tissue is tumour, and the more compact the tumour
# is, the higher the risk.

import matplotlib.pyplot as plt
import numpy as np
from sksurv.util import Surv

from sknic import CrossValEnsemble, GridCoxSurvival
from sknic.evaluation import split_by_risk
from sknic.plotting import KaplanMeierDisplay

rng = np.random.default_rng(0)
n_patients, size, n_tumour = 120, 16, 40
kinds = rng.normal(size=(2, 8))
n_slides = rng.integers(1, 3, n_patients)
patients = np.repeat(np.arange(n_patients), n_slides)
clustering = rng.uniform(0, 1, n_patients)


def draw_grid(clustering):
    """Array (8, size, size): tumour in the cells of a smooth field when it clusters, anywhere when not."""
    place = np.indices((size, size)).reshape(2, -1) - rng.uniform(4, 12, (2, 1))
    field = clustering * -np.hypot(*place) / 4 + (1 - clustering) * rng.normal(size=size * size)
    tumour = np.isin(np.arange(size * size), field.argsort()[-n_tumour:])
    cells = kinds[tumour.astype(int)] + rng.normal(scale=0.5, size=(size * size, 8))
    return cells.T.reshape(8, size, size).astype(np.float32)


grids = [draw_grid(clustering[patient]) for patient in patients]
death = rng.exponential(1000 / np.exp(4 * (clustering - 0.5)))
end = rng.uniform(300, 3000, n_patients)
y = Surv.from_arrays((death <= end)[patients], np.minimum(death, end)[patients])
print(f"{len(grids)} slides of {n_patients} patients, {(death <= end).sum()} died")

# %%
# Two slides of a patient are in one fold. With a batch as large as the training set, every slide is compared with all
# others. One network instead of the default's three keeps the example short.

model = GridCoxSurvival(n_filters=16, batch_size=64, max_steps=600, n_members=1, random_state=0)
ensemble = CrossValEnsemble(model, cv=4, random_state=0, n_jobs=2).fit(grids, y, groups=patients)
print("concordance, out of fold:", ensemble.oof_score())

# %%
# Slides are reduced to patients before the groups are compared: two slides of one patient are one death. Right: three
# new slides, predicted by the mean of the four models.

groups = split_by_risk(y, ensemble.oof_prediction_, groups=patients)
print(groups)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
KaplanMeierDisplay(groups).plot(axes[0], time_unit="days")
new = {name: draw_grid(value) for name, value in (("scattered", 0.0), ("half", 0.5), ("in one piece", 1.0))}
for name, function in zip(new, ensemble.predict_survival_function(list(new.values()))):
    axes[1].step(function.x, function(function.x), where="post", label=f"tumour {name}")
axes[1].set(xlabel="Time (days)", ylabel="Fraction without event", xlim=axes[0].get_xlim(), ylim=(0, 1.02))
axes[1].set_title("Predicted survival of three new slides", fontsize="medium", loc="left")
axes[1].spines[["top", "right"]].set_visible(False)
axes[1].legend(frameon=False)
plt.show()
