"""
Compress one slide
==================

From a slide to its grid: where the tissue is, which patches are read, and what remains of 9 million pixels.
"""

# %%
# A slide to work on, drawn by sknic. The encoder, ``sknic-he-1``, comes with the package; ``load_encoder`` also reads
# the published encoders and your own.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sknic import Slide, SlideCompressor, datasets
from sknic.plotting import GridDisplay, TissueDisplay

folder = Path(tempfile.gettempdir()) / "sknic-examples"
cohort = datasets.make_histology_cohort(40, folder / "slides", random_state=0, n_jobs=2)

# %%
# The slide has the size of its pixels in micrometers.

path = cohort.paths[2]
with Slide(path) as slide:
    print(slide, slide.level_mpps, slide.mpp_source)

# %%
# The compressor takes a list of paths and returns one grid for each. Patches that are mostly glass are not read.

(grid,) = SlideCompressor("sknic-he-1", cache_dir=folder / "grids").transform([path])
print(grid)

megabytes = slide.dimensions[0] * slide.dimensions[1] * 3 / 1e6, grid.embeddings.nbytes / 1e6
print(f"{megabytes[0]:.1f} MB of pixels, {megabytes[1]:.3f} MB of embeddings")

# %%
# Some of the patches, and the grid's first three principal components as red, green and blue: what looks similar to the
# encoder has similar colors.

with Slide(path) as slide:
    size = grid.patch_size
    cells = grid.cells[:: grid.n_cells // 36][:36]
    patches = [slide.read(column * size, row * size, size, size, mpp=grid.mpp) for row, column in cells]

figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
TissueDisplay.from_slide(path, ax=axes[0])
framed = np.pad(patches, [(0, 0), (2, 2), (2, 2), (0, 0)], constant_values=255)
axes[1].imshow(np.vstack([np.hstack(line) for line in framed.reshape(6, 6, *framed.shape[1:])]))
axes[1].set_title(f"36 of {grid.n_cells} patches", loc="left", fontsize="medium")
axes[1].axis("off")
GridDisplay.from_grid(grid, ax=axes[2])
plt.show()
