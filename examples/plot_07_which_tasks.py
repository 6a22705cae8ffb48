"""
Which tasks matter?
===================

A multitask encoder learns several patch tasks. Which of them help with slides? :class:`~sknic.TaskSelector` trains and
scores an encoder on each subset, and the results show what every task contributes, as in Tables 2 and 3 of the paper.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknic import MultitaskEncoder, TaskSelector, datasets
from sknic.evaluation import by_task_count, task_inclusion

# %%
# Patches of four tasks. To be quick, an encoder is not scored on slides but on new patches: how well a linear model of
# its embeddings distinguishes the nine tissues, on sources that it has not seen.

data = datasets.make_patch_tasks(480, random_state=0)
probe = datasets.make_patch_tasks(1200, random_state=1)
is_tissue = probe.labels["colorectal"].notna().to_numpy()
patches, tissue, groups = probe.patches[is_tissue], probe.labels["colorectal"][is_tissue], probe.groups[is_tissue]


def linear_probe(encoder):
    model = make_pipeline(StandardScaler(), RidgeClassifier(10.0))
    folds = StratifiedGroupKFold(3, shuffle=True, random_state=0)
    codes = encoder.transform(patches)
    return cross_val_score(model, codes, tissue, groups=groups, cv=folds, scoring="balanced_accuracy").mean()


# %%
# All seven subsets of three tasks. The fourth task, the tissues themselves, is left out: that would be too easy.

quick = {"max_steps": 60, "eval_every": 10, "augmentation": None, "validation_fraction": None}
encoder = MultitaskEncoder(code_size=16, **quick, random_state=0)
tasks = ["lymph", "mitosis", "prostate"]
selector = TaskSelector(encoder, scoring=linear_probe, strategy="exhaustive", tasks=tasks, n_jobs=2)
selector.fit(data.patches, data.labels, groups=data.groups)
print(selector.results_)
print("best:", selector.best_tasks_)

# %%
# Left, as in Fig. 3 of the paper: the score by the number of tasks. Right, as in Table 2: the correlation of a task's
# inclusion with the score.

results = selector.results_
included = results[["lymph", "mitosis", "prostate"]]
count, inclusion = by_task_count(included, results["score"]), task_inclusion(included, results["score"])

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
axes[0].plot(included.sum(axis=1), results["score"], "o", color="0.6", label="one subset")
axes[0].errorbar(count.index, count["mean"], count["std"], fmt="s-", capsize=3, label="mean and std")
axes[0].set(xlabel="Number of tasks", ylabel="Balanced accuracy of nine tissues", xticks=count.index)
axes[0].legend(frameon=False)
axes[1].barh(np.arange(len(inclusion)), inclusion, height=0.5, tick_label=inclusion.index)
axes[1].axvline(0, color="0.4", linewidth=0.8)
axes[1].set(xlabel="Spearman of a task's presence with the score", xlim=(-1, 1))
for ax in axes:
    ax.spines[["top", "right"]].set_visible(False)
plt.show()
