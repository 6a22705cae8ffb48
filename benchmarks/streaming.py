"""How much memory does training on many large grids take? An epoch over 500 grids of 400 x 400 cells in files.

20 % of each grid is tissue in several pieces, C = 128: 4 GB of embeddings, 41 GB if they were dense. Another process
writes the files, which are removed at the end; the peak is that of reading, one epoch and its validation.
"""

import argparse
import json
import os
import resource
import shutil
import time
from pathlib import Path

import numpy as np

from benchmarks.common import in_fresh_process, report, work_dir

N_GRIDS, SIDE, CHANNELS, TISSUE = 500, 400, 128, 0.2


def write_grids(folder, n):
    """Write n grids of random embeddings on pieces of tissue that reach to all sides."""
    from scipy.ndimage import gaussian_filter

    from sknic import Grid

    rng = np.random.default_rng(0)
    for i in range(n):
        field = gaussian_filter(rng.standard_normal((SIDE, SIDE), np.float32), 12)
        cells = np.argwhere(field >= np.quantile(field, 1 - TISSUE))
        embeddings = rng.standard_normal((len(cells), CHANNELS), np.float32)
        Grid(embeddings, cells, (SIDE, SIDE)).write(folder / f"{i:04d}.h5")


def train(folder, n_threads):
    """Read the grids and train an epoch; print what it took as JSON."""
    from sknic import Grid, GridCNNRegressor

    started = time.perf_counter()
    grids = [Grid.read(path) for path in sorted(folder.glob("*.h5"))]
    read = time.perf_counter() - started
    target = np.random.default_rng(1).standard_normal(len(grids))
    steps = max(32, len(grids) * 3 // 4 // 16)  # one pass over the training part
    model = GridCNNRegressor(max_steps=steps, eval_every=steps, n_threads=n_threads, device="cpu", random_state=0).fit(
        grids, target
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    row = {
        "grids": len(grids),
        "GB of embeddings": sum(grid.n_cells for grid in grids) * CHANNELS * 2 / 1e9,
        "canvas": model.canvas_,
        "reading, s": read,
        "epoch, s": model.history_[0]["dur"],
        "peak GB": peak / 1e6,
    }
    print(json.dumps(row))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=int, default=N_GRIDS)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--write", type=Path, metavar="DIR")
    parser.add_argument("--train", type=Path, metavar="DIR")
    options = parser.parse_args()
    if options.write:
        write_grids(options.write, options.grids)
        print(json.dumps({"grids": options.grids}))
    elif options.train:
        train(options.train, options.threads)
    else:
        report("streaming", [_measured(options)], f"An epoch from files, {options.threads} threads")


def _measured(options):
    folder = work_dir("streaming")
    try:
        settings = ["--grids", options.grids, "--threads", options.threads]
        in_fresh_process("benchmarks.streaming", "--write", folder, *settings)
        return in_fresh_process("benchmarks.streaming", "--train", folder, *settings)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
