"""What does `precision="fast"` change, apart from the time that `compress.py` measures?

On real patches: the relative error of the embeddings, of the published encoder and of the one in the package, and how
many of each cell's ten nearest neighbors stay the same. On slides: a model learns from 200 grids (`make_grid_cohort`)
that were made exactly, and is asked about test slides of other patients and sources, made exactly and made fast; the
difference is paired by patient. With `--retrain` two more models are trained, one on fast grids and one on exact grids
with another seed, for training once more changes a score by itself. If the machine does not support bfloat16
natively, "fast" is exact, and the script says so and ends.
"""

import argparse
import sys

import numpy as np

from benchmarks.common import report, test_data

TARGETS = ("pattern", "tumour_fraction", "survival")
N_NEIGHBORS = 10


class Fast:
    """An encoder as `precision="fast"` uses it."""

    def __init__(self, encoder):
        self.patch_size, self.code_size = encoder.patch_size, encoder.code_size
        self.transform, self.fingerprint = encoder.embedder("cpu", "bfloat16"), encoder.fingerprint


def encoders():
    """Name -> encoder."""
    from sknic import load_encoder

    published = load_encoder(test_data("encoders", "encoder_multitask-4.h5"), device="cpu")
    return {"published multitask-4": published, "sknic-he-1": load_encoder("sknic-he-1", device="cpu")}


def embedding_rows(patches):
    """Error of the embeddings, and share of the nearest neighbours that stay, as a row for each encoder."""
    rows = []
    for name, encoder in encoders().items():
        exact, fast = encoder.transform(patches), Fast(encoder).transform(patches)
        error = np.linalg.norm(fast - exact, axis=1) / np.linalg.norm(exact, axis=1)
        rows.append(
            {
                "encoder": name,
                "patches": len(patches),
                "error": float(np.linalg.norm(fast - exact) / np.linalg.norm(exact)),
                "error, worst patch": float(error.max()),
                "neighbours kept": _kept(_neighbors(exact), _neighbors(fast)),
            }
        )
    return rows


def _neighbors(embeddings):
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(embeddings).kneighbors(return_distance=False)


def _kept(first, second):
    return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(first, second)]) / N_NEIGHBORS)


def slide_rows(options):
    """Score of a model on exact and on fast grids of the same test slides, and the paired difference."""
    rows = []
    for name, encoder in encoders().items():
        for seed in options.seeds:
            exact, fast = (_cohort(options, each, seed) for each in (encoder, Fast(encoder)))
            for target in TARGETS:
                found = _compare(target, exact, fast, seed, options.retrain)
                rows.append({"encoder": name, "target": target, "seed": seed, **found})
                print(rows[-1], flush=True)
    return rows


def _cohort(options, encoder, seed):
    from sknic.datasets import make_grid_cohort

    n = options.slides + options.test
    parts = {"train": options.slides / n, "test": options.test / n}
    cohort = make_grid_cohort(test_data("patches"), n, encoder, parts=parts, random_state=seed)
    return tuple(cohort.select(cohort.table["part"] == part) for part in parts)


def _compare(target, exact, fast, seed, retrain):
    from benchmarks.recipes import estimator, truth
    from sknic.evaluation import compare

    def fit(train, seed):
        return estimator(target, "default", seed).fit(train.grids, truth(train, target), groups=train.patients)

    def ask(model, grids):
        return model.predict_proba(grids)[:, 1] if target == "pattern" else model.predict(grids)

    metric = {"pattern": "auc", "survival": "concordance"}.get(target, "spearman")
    test = exact[1]
    model = fit(exact[0], seed)
    of_exact, of_fast = ask(model, test.grids), ask(model, fast[1].grids)

    def less_exact(prediction):
        return compare(metric, truth(test, target), prediction, of_exact, groups=test.patients)

    found = less_exact(of_fast)
    row = {"measure": metric, "exact": found.b.value, "fast": found.a.value, "fast less exact": str(found.difference)}
    if retrain:
        row["trained on fast, less exact"] = str(less_exact(ask(fit(fast[0], seed), fast[1].grids)).difference)
        again = ask(fit(exact[0], seed + 1000), test.grids)
        row["trained with another seed, less exact"] = str(less_exact(again).difference)
    return row


def main():
    import torch

    from sknic.learning.device import resolve_precision

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int, default=6000, help="patches whose embeddings are compared")
    parser.add_argument("--slides", type=int, default=200, help="grids that a model learns from")
    parser.add_argument("--test", type=int, default=160, help="grids that it is asked about")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--retrain", action="store_true", help="train on fast grids too, and with another seed")
    options = parser.parse_args()
    if resolve_precision("auto", torch.device("cpu")) != "bfloat16":
        sys.exit('this CPU does not compute bfloat16 natively: precision="fast" is "float32" here, and nothing changes')
    from benchmarks.encoder_data import read_patches

    patches = read_patches().patches
    rows = embedding_rows(np.asarray(patches[:: max(1, len(patches) // options.patches)]))
    report("fast_embeddings", rows, "Embeddings of real patches, fast against exact")
    report("fast_slides", slide_rows(options), "Models on the same slides compressed exactly and fast")


if __name__ == "__main__":
    main()
