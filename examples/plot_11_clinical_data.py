"""
Clinical data beside the slide: what does the slide add?
========================================================

If you know the age and the stage of your patients, what does a slide model add to them? Here the slide and the
clinical data each determine half of the risk, so there is something to find.
"""

# %%
# Grids as in the example on survival: the more compact the tumour is, the higher the risk. Age and stage raise it as
# well, independently of the slide. Some stages are missing, as in real life.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sksurv.util import Surv

from sknic import GridCoxSurvival
from sknic.evaluation import SlideAndTable, added_value

rng = np.random.default_rng(0)
n_patients, size, n_tumour = 200, 12, 30
kinds = rng.normal(size=(2, 8))
clustering = rng.uniform(0, 1, n_patients)
age, stage = rng.normal(65, 10, n_patients).round(), rng.choice(["I", "II", "III", "IV"], n_patients)


def draw_grid(clustering):
    """Array (8, size, size): tumour in the cells of a smooth field when it clusters, anywhere when not."""
    place = np.indices((size, size)).reshape(2, -1) - rng.uniform(3, 9, (2, 1))
    field = clustering * -np.hypot(*place) / 4 + (1 - clustering) * rng.normal(size=size * size)
    tumour = np.isin(np.arange(size * size), field.argsort()[-n_tumour:])
    cells = kinds[tumour.astype(int)] + rng.normal(scale=0.3, size=(size * size, 8))
    return cells.T.reshape(8, size, size).astype(np.float32)


of_table = (age - 65) / 10 + 0.6 * (pd.Series(stage).map({"I": 0, "II": 1, "III": 2, "IV": 3}) - 1.5)
log_hazard = 4.5 * (clustering - 0.5) + of_table
death, end = rng.exponential(1000 / np.exp(log_hazard)), rng.uniform(300, 3000, n_patients)
y = Surv.from_arrays(death <= end, np.minimum(death, end))

X = pd.DataFrame({"grid": [draw_grid(value) for value in clustering], "age": age, "stage": stage})
X.loc[rng.choice(n_patients, 12, replace=False), "stage"] = None
X.head(3).drop(columns="grid")

# %%
# :class:`~sknic.evaluation.SlideAndTable` cross-validates the slide model; its predictions for slides that it has not
# seen become one more column for a Cox model of the table. Any model of a DataFrame can be used instead, such as
# ``skrub.tabular_pipeline(...)``. :func:`~sknic.evaluation.added_value` compares the three models on the same folds.

slide = GridCoxSurvival(n_filters=16, batch_size=64, max_steps=600, n_members=1, random_state=0)
found = added_value(SlideAndTable(slide, cv=2, random_state=0), X, y, groups=np.arange(n_patients), cv=3)
print(found)

# %%
# What counts is the interval of the difference, which is paired by patient; whether two intervals overlap says little.

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.6), layout="constrained", width_ratios=(3, 2))
for row, score in enumerate(found.scores.values()):
    left.errorbar(score.value, row, xerr=[[score.value - score.low], [score.high - score.value]], fmt="o", capsize=4)
left.set_ylim(-0.6, 2.6)
left.axvline(0.5, color="0.6", linestyle=":")
left.set(yticks=range(3), yticklabels=["clinical data", "slide", "both"], xlabel="Concordance, out of fold")
for row, gain in enumerate((found.of_slide.difference, found.of_table.difference)):
    right.errorbar(gain.value, row, xerr=[[gain.value - gain.low], [gain.high - gain.value]], fmt="s", capsize=4)
right.axvline(0, color="0.6", linestyle=":")
right.set(yticks=range(2), yticklabels=["the slide adds", "clinical data add"], ylim=(-0.6, 1.6), xlabel="Difference")
for axes in (left, right):
    axes.spines[["top", "right"]].set_visible(False)
plt.show()
