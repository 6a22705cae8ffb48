"""How do time and memory grow with the size of a slide, and throughput with the number of workers?

Slides of 0.27, 1.07 and 4.3 gigapixels of the same tissue are compressed in fresh processes. Then a short job of four
slides of 0.27 gigapixels, and a long one of 60 slides of 0.07 gigapixels, in one process with a thread per core, with
a worker per core, and with `n_jobs="auto"`, which chooses; the ways take turns. OMP_NUM_THREADS has to be unset.
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
# Number of slides, and their side in px.
JOBS = {"short": (4, 16384), "long": (60, 8192)}


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
    """Compress in this process; print cells, seconds, CPU time with that of workers, and the largest peak as JSON."""
    from joblib.externals.loky import get_reusable_executor

    from sknic import SlideCompressor, load_encoder

    chosen = _record_choice()
    out = work_dir("scaling") / f"grids-{os.getpid()}"
    compressor = SlideCompressor(
        load_encoder(test_data("encoders", "encoder_multitask-4.h5")), cache_dir=out, n_jobs=n_jobs
    )
    started = time.perf_counter()
    grids = compressor.transform(paths)
    seconds = time.perf_counter() - started
    n_cells = sum(grid.n_cells for grid in grids)  # grids are read from their files
    shutil.rmtree(out)
    get_reusable_executor().shutdown(wait=True)  # the system counts the time of children that have ended
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    run = {"n": n_cells, "seconds": seconds, "mb": max(usage.ru_maxrss for usage in usages) / 1e3}
    cpu = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    print(json.dumps({**run, "cpu": cpu, "chosen": chosen[-1] if chosen else n_jobs}))


def _record_choice():
    """Numbers of workers that `n_jobs="auto"` chooses from now on."""
    from sknic.compression import restartable

    choose, chosen = restartable.n_workers, []

    def choosing(*known):
        chosen.append(choose(*known))
        return chosen[-1]

    restartable.n_workers = choosing
    return chosen


def measured(paths, n_jobs):
    return in_fresh_process("benchmarks.scaling", "--one", *paths, "--n-jobs", n_jobs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs="+", metavar="SLIDE")
    parser.add_argument("--n-jobs", default="1")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--jobs", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--only", choices=("size", "workers"))
    options = parser.parse_args()
    if options.one:
        one_run(options.one, options.n_jobs if options.n_jobs == "auto" else int(options.n_jobs))
        return
    if options.only != "workers":
        report("scaling_size", [_size_row(side, options.repeats) for side in SIDES], "One slide, by size")
    if options.only != "size":
        _by_workers(options)


def _by_workers(options):
    rows = []
    for job in options.jobs:
        n_slides, side = JOBS[job]
        slides = [_copy(side, i) for i in range(n_slides)]
        ways, runs = (1, os.cpu_count(), "auto"), []
        for _ in range(options.repeats):
            runs.append([measured(slides, way) for way in ways])
            print(job, [f"{run['seconds']:.1f}" for run in runs[-1]], flush=True)
        rows += [_way(job, slides, way, each) for way, each in zip(ways, zip(*runs))]
    report("scaling_workers", rows, "Short and long jobs, by workers")


def _size_row(side, repeats):
    runs = [measured([slide_of(side)], 1) for _ in range(repeats)]
    return {"gigapixels": side * side / 1e9, "slides": 1, "workers": 1, **_medians(runs)}


def _way(job, slides, n_jobs, runs):
    chosen = "/".join(sorted({str(run["chosen"]) for run in runs}))
    return {"job": job, "slides": len(slides), "n_jobs": n_jobs, "workers": chosen, "runs": len(runs), **_medians(runs)}


def _medians(runs):
    seconds = statistics.median(run["seconds"] for run in runs)
    peak, cpu = (statistics.median(run[name] for run in runs) for name in ("mb", "cpu"))
    rate = runs[0]["n"] / seconds
    return {"patches": runs[0]["n"], "seconds": seconds, "patches/s": rate, "CPU s": cpu, "peak MB": peak}


def _copy(side, i):
    """A hard link with a name of its own: another slide to the cohort, the same bytes on disk."""
    link = work_dir("scaling") / f"copy-{side}-{i}.tiff"
    if not link.exists():
        os.link(slide_of(side), link)
    return str(link)


if __name__ == "__main__":
    main()
