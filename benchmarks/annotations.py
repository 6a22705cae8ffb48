"""Time and memory of the tissue mask of a slide with many outlined cells, from a `.geojson.gz` as QuPath writes it.

"whole" decodes the document at once and keeps its polygons, as sknic did; "streamed" is what `Annotations` does.
"""

import argparse
import gzip
import json
import resource
import time
from types import SimpleNamespace

import numpy as np

from benchmarks.common import in_fresh_process, report, work_dir

SIZE = (90_000, 70_000)


def write_cells(path, n_cells):
    """Outlines of 20 points, 12 px wide, with class and measurements."""
    rng = np.random.default_rng(0)
    angles = np.linspace(0, 2 * np.pi, 21)
    circle = 12 * np.column_stack([np.cos(angles), np.sin(angles)])
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for number in range(n_cells):
            ring = np.round(circle + rng.uniform((0, 0), SIZE), 2).tolist()
            properties = {"objectType": "cell", "classification": {"name": "Tumor", "color": [200, 0, 0]}}
            properties["measurements"] = {"Area": 33.5 + number, "Perimeter": 21.25}
            geometry = {"type": "Polygon", "coordinates": [ring]}
            feature = {"type": "Feature", "id": str(number), "geometry": geometry, "properties": properties}
            file.write((", " if number else "") + json.dumps(feature))
        file.write("]}")
    return path


def measure(way, path):
    """CPU seconds, peak memory and number of marked pixels of one way, in this process."""
    from sknic.slides import Annotations, annotations

    if way == "whole":

        def whole(path):
            return iter(list(annotations._regions(json.loads(gzip.decompress(open(path, "rb").read())))))

        annotations._regions_of = whole
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.process_time()
    mask, _ = Annotations(path).read(SimpleNamespace(path="slide.tiff", dimensions=SIZE, mpp=0.25))
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "way": way,
        "CPU seconds": round(seconds, 1),
        "MB above start": round((peak - before) / 1024),
        "marked px": int(mask.sum()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=500_000)
    parser.add_argument("--way", choices=["whole", "streamed"])
    parser.add_argument("--file")
    options = parser.parse_args()
    if options.way:
        print(json.dumps(measure(options.way, options.file)))
        return
    path = write_cells(work_dir("annotations") / "cells.geojson.gz", options.cells)
    rows = [
        {"cells": options.cells, **in_fresh_process("benchmarks.annotations", "--way", way, "--file", path)}
        for way in ("whole", "streamed")
    ]
    report("annotations", rows, "Tissue mask from a .geojson.gz of outlined cells")


if __name__ == "__main__":
    main()
