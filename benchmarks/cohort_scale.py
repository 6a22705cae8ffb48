"""Which costs grow with the number of slides, and do they grow linearly? Cohorts of 100, 1,000 and 10,000 slides.

A slide is a stub: a sparse file of 1 GB with a few bytes of content, which a compressor only reads to identify the
slide. All are compressed: the cache holds a grid of 24 x 24 cells, C = 128, for each, 150 kB on disk.
Every step runs in a process of its own, which finds the files in the page cache unless it says otherwise; what the step
adds to the memory of the process, and the files that it leaves open, are counted there. The CPU time is that of this
process, without its workers. The cohorts stay in the scratch folder, and an interrupted run resumes where it stopped.
"""

import argparse
import json
import os
import resource
import time
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.common import in_fresh_process, report, work_dir

SIZES = (100, 1_000, 10_000)
SIDE, CHANNELS, STUB_BYTES = 24, 128, 10**9


def cohort(n):
    """Paths of n stubs and the compressor that finds their grids; files that are there are not made again."""
    from sknic import Grid, SlideCompressor

    folder = work_dir("cohort_scale") / str(n)
    (folder / "slides").mkdir(parents=True, exist_ok=True)
    compressor = SlideCompressor(cache_dir=folder / "grids")
    paths = [str(folder / "slides" / f"slide-{i:05d}.svs") for i in range(n)]
    if not (folder / "ready").exists():
        (job,), random = compressor._jobs(), np.random.default_rng(0)
        cells = np.argwhere(np.ones((SIDE, SIDE), bool))
        for path in paths:
            with open(path, "wb") as file:
                file.write(random.bytes(64))
                file.truncate(STUB_BYTES)
            embeddings = random.standard_normal((len(cells), CHANNELS), np.float32)
            grid = Grid(embeddings, cells, (SIDE, SIDE), mpp=0.5, patch_size=128, slide=path)
            job.cache.put(*job._key(path), grid)
        (folder / "ready").touch()
    return paths, compressor


def transform(paths, compressor):
    compressor.transform(paths)


def from_disk(paths, compressor):
    """Slides and grids are taken out of the page cache first."""
    for path in [*paths, *Path(compressor.cache_dir).glob("*.h5")]:
        file = os.open(path, os.O_RDONLY)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)
    return lambda: compressor.transform(paths)


def transform_again(paths, compressor):
    """The second time in one process; the first is not counted."""
    compressor.transform(paths)
    return lambda: compressor.transform(paths)


def two_workers(paths, compressor):
    compressor.set_params(n_jobs=2).transform(paths)


def dask(paths, compressor):
    """From the call to the end, on two local workers that stand ready."""
    import joblib
    from dask.distributed import Client, LocalCluster

    local = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    client = Client(local)

    def run():
        with joblib.parallel_config("dask"):
            compressor.transform(paths)

    return run, lambda: (client.close(), local.close())


def dry_run(paths, compressor):
    from sknic.cli.compress import _show_plan

    _show_plan(compressor.plan(paths))


def manifest(paths, compressor):
    """Rows of slides that were compressed, one by one, into an empty folder."""
    from sknic.compression.job import Outcome
    from sknic.compression.manifest import Manifest

    folder = Path(compressor.cache_dir).parent / "manifest"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    table = Manifest(folder)

    def run():
        for path in paths:
            table.add(Outcome(path, "done", SIDE**2, 1.0, 30.0))
        table.tidy()

    return run


def listing(paths, compressor):
    from sknic.cli.cache import cache

    cache(compressor.cache_dir, prune=False, orphans=False, yes=False)


def four_folds(paths, compressor):
    """A model that learns nothing: what is measured is how often grids are looked for."""
    from sklearn.dummy import DummyRegressor
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    cross_val_score(make_pipeline(compressor, DummyRegressor()), paths, np.arange(len(paths)), cv=4)


STEPS = {
    "transform of cached slides": transform,
    "the same, from the disk": from_disk,
    "the same again": transform_again,
    "the same, two workers": two_workers,
    "the same, Dask": dask,
    "sknic compress --dry-run": dry_run,
    "rows of the manifest": manifest,
    "sknic cache": listing,
    "cross_val_score, 4 folds": four_folds,
}


def one_run(step, n):
    """Run a step in this process; print what it took as JSON."""
    paths, compressor = cohort(n)
    compressor.transform(paths[:2])  # imports, and the encoder
    prepared = STEPS[step](paths, compressor) if STEPS[step] in _PREPARED else None
    run, *closing = prepared if isinstance(prepared, tuple) else (prepared,)
    hashed = _count_hashed()
    files, memory, started, cpu = _open_files(), _resident(), time.perf_counter(), time.process_time()
    (run or (lambda: STEPS[step](paths, compressor)))()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    row = {
        "step": step,
        "slides": n,
        "seconds": seconds,
        "CPU s": cpu,
        "CPU ms per slide": cpu / n * 1e3,
        "kB per slide": max(0, peak - memory) / n,
        "grids hashed": len(hashed),
        "most often": max(Counter(hashed).values(), default=0),
        "files left open": _open_files() - files,
    }
    for close in closing:
        close()
    print()
    print(json.dumps(row))


_PREPARED = (from_disk, transform_again, dask, manifest)


def _count_hashed():
    """Paths of the grids that are hashed in this process from now on."""
    from sknic.grids import seal

    checksum, hashed = seal.checksum, []

    def counting(file):
        hashed.append(str(file.name))
        return checksum(file)

    seal.checksum = counting
    return hashed


def _open_files():
    return len(os.listdir("/proc/self/fd"))


def _resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("STEP", "SLIDES"))
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--steps", nargs="+", default=list(STEPS))
    options = parser.parse_args()
    if options.one:
        one_run(options.one[0], int(options.one[1]))
        return
    rows = []
    for n in options.sizes:
        cohort(n)
        in_fresh_process("benchmarks.cohort_scale", "--one", "transform of cached slides", n)  # fills the page cache
        rows += [in_fresh_process("benchmarks.cohort_scale", "--one", step, n) for step in options.steps]
    rows.sort(key=lambda row: options.steps.index(row["step"]))
    report("cohort_scale", rows, "What grows with the number of slides, all of them compressed before")
    for step in options.steps:
        print(_fit(step, [row for row in rows if row["step"] == step]))


def _fit(step, rows):
    """The line through the CPU times, every size of the same weight, and how far they are from it."""
    n, seconds = (np.array([row[name] for row in rows], float) for name in ("slides", "CPU s"))
    if len(n) < 2:
        return f"{step}: {rows[0]['CPU ms per slide']:.2f} ms per slide"
    slope, start = np.polyfit(n, seconds, 1, w=1 / seconds)
    order = np.log(seconds[-1] / seconds[-2]) / np.log(n[-1] / n[-2])
    off = np.abs(slope * n + start - seconds) / seconds
    return (
        f"{step}: {start:.2f} s + {slope * 1e3:.3f} ms per slide, within {off.max():.0%}; "
        f"from {n[-2]:,.0f} to {n[-1]:,.0f} slides it grows as n to the {order:.2f}"
    )


if __name__ == "__main__":
    main()
