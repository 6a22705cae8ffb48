"""
First result: from slides to a score, and what it is based on
=============================================================

A notebook for the first half hour. Download it below and run it; everything it needs is drawn or comes with sknic.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

from sknic import CrossValEnsemble, GridCNNClassifier, Slide, SlideCompressor, datasets, saliency
from sknic.plotting import PatchGalleryDisplay, RocDisplay, SaliencyDisplay

folder = Path(tempfile.gettempdir()) / "sknic-first-result"

# %%
# **Slides.** Here we draw 24 slides of liver metastases, with the targets to predict. For your own slides,
# ``datasets.read_cohort("slides.csv")`` reads a table of paths, patients and targets.

cohort = datasets.make_histology_cohort(24, folder / "slides", shape=(20, 20), random_state=0, n_jobs=2)
cohort

# %%
Slide(cohort.paths[0])

# %%
# **Compress.** An encoder that was trained on real H&E patches comes with sknic. It turns each patch of 64 um into 128
# numbers, and a slide into a grid of them. Similar cells have similar colors.

grids = SlideCompressor("sknic-he-1", cache_dir=folder / "grids").transform(cohort.paths)
grids[0]

# %%
display = grids[0].plot()

# %%
# **Learn and measure.** Four small networks, each tested on slides of patients that it has not seen. The growth
# pattern of a metastasis depends on where its cells are: whether a rim of stroma surrounds it. Few steps are enough to
# learn that; the default is 1,500.

pattern = cohort.table["pattern"].to_numpy()
ensemble = CrossValEnsemble(GridCNNClassifier(max_steps=150, random_state=0), cv=4, random_state=0)
ensemble.fit(grids, pattern, groups=cohort.patients)

# %%
# The verdict compares them with a simple baseline, a linear model of the mean embedding, which sees what is on a slide
# but not where.

print(ensemble.oof_verdict())
display = RocDisplay.from_predictions(pattern, ensemble.oof_prediction_[:, 1], groups=cohort.patients)

# %%
# **Look.** Which cells speak for a rim of stroma? On a slide that was predicted to have one ...

rim = ensemble.classes_[0]
chosen = ensemble.oof_prediction_[:, 0].argmax()
maps = [saliency.grad_cam(ensemble, grid, rim) for grid in grids]
display = SaliencyDisplay.from_grid(grids[chosen], maps[chosen], slide=cohort.paths[chosen], title=f"Speaks for {rim}")

# %%
# ... and on all slides, as patches? A patch alone does not show where its cell is, but the network saw that, too.

most = saliency.rank_cells(grids, maps, n=6, max_per_slide=2)
least = saliency.rank_cells(grids, maps, n=6, max_per_slide=2, lowest=True)
display = PatchGalleryDisplay.from_cells({f"Most convincing for {rim}": most, "Least convincing": least}, grids)
plt.show()
