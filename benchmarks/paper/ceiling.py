"""If the CNN does not find a score, is it missing in the encoder's grids, or is it not learnt in training?

For the synthetic cohorts, whose tissue is known cell by cell. A linear probe learns from single cells which ones
proliferate; the score computed from its map of an unseen slide shows what information the grids contain, independently
of any CNN.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.paper.encoder import trained
from benchmarks.paper.lab import Lab, read_options
from benchmarks.paper.material import cohorts
from benchmarks.paper.models import compressor, published
from sknic import MeanRGBEncoder
from sknic.datasets.drawing.layout import HOT, HOTSPOT_SIGMA_CELLS, TUMOUR
from sknic.evaluation import estimate

N_CELLS = 20_000  # to learn from, of each kind at most


def maps_out_of_fold(grids, tissue, patients):
    """Map of each slide, float (rows, columns), by a probe that has seen none of the patient's slides."""
    maps = [None] * len(grids)
    for fit, test in GroupKFold(4).split(grids, groups=patients):
        probe = fit_probe([grids[i] for i in fit], [tissue[i] for i in fit])
        for i in test:
            maps[i] = map_of(probe, grids[i])
    return maps


def fit_probe(grids, tissue):
    """Linear model of the embedding of a cell: does it proliferate?"""
    X = np.concatenate([np.asarray(grid.embeddings, np.float32) for grid in grids])
    is_hot = np.concatenate([kinds[tuple(np.asarray(grid.cells).T)] == HOT for grid, kinds in zip(grids, tissue)])
    random = np.random.RandomState(0)
    rows = np.concatenate([random.permutation(np.flatnonzero(is_hot == kind))[:N_CELLS] for kind in (False, True)])
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(X[rows], is_hot[rows])


def map_of(probe, grid):
    """Probability that a cell proliferates, float (rows, columns); 0 without tissue."""
    probabilities = np.zeros(grid.shape)
    probabilities[tuple(np.asarray(grid.cells).T)] = probe.predict_proba(np.asarray(grid.embeddings, np.float32))[:, 1]
    return probabilities


def densest(proliferating, sigma=HOTSPOT_SIGMA_CELLS):
    """The score of a slide of a map of 0 to 1 (rows, columns); by default as the synthetic cohorts define it."""
    return gaussian_filter(proliferating, sigma, mode="constant").max()


def among_tumour(maps, tissue):
    """AUC of proliferating cells among the tumour's cells, mean over the slides that have both."""
    pairs = [(kinds[kinds >= TUMOUR] == HOT, of_probe[kinds >= TUMOUR]) for kinds, of_probe in zip(tissue, maps)]
    return float(np.mean([roc_auc_score(is_hot, values) for is_hot, values in pairs if 0 < is_hot.sum() < len(is_hot)]))


def main(argv=None):
    lab = Lab(read_options(__doc__, argv))
    cohort, test = cohorts(lab)
    if not cohort.tissue:
        print("the tissue of these slides is not known cell by cell: nothing to measure")
        return
    encoders = {} if lab.options.only_published else {"multitask": trained(lab)}
    encoders |= published(lab) | {"mean-RGB": MeanRGBEncoder()}
    rows, scores = [], {}
    for name, encoder in encoders.items():
        grids, grids_of_test = (compressor(lab, encoder).transform(part.paths) for part in (cohort, test))
        maps = maps_out_of_fold(grids, cohort.tissue, cohort.patients)
        probe = fit_probe(grids, cohort.tissue)
        maps_of_test = [map_of(probe, grid) for grid in grids_of_test]
        scores[name] = np.array([densest(of_slide) for of_slide in maps])
        rows.append(
            {
                "encoder": name,
                "AUC of cells": among_tumour(maps, cohort.tissue),
                "score": _spearman(cohort, maps),
                "AUC of cells, test": among_tumour(maps_of_test, test.tissue),
                "score, test": _spearman(test, maps_of_test),
            }
        )
    lab.write(
        "ceiling",
        "Section 4.2, continued: is the score in the grids?",
        rows,
        question="Where a CNN does not find the score of table 1, is it missing in the grids, or not learnt from them?",
        protocol=(
            f"Grids of the {len(cohort)} slides of table 1. A logistic regression learns from the embeddings of single"
            " cells, whose tissue is known here, which ones proliferate; 4 folds by patient. The score is computed from"
            " its map of an unseen slide as it is defined: the densest place, in a Gaussian window of 2 cells. AUC of"
            " proliferating cells among the tumour's, mean over slides; Spearman of the score. Test slides:"
            " by one probe of all the others. The paper has no such experiment."
        ),
        figure=_figure(cohort, scores),
    )


def _spearman(cohort, maps):
    found = np.array([densest(of_slide) for of_slide in maps])
    return str(estimate("spearman", cohort.score, found, groups=cohort.patients))


def _figure(cohort, scores):
    figure, axes = plt.subplots(1, len(scores), figsize=(3 * len(scores), 3), layout="constrained", sharex=True)
    for ax, (name, of_probe) in zip(np.atleast_1d(axes), scores.items()):
        ax.plot(cohort.score, of_probe, ".")
        ax.set(xlabel="Score", ylabel="From the probe's map", title=name)
    return figure


if __name__ == "__main__":
    main()
