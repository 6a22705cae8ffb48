"""How fast is training on grids in files, which need not fit memory, compared with the same grids in memory?

Grids of 400 x 400 cells, C = 128, of which 20 % are tissue in several pieces: 8 MB each, 82 MB if they were dense. The
same steps are trained on grids in memory, on files that the page cache holds, and on files whose pages are dropped
after each use, as if many others had been read since, with and without prefetching; with the whole grid as canvas, and
with crops of 96 x 96 cells, which take a fraction of the arithmetic and as much reading. The ways take turns, each in a
process of its own.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.common import in_fresh_process, report, work_dir

N_GRIDS, SIDE, CHANNELS, TISSUE = 48, 400, 128, 0.2
BATCH = 16
# Name, crop size and number of steps.
CANVASES = {"whole grid": ("auto", 2), "crop of 96": (96, 16)}
WAYS = ("memory", "page cache", "disk", "disk, no prefetching")
NUMBERS = ("CPU s", "in reads, s", "MB read", "peak MB")


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


def train(folder, way, canvas, n_threads):
    """Train on the grids of a folder; print what it took as JSON."""
    from sknic import Grid, GridCNNRegressor
    from sknic.estimators import crops

    paths = sorted(folder.glob("*.h5"))
    grids = [Grid.read(path) for path in paths]
    if way == "memory":
        grids = [Grid(grid.embeddings, grid.cells, grid.shape) for grid in grids]
    if way == "disk, no prefetching":
        crops.prefetch = lambda grids: None
    reads = _timed_reads(drop=way.startswith("disk"))
    target = np.random.default_rng(1).standard_normal(len(grids))
    crop_size, steps = CANVASES[canvas]
    model = GridCNNRegressor(
        crop_size=crop_size,
        max_steps=steps,
        eval_every=steps,
        batch_size=BATCH,
        validation_fraction=None,
        n_threads=n_threads,
        device="cpu",
        random_state=0,
    )
    read, cpu = _bytes_read(), time.process_time()
    model.fit(grids, target)
    row = {
        "seconds": model.history_[0]["dur"],
        "CPU s": time.process_time() - cpu,
        "in reads, s": sum(reads),
        "loss": model.history_[0]["train_loss"],
        "MB read": (_bytes_read() - read) / 1e6,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }
    print(json.dumps(row))


def _timed_reads(drop):
    """Seconds of each read from now on; `drop` takes what was read out of the page cache again."""
    from sknic.grids import hdf5

    read, seconds = hdf5.read_dataset, []

    def timed(path, place):
        started = time.perf_counter()
        array = read(path, place)
        seconds.append(time.perf_counter() - started)
        if drop:
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)
        return array

    hdf5.read_dataset = timed
    return seconds


def _bytes_read():
    """Bytes that this process has read from the disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("read_bytes")).split()[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=int, default=N_GRIDS)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--canvases", nargs="+", choices=CANVASES, default=list(CANVASES))
    parser.add_argument("--write", type=Path, metavar="DIR")
    parser.add_argument("--train", nargs=3, metavar=("DIR", "WAY", "CANVAS"))
    options = parser.parse_args()
    if options.write:
        write_grids(options.write, options.grids)
        print(json.dumps({"grids": options.grids}))
    elif options.train:
        folder, way, canvas = options.train
        train(Path(folder), way, canvas, options.threads)
    else:
        folder = work_dir("streaming")
        try:
            in_fresh_process("benchmarks.streaming", "--write", folder, "--grids", options.grids)
            rows = [row for canvas in options.canvases for row in _measured(folder, canvas, options)]
        finally:
            shutil.rmtree(folder)
        report("streaming", rows, f"Training from files, {options.threads} threads")


def _measured(folder, canvas, options):
    runs = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way in WAYS:
            command = ("--train", folder, way, canvas, "--threads", options.threads)
            runs[way].append(in_fresh_process("benchmarks.streaming", *command))
    # A ratio within each turn: other work on the machine changes from turn to turn.
    for way in WAYS:
        ratios = [memory["seconds"] / run["seconds"] for memory, run in zip(runs["memory"], runs[way])]
        yield {
            "grids": options.grids,
            "canvas": canvas,
            "from": way,
            "runs": options.repeats,
            "crops/s": CANVASES[canvas][1] * BATCH / statistics.median(run["seconds"] for run in runs[way]),
            "of memory": statistics.median(ratios),
            **{name: statistics.median(run[name] for run in runs[way]) for name in NUMBERS},
            "loss": runs[way][0]["loss"],
        }


if __name__ == "__main__":
    main()
