"""How do time and memory grow with the size of a slide, and throughput with the number of workers?

Slides of 0.27, 1.07 and 4.3 gigapixels of the same tissue are compressed in fresh processes; then eight slides of 0.27
gigapixels with one, two and more joblib workers.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import time

from benchmarks.common import in_fresh_process, report, test_data, work_dir
from benchmarks.compress import mosaic, tissue_square

SIDES = (16384, 32768, 65536)


def slide_of(side):
    """Path of a generic pyramid of side x side px at 0.25 um/px."""
    from sknic import Slide
    from sknic.datasets import write_pyramid

    path = work_dir("scaling") / f"slide-{side}.tiff"
    if not path.exists():
        with Slide(test_data("slides", "CMU-1-Small-Region.svs")) as slide:
            tile = tissue_square(slide)
        write_pyramid(path, mosaic(tile, side), (side, side), mpp=0.25)
    return str(path)


def one_run(paths, n_jobs):
    """Compress in this process; print cells, seconds and peak MB of this process and of its largest child as JSON."""
    from sknic import SlideCompressor, load_encoder

    out = work_dir("scaling") / f"grids-{os.getpid()}"
    compressor = SlideCompressor(
        load_encoder(test_data("encoders", "encoder_multitask-4.h5")), cache_dir=out, n_jobs=n_jobs
    )
    started = time.perf_counter()
    grids = compressor.transform(paths)
    seconds = time.perf_counter() - started
    n_cells = sum(grid.n_cells for grid in grids)  # grids are read from their files
    shutil.rmtree(out)
    usage = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"n": n_cells, "seconds": seconds, "mb": usage / 1e3}))


def measured(paths, n_jobs):
    return in_fresh_process("benchmarks.scaling", "--one", *paths, "--n-jobs", n_jobs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs="+", metavar="SLIDE")
    parser.add_argument("--n-jobs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("size", "workers"))
    options = parser.parse_args()
    if options.one:
        one_run(options.one, options.n_jobs)
        return
    if options.only != "workers":
        report("scaling_size", [_size_row(side, options.repeats) for side in SIDES], "One slide, by size")
    if options.only != "size":
        _by_workers(options)


def _by_workers(options):
    slides = [_copy(slide_of(SIDES[0]), i) for i in range(4)]
    workers = [1, 2, 4, 8, 16][: os.cpu_count().bit_length()]
    report("scaling_workers", [_workers_row(slides, n, options.repeats) for n in workers], "Four slides, by workers")


def _size_row(side, repeats):
    runs = [measured([slide_of(side)], 1) for _ in range(repeats)]
    return {"gigapixels": side * side / 1e9, "slides": 1, "workers": 1, **_medians(runs)}


def _workers_row(slides, n_jobs, repeats):
    runs = [measured(slides, n_jobs) for _ in range(repeats)]
    return {"gigapixels": SIDES[0] ** 2 / 1e9, "slides": len(slides), "workers": n_jobs, **_medians(runs)}


def _medians(runs):
    seconds = statistics.median(run["seconds"] for run in runs)
    peak = statistics.median(run["mb"] for run in runs)
    return {"patches": runs[0]["n"], "seconds": seconds, "patches/s": runs[0]["n"] / seconds, "peak MB": peak}


def _copy(path, i):
    """A hard link with a name of its own: another slide to the cohort, the same bytes on disk."""
    link = work_dir("scaling") / f"copy-{i}.tiff"
    if not link.exists():
        os.link(path, link)
    return str(link)


if __name__ == "__main__":
    main()
