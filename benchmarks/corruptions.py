"""How does the command line handle damaged files? Seeded corruptions of tables, grids, masks, GeoJSON and slides.

Each is one file with a few bytes changed, one call of the program, and a comparison with the clean run: an error of
one line, the same numbers, other numbers with a warning, or other numbers in silence. TIFF has no checksums: if a
bit of compressed pixels is flipped and a strict JPEG decoder accepts every tile, the file is a valid slide of another
picture, which nothing can detect; such rows are counted separately.
"""

import argparse
import io
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from PIL import Image
from simplejpeg import decode_jpeg

from benchmarks.common import report, work_dir
from sknic import Grid, MeanRGBEncoder
from sknic.cli import main

SIDE = 1024


def call(*arguments):
    """The program in this process: exit code, and what it printed."""
    out, before = io.StringIO(), (sys.argv, warnings.showwarning)
    sys.argv = ["sknic", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(out), warnings.catch_warnings():
            warnings.simplefilter("always")
            main()
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    finally:
        sys.argv, warnings.showwarning = before
    return code, out.getvalue()


def flip_bit(data, rng):
    """One bit of one byte."""
    changed = bytearray(data)
    changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def truncate(data, rng):
    """The end is missing."""
    return data[: rng.integers(len(data))]


def zero_block(data, rng):
    """A block of a disk that was never written."""
    start, size = int(rng.integers(len(data))), int(rng.integers(1, max(2, len(data) // 8)))
    return data[:start] + bytes(len(data[start : start + size])) + data[start + size :]


def drop_bytes(data, rng):
    """Some bytes are missing."""
    start = int(rng.integers(len(data)))
    return data[:start] + data[start + int(rng.integers(1, 9)) :]


def insert_bytes(data, rng):
    """Some bytes too many."""
    start = int(rng.integers(len(data)))
    return data[:start] + rng.bytes(int(rng.integers(1, 9))) + data[start:]


def repeat_part(data, rng):
    """A part stands there twice."""
    start, stop = sorted(rng.integers(len(data), size=2))
    return data[:stop] + data[start:]


CORRUPTIONS = (flip_bit, truncate, zero_block, drop_bytes, insert_bytes, repeat_part)


class Bench:
    """Clean files, and what the program makes of them.

    Parameters
    ----------
    folder : Path
        Folder to work in.
    """

    def __init__(self, folder):
        self.folder = folder
        rng = np.random.default_rng(0)
        rows = []
        for i in range(8):
            plain = Grid.from_dense(rng.normal(size=(4, 6, 6)) + i % 2)
            scale = {"mpp": 0.5, "patch_size": 64, "slide_mpp": 0.5}
            Grid(plain.embeddings, plain.cells, plain.shape, **scale).write(folder / f"grid{i}.h5")
            rows.append({"path": f"grid{i}.h5", "case": f"P{i}", "score": i / 8})
        pd.DataFrame(rows).to_csv(folder / "table.csv", index=False)
        learn = ("--task", "regression", "--target", "score", "--max-steps", 2, "--no-patient")
        assert call("fit", folder / "table.csv", *learn, "--out", folder / "model")[0] == 0
        self._draw(rng)
        MeanRGBEncoder().save(folder / "encoder.safetensors")

    def _draw(self, rng):
        image = np.full((SIDE, SIDE, 3), 243, np.uint8)
        image[128:-128, 128:-128] = 190, 110, 170
        image = np.clip(image + rng.integers(-5, 6, image.shape), 0, 255).astype(np.uint8)
        scale = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(
            self.folder / "case.tiff", image, tile=(256, 256), photometric="rgb", compression="jpeg", **scale
        )
        mask = np.zeros((SIDE // 4, SIDE // 4), np.uint8)
        mask[64:-64, 64:-64] = 255
        Image.fromarray(mask).save(self.folder / "case.png")
        ring = [[256, 256], [768, 256], [768, 768], [256, 768], [256, 256]]
        (self.folder / "case.geojson").write_text(
            '{"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {"classification": '
            f'{{"name": "Tumor"}}}}, "geometry": {{"type": "Polygon", "coordinates": [{ring}]}}}}]}}'
        )

    def predict(self, name):
        """Predictions by file."""
        out = self.folder / "p.csv"
        out.unlink(missing_ok=True)
        code, said = call("predict", self.folder / name, "--model", self.folder / "model", "--out", out)
        table = pd.read_csv(out) if out.exists() else pd.DataFrame({"slide": [], "prediction": []})
        known = table[table["prediction"].notna()] if "prediction" in table else table.iloc[:0]
        file = "file" if "file" in table else "slide"
        return code, said, {Path(path).name: value for path, value in zip(known[file], known.get("prediction", []))}

    def compress(self, tissue):
        """Cells and embeddings of the slide."""
        out = self.folder / "grids"
        for path in out.glob("*") if out.exists() else ():
            if path.is_file():
                path.unlink()
        options = ("--encoder", self.folder / "encoder.safetensors", "--tissue", tissue, "--out", out)
        code, said = call("compress", self.folder / "case.tiff", *options)
        grids = [Grid.read(path) for path in sorted(out.glob("*.h5"))]
        return code, said, {"cells": [(grid.cells.tolist(), grid.embeddings.tolist()) for grid in grids]}


def judge(clean, code, said, found):
    """The outcome of a call, in a word."""
    if "Traceback" in said or "(--debug shows where)" in said:
        return "TRACEBACK"
    # A slide that was refused has no number: an empty text, or a grid without cells.
    numbers = {name: value for name, value in found.items() if value}
    if any(name in clean and value != clean[name] for name, value in numbers.items()):
        return "another number, error or warning" if code or "warning" in said else "another number, silent"
    if code:
        return "error"
    return "same numbers" if found.keys() == clean.keys() else "fewer or other rows, shown"


def is_valid_jpeg_tiff(path):
    """Whether each tile of a TIFF decodes without an error or a warning of libjpeg."""
    try:
        with tifffile.TiffFile(path) as file:
            page, data = file.pages.first, path.read_bytes()
            tiles = [data[start : start + n] for start, n in zip(page.dataoffsets, page.databytecounts)]
        return all(decode_jpeg(tile, strict=True).shape == (page.tilelength, page.tilewidth, 3) for tile in tiles)
    except ValueError:
        return False


def run(n, folder, seed=0):
    """All corruptions, one row for each."""
    bench = Bench(folder)
    kinds = {
        "table": ("table.csv", lambda: bench.predict("table.csv")),
        "grid": ("grid3.h5", lambda: bench.predict("table.csv")),
        "mask": ("case.png", lambda: bench.compress(str(folder / "{stem}.png"))),
        "GeoJSON": ("case.geojson", lambda: bench.compress(str(folder / "{stem}.geojson"))),
        "slide": ("case.tiff", lambda: bench.compress("density")),
    }
    rows = []
    for kind, (name, work) in kinds.items():
        data = (folder / name).read_bytes()
        _, _, clean = work()
        for number in range(n // len(kinds)):
            rng = np.random.default_rng([seed, len(rows)])
            corrupt = CORRUPTIONS[number % len(CORRUPTIONS)]
            (folder / name).write_bytes(corrupt(data, rng))
            code, said, found = work()
            message = " ".join(said.split())[-300:].replace(str(folder), "")
            outcome = judge(clean, code, said, found)
            if outcome.endswith("silent") and kind == "slide" and is_valid_jpeg_tiff(folder / name):
                outcome = "another number, a valid file"
            rows.append((kind, corrupt.__name__, code, outcome, message))
        (folder / name).write_bytes(data)
    return pd.DataFrame(rows, columns=["file", "corruption", "exit code", "outcome", "message"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=300, help="Number of corruptions.")
    options = parser.parse_args()
    table = run(options.n, work_dir("corruptions"))
    report("corruptions", table.to_dict("records"), "Corruptions of one file each, seeded")
    print(pd.crosstab(table["file"], table["outcome"]))
