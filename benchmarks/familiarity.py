"""Does the distance of a slide's mean embedding from those of the training tell slides of another origin?

Cohorts of grids as in `recipes.py`: models would learn from the first slides of a cohort. How far away are slides of
other patients that are made of the same images, pieces of them as small as a biopsy, and slides made of other images?
No model is trained: the distance depends on the grids alone. What such slides do to the level of predictions is
measured in `hot_spots.py`.
"""

import argparse

import numpy as np

from benchmarks import recipes
from benchmarks.common import report
from benchmarks.hot_spots import N_SAME, parts_of
from sknic import Grid
from sknic.estimators.familiarity import FAR, SlideSpread

# Side of a piece, in cells.
PIECE = 8
TESTED = ("same images", f"pieces of {PIECE} x {PIECE} cells", "other images")


def distances_of(options, encoder, seed):
    """For each size of the training, distances of what `TESTED` names."""
    whole, other = recipes.cohort_of(options, encoder, N_SAME, seed)
    for size in options.sizes:
        train, same = parts_of(whole, size)
        spread = SlideSpread.of(train.grids)
        pieces = [piece_of(grid, np.random.RandomState(seed)) for grid in same.grids]
        yield size, [spread.distances(grids) for grids in (same.grids, pieces, other.grids)]


def piece_of(grid, random):
    """The cells of a square somewhere on the tissue."""
    first = grid.cells[random.randint(len(grid.cells))]
    inside = ((grid.cells >= first) & (grid.cells < first + PIECE)).all(axis=1)
    return Grid(np.asarray(grid.embeddings)[inside], grid.cells[inside] - first, (PIECE, PIECE))


def summary_of(encoder, size, distances):
    """Distances over all cohorts, and the share of slides of which a prediction would warn."""
    row = {"encoder": encoder, "training slides": size}
    for tested, found in zip(TESTED, distances):
        low, middle, high = np.quantile(found, (0, 0.5, 1))
        row[f"{tested}: median (range)"] = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        row[f"{tested}: warnings"] = f"{100 * np.mean(found > FAR):.1f} % of {len(found)}"
    return row


def read_options(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", choices=recipes.ENCODERS, nargs="+", default=recipes.ENCODERS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[12, 24, 160], help="slides of the training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    return recipes.parsed(parser, argv)


def main(argv=None):
    options = read_options(argv)
    found = {}
    for encoder in options.encoders:
        for seed in options.seeds:
            for size, distances in distances_of(options, encoder, seed):
                found.setdefault((encoder, size), []).append(distances)
    rows = [summary_of(*key, list(map(np.concatenate, zip(*parts)))) for key, parts in found.items()]
    suffix = "" if options.slides == "colorectal" else f"_{options.slides}"
    report(f"familiarity{suffix}", rows, f"distance from the training slides; warnings above {FAR:.0f}")


if __name__ == "__main__":
    main()
