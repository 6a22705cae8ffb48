"""
Compress on a Dask cluster
==========================

The loop over slides is a joblib loop. ``joblib.parallel_config("dask")`` sends it to a cluster; here two worker
processes on this machine act as one. On a real cluster only the line with the client changes.
"""

import tempfile
import time
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import pandas as pd
from dask.distributed import Client, LocalCluster

from sknic import MeanRGBEncoder, SlideCompressor, datasets
from sknic.plotting import GridDisplay, pca_rgb

folder = Path(tempfile.gettempdir()) / "sknic-examples"
cohort = datasets.make_histology_cohort(40, folder / "slides", random_state=0, n_jobs=2)

# %%
# The cache is in a folder that all workers can access; a new one, so that there is something to do. Workers import this
# script, so the code that starts them is under ``__main__``.

cache = Path(tempfile.mkdtemp())
compressor = SlideCompressor(MeanRGBEncoder().fit(), cache_dir=cache)

if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        print(client)
        started = time.perf_counter()
        with joblib.parallel_config("dask"):
            grids = compressor.transform(cohort.paths)
        print(f"{len(grids)} slides in {time.perf_counter() - started:.1f} s")

    # The manifest lists the outcome of each slide.
    manifest = pd.read_csv(cache / "manifest.csv")
    print(manifest[["slide", "status", "n_cells", "seconds"]].head())

    # With colors that mean the same on all slides, the stains of three laboratories become visible.
    figure, axes = plt.subplots(2, 5, figsize=(11, 4.6), layout="constrained")
    for ax, grid, image in zip(axes.flat, grids, pca_rgb(*grids)):
        GridDisplay(image, cell_um=64).plot(ax, title=Path(grid.slide).stem)
    plt.show()
