"""
Choose an encoder by grid search
================================

An encoder is a parameter like any other. Given as names or file paths, encoders can be searched with ``GridSearchCV``
together with the settings of the model.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sknic import MeanRGBEncoder, SlideCompressor, datasets
from sknic.evaluation import spearman_scorer

folder = Path(tempfile.gettempdir()) / "sknic-examples"
cohort = datasets.make_histology_cohort(40, folder / "slides", random_state=0, n_jobs=2)

mean_rgb = folder / "mean-rgb.safetensors"
MeanRGBEncoder().save(mean_rgb)

# %%
# To be quick, the final model is the simplest one, a ridge regression on the mean embedding of a slide, and the target
# is an easy one, the share of tumour in the tissue. A grid CNN can be used in the same place.


def mean_embeddings(grids):
    return [grid.embeddings.mean(axis=0, dtype=float) for grid in grids]


pipe = make_pipeline(
    SlideCompressor(cache_dir=folder / "grids"),
    FunctionTransformer(mean_embeddings),
    StandardScaler(),
    Ridge(),
)
search = GridSearchCV(
    pipe,
    {"slidecompressor__encoder": [str(mean_rgb), "sknic-he-1"], "ridge__alpha": [0.1, 1, 10, 100]},
    cv=GroupKFold(4, shuffle=True, random_state=0),
    scoring=spearman_scorer,
)
search.fit(cohort.paths, cohort.table["tumour_fraction"], groups=cohort.patients)
print({name: Path(value).name if isinstance(value, str) else value for name, value in search.best_params_.items()})

# %%
# Each slide was compressed only twice, once per encoder: the cache is shared by all folds and candidates.

results = pd.DataFrame(search.cv_results_)
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, path, aside in (("mean RGB", mean_rgb, 0.93), ("sknic-he-1", "sknic-he-1", 1.07)):
    rows = results[results["param_slidecompressor__encoder"] == str(path)]
    alpha = rows["param_ridge__alpha"].astype(float) * aside  # beside each other, so that both bars are seen
    ax.errorbar(alpha, rows["mean_test_score"], rows["std_test_score"], marker="o", capsize=3, label=name)
ax.set(xscale="log", xlabel="alpha of the ridge regression", ylabel="Spearman, mean and std of 4 folds")
ax.set_title("Tumour fraction from the mean embedding of a slide", fontsize="medium", loc="left")
ax.spines[["top", "right"]].set_visible(False)
ax.legend(title="encoder", frameon=False, loc="lower left")
plt.show()
