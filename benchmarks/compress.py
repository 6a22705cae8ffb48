"""How fast is SlideCompressor compared with the usual way, on the same slide with the same encoder?

The usual way is what most pipelines write: a Dataset that calls OpenSlide's read_region for each patch, a DataLoader
with two workers, an eager network in batches of 256, and of 32, which is the fairer comparison on a CPU. Finding the
tissue cells is not counted in its time; sknic's time includes finding them and writing the grid. Runs are complete, in
fresh processes, and interleaved; medians are printed. The limit is 1 / (1 / reading + 1 / encoding) of the same run.
Ratios are those of CPU time, which other work on the machine disturbs less than the time that passes.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.common import in_fresh_process, report, test_data, work_dir

SIDE = 16384


def slides():
    """Name -> path: a generic and an Aperio-like pyramid of real pixels at 0.25 um/px, and the real CMU-1 region."""
    from sknic import Slide
    from sknic.datasets import write_pyramid

    folder = work_dir("compress")
    real = test_data("slides", "CMU-1-Small-Region.svs")
    layouts = {
        "generic 1,2,4": ("generic.tiff", {"layout": "generic"}),
        "Aperio 1,4,16": ("aperio.svs", {"layout": "aperio"}),
    }
    paths = {}
    with Slide(real) as slide:
        tile = tissue_square(slide)
    for name, (filename, options) in layouts.items():
        path = folder / filename
        if not path.exists():
            write_pyramid(path, mosaic(tile, SIDE), (SIDE, SIDE), mpp=0.25, **options)
        paths[name] = str(path)
    paths["CMU-1 region"] = str(real)
    return paths


def tissue_square(slide, size=1024):
    """The square of the slide with the darkest mean: tissue throughout."""
    pixels = slide.read(0, 0, *slide.dimensions, mpp=slide.mpp)
    corners = [(y, x) for y in range(0, len(pixels) - size, 64) for x in range(0, pixels.shape[1] - size, 64)]
    y, x = min(corners, key=lambda corner: pixels[corner[0] :, corner[1] :][:size:8, :size:8].mean())
    return pixels[y : y + size, x : x + size]


def mosaic(tile, side):
    """Rows of the slide: real pixels, turned so that no two neighbours are alike; the right quarter is white."""

    size = len(tile)

    def read(y, height):
        block = np.full((height, side, 3), 255, np.uint8)
        rows = np.arange(y, y + height)
        for row in np.unique(rows // size):
            here = rows // size == row
            for column in range(side * 3 // 4 // size):
                piece = np.rot90(tile, (row + column) % 4)
                block[here, column * size : (column + 1) * size] = piece[rows[here] % size]
        return block

    return read


class Clock:
    """Seconds on the wall, and CPU seconds of this process and its children, between entering and leaving."""

    def __enter__(self):
        self._wall, self._cpu = time.perf_counter(), sum(os.times()[:4])
        return self

    def __exit__(self, *exception):
        self.seconds, self.cpu = time.perf_counter() - self._wall, sum(os.times()[:4]) - self._cpu


def run_sknic(path, n_threads, precision="float32"):
    import torch

    from sknic import SlideCompressor, load_encoder

    torch.set_num_threads(n_threads)
    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"))
    out = work_dir("compress") / f"grids-{os.getpid()}"
    compressor = SlideCompressor(encoder, cache_dir=out, precision=precision)
    with Clock() as clock:
        (grid,) = compressor.transform([path])
    for file in out.rglob("*"):
        if file.is_file():
            file.unlink()
    return grid.n_cells, clock


def run_usual(path, n_threads, batch_size):
    import openslide
    import torch

    from sknic import load_encoder

    torch.set_num_threads(n_threads)
    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"))
    cells = np.load(work_dir("compress") / f"{Path(path).stem}-cells.npy")
    network = torch.nn.Sequential(torch.nn.AvgPool2d(2), encoder.network_).eval()
    slide = openslide.OpenSlide(path)
    scale = 0.5 / float(slide.properties["openslide.mpp-x"])
    level = slide.get_best_level_for_downsample(scale * 1.01)
    size = round(128 * scale / slide.level_downsamples[level])
    slide.close()

    class Patches(torch.utils.data.Dataset):
        slide = None

        def __len__(self):
            return len(cells)

        def __getitem__(self, i):
            if self.slide is None:
                self.slide = openslide.OpenSlide(path)
            row, column = cells[i]
            corner = (round(column * 128 * scale), round(row * 128 * scale))
            image = self.slide.read_region(corner, level, (size, size)).convert("RGB")
            if size != 128:
                image = image.resize((128, 128))
            tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
            return tensor.sub(0.5).div(0.5)

    with torch.inference_mode(), Clock() as clock:
        loader = torch.utils.data.DataLoader(Patches(), batch_size=batch_size, num_workers=2)
        n = sum(len(network(batch)) for batch in loader)
        del loader
    return n, clock


def run_reading(path, n_threads):
    return _on_threads(path, n_threads, lambda reader, embed: lambda band: len(reader.read(band)))


def run_encoding(path, n_threads):
    patches = np.random.default_rng(0).integers(0, 256, (256, 128, 128, 3), np.uint8)
    return _on_threads(path, n_threads, lambda reader, embed: lambda band: len(embed(patches[: len(band)])))


def _on_threads(path, n_threads, make_work):
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from sknic import load_encoder
    from sknic.slides import Lattice, PatchReader, Slide

    embed = load_encoder(test_data("encoders", "encoder_multitask-4.h5")).embedder(device="cpu")
    cells = np.load(work_dir("compress") / f"{Path(path).stem}-cells.npy")
    with Slide(path) as slide:
        lattice = Lattice.of(slide, mpp=0.5, patch_size=128, stride=128)
        work = make_work(PatchReader(slide, lattice), embed)
        bands = list(lattice.bands(cells, 256))

        def one(band):
            torch.set_num_threads(1)
            return work(band)

        with Clock() as clock, ThreadPoolExecutor(n_threads) as pool:
            n = sum(pool.map(one, bands))
        return n, clock


WAYS = {
    "sknic": run_sknic,
    "sknic, fast": lambda path, threads: run_sknic(path, threads, "fast"),
    "usual, batch 256": lambda path, threads: run_usual(path, threads, 256),
    "usual, batch 32": lambda path, threads: run_usual(path, threads, 32),
    "reading only": run_reading,
    "encoding only": run_encoding,
}


def one_run(way, path, n_threads):
    """Run in this process; print patches, seconds, CPU seconds and peak MB as JSON."""
    import resource

    n, clock = WAYS[way](path, n_threads)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps({"n": n, "seconds": clock.seconds, "cpu": clock.cpu, "mb": peak}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", nargs=2, metavar=("WAY", "SLIDE"))
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.one:
        one_run(*options.one, options.threads)
        return
    rows = []
    for name, path in slides().items():
        _save_cells(path)
        runs = {way: [] for way in WAYS}
        for _ in range(options.repeats):
            for way in WAYS:
                runs[way].append(
                    in_fresh_process("benchmarks.compress", "--one", way, path, "--threads", options.threads)
                )
        rows += _rows(name, runs)
        # After each slide, so that a run that is stopped has written what it measured.
        report("compress", rows, f"Patches of 128 px at 0.5 um/px, published encoder, {options.threads} threads")


def _save_cells(path):
    """The rival's cells: those that sknic finds."""
    from sknic import MeanRGBEncoder, SlideCompressor

    (grid,) = SlideCompressor(MeanRGBEncoder(), mpp=0.5, patch_size=128).transform([path])
    np.save(work_dir("compress") / f"{Path(path).stem}-cells.npy", grid.cells)


def _rows(name, runs):
    rates = {way: statistics.median(run["n"] / run["cpu"] for run in part) for way, part in runs.items()}
    limit = 1 / (1 / rates["reading only"] + 1 / rates["encoding only"])
    return [
        {
            "slide": name,
            "way": way,
            "patches": part[0]["n"],
            "runs": len(part),
            "patches/s": statistics.median(run["n"] / run["seconds"] for run in part),
            "patches/CPU-s": rates[way],
            "peak MB": statistics.median(run["mb"] for run in part),
            "sknic is x times as fast": rates["sknic"] / rates[way],
            "share of the limit": rates[way] / limit,
        }
        for way, part in runs.items()
    ]


if __name__ == "__main__":
    main()
