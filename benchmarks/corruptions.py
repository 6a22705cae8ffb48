"""Does any damaged slide, mask or annotation end `sknic compress` in a traceback, or change a number without a word?

Each case damages one file at random, runs the command in a process of its own, and looks at the exit code, at what was
printed, and at the grid beside that of the undamaged file. Run `python -m benchmarks.corruptions --n 100`.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import tifffile
import typer
from PIL import Image

from sknic import Grid, MeanRGBEncoder

SIZE = 768
WORDS = ["", "null", "NaN", "-1e308", '"x"', "[]", "{}", "true", "1e999", "\u00e9", "]", "}", ",", "0" * 400]


def pixels(rng):
    """Pink tissue on glass, uint8 (SIZE, SIZE, 3)."""
    image = np.full((SIZE, SIZE, 3), 243, np.uint8)
    image[128:-128, 128:-128] = (190, 110, 170)
    return np.clip(image.astype(int) + rng.integers(-6, 7, image.shape), 0, 255).astype(np.uint8)


def write_inputs(folder):
    """A slide, its mask, its annotations, and an encoder."""
    image = pixels(np.random.default_rng(0))
    with tifffile.TiffWriter(folder / "case.tiff") as file:
        for factor in (1, 2):
            level = np.ascontiguousarray(image[::factor, ::factor])
            file.write(level, tile=(128, 128), photometric="rgb", compression="jpeg", subfiletype=int(factor > 1),
                       metadata=None, resolution=(2e4 / factor,) * 2, resolutionunit="CENTIMETER")  # fmt: skip
    mask = np.zeros((192, 192), np.uint8)
    mask[40:120, 40:150] = 255
    Image.fromarray(mask).save(folder / "case.png")
    corners = [[100, 100], [600, 100], [600, 500], [100, 500], [100, 100]]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {"classification": {"name": "Tumor"}},
    }
    collection = {"type": "FeatureCollection", "features": [feature]}
    (folder / "case.geojson").write_text(json.dumps(collection))
    MeanRGBEncoder().fit().save(folder / "encoder.safetensors")


def damaged_bytes(data, rng):
    """Flip, overwrite, cut, insert, repeat or blank; half of the time in the first kilobyte, where headers are."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        reach = len(data) if rng.random() < 0.5 else min(len(data), 1024)
        at, length = int(rng.integers(max(1, reach))), int(rng.integers(1, 64))
        kind = rng.integers(6)
        if kind == 0:
            data[at : at + 1] = bytes([data[at] ^ 1 << int(rng.integers(8))]) if at < len(data) else b""
        elif kind == 1:
            data[at : at + length] = rng.bytes(length)
        elif kind == 2 and rng.random() < 0.3:
            del data[at:]
        elif kind == 3:
            data[at:at] = rng.bytes(length)
        elif kind == 4:
            data[at:at] = data[at : at + length]
        else:
            data[at : at + length] = bytes(length)
    return bytes(data)


def damaged_text(data, rng):
    """Replace, drop or double a piece of JSON; now and then another encoding, or bytes as above."""
    text = data.decode()
    if rng.random() < 0.2:
        return damaged_bytes(data, rng)
    for _ in range(rng.integers(1, 4)):
        at, length = int(rng.integers(len(text))), int(rng.integers(1, 12))
        piece = rng.choice(WORDS) if rng.random() < 0.6 else text[at : at + length] * int(rng.integers(0, 3))
        text = text[:at] + piece + text[at + length :]
    return text.encode(rng.choice(["utf-8", "utf-16", "latin-1"], p=[0.8, 0.1, 0.1]), "replace")


KINDS = {
    "slide": ("case.tiff", damaged_bytes, []),
    "mask": ("case.png", damaged_bytes, ["--tissue", "{stem}.png"]),
    "geojson": ("case.geojson", damaged_text, ["--tissue", "{stem}.geojson"]),
}


def command(arguments, output):
    """Run the program in this process; its exit code becomes the process's."""
    from sknic.cli import main

    stream = open(output, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115  lives as long as the process
    os.dup2(stream.fileno(), 1)
    os.dup2(stream.fileno(), 2)
    sys.argv = ["sknic", *map(str, arguments)]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code or 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(folder, options):
    """Exit code, output, and the grid of `sknic compress` on a folder; None where there is none."""
    shutil.rmtree(folder / "grids", ignore_errors=True)
    arguments = [
        "compress",
        folder / "case.tiff",
        "--encoder",
        folder / "encoder.safetensors",
        "--out",
        folder / "grids",
    ]
    process = get_context("fork").Process(
        target=command, args=([*arguments, "--patch-size", 64, *options], folder / "output.txt")
    )
    process.start()
    process.join(120)
    if process.is_alive():
        process.kill()
        return "hung", "", None
    text = (folder / "output.txt").read_text(errors="replace")
    files = list((folder / "grids").glob("*.h5"))
    return process.exitcode, text, Grid.read(files[0]).to_dense() if files else None


def judge(code, text, grid, clean, name):
    """One word on what happened."""
    if code not in (0, 1, 2):
        return f"exit {code}"
    if "Traceback" in text:
        return "traceback"
    if code:
        return "error that names the file" if name.partition(".")[0] in text else "error without the file's name"
    if grid is not None and grid.shape == clean.shape and np.array_equal(grid, clean):
        return "same grid"
    return "other grid, with a warning" if "warning" in text.lower() else "other grid, silent"


def main(
    n: Annotated[int, typer.Option(help="Cases.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the damage.")] = 0,
    out: Annotated[Path | None, typer.Option(help="CSV of the cases.")] = None,
):
    """Damage files, run the command, and count what happened."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_inputs(folder)
        clean = {kind: run(folder, options)[2] for kind, (_, _, options) in KINDS.items()}
        original = {name: (folder / name).read_bytes() for name, _, _ in KINDS.values()}
        for case in range(n):
            kind = list(KINDS)[case % len(KINDS)]
            name, damage, options = KINDS[kind]
            (folder / name).write_bytes(damage(original[name], np.random.default_rng([seed, case])))
            code, text, grid = run(folder, options)
            verdict = judge(code, text, grid, clean[kind], name)
            line = next((line for line in reversed(text.splitlines()) if line.strip() and "it/s" not in line), "")
            rows.append({"case": case, "kind": kind, "exit": code, "verdict": verdict, "last line": line[:200]})
            (folder / name).write_bytes(original[name])
    table = pd.DataFrame(rows)
    print(pd.crosstab(table["verdict"], table["kind"], margins=True))
    if out is not None:
        table.to_csv(out, index=False)
    bad = Counter(row["verdict"] for row in rows if row["verdict"].startswith(("exit", "traceback")))
    if bad:
        raise SystemExit(f"{sum(bad.values())} cases ended badly: {dict(bad)}")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        typer.run(main)
