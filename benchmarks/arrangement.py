"""What does the position of tissue add? The CNN on grids, compared with the mean embedding and with a bag of cells.

Slides are assembled from real patches (make_mosaic_cohort) and compressed by the published four-task encoder. Each of
four folds has patients and source images of its own. Two targets depend on arrangement (growth pattern, hotspot), one
on amounts (share of tumour), and survival on growth pattern and hotspot. Models that cannot see the arrangement are the
controls: the CNN after the cells of each slide were shuffled, the true amounts of tissue, and the number of cells. If
these predict the growth pattern better than chance, something other than arrangement gives it away.

Each target and model is a step that is kept; --target makes the table of some, --model runs some steps only.
"""

import argparse
import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sksurv.linear_model import CoxnetSurvivalAnalysis

from benchmarks.common import ONE_NETWORK, report, test_data, work_dir
from sknic import (
    CrossValEnsemble,
    Grid,
    GridCNNClassifier,
    GridCNNRegressor,
    GridCoxSurvival,
    SlideCompressor,
    load_encoder,
)
from sknic.datasets import make_mosaic_cohort
from sknic.estimators import AttentionMIL
from sknic.estimators.parameters import with_module
from sknic.evaluation import aggregate, compare, concordance, estimate
from sknic.evaluation.metrics import get_metric

N_SLIDES, SHAPE = 240, (28, 28)
FOLDS = ("fold 1", "fold 2", "fold 3", "fold 4")
METRICS = {"pattern": "auc", "hotspot": "spearman", "tumour_fraction": "spearman", "survival": "concordance"}
CNN = "CNN on grids"


def cohort_of_folds():
    """The slides; each fold, a part of the cohort, has its own patients and source images."""
    return make_mosaic_cohort(
        test_data("patches"),
        N_SLIDES,
        work_dir("arrangement") / "slides",
        shape=SHAPE,
        reserve=0,
        parts=dict.fromkeys(FOLDS, 0.25),
        random_state=0,
    )


def compressed(cohort):
    encoder = load_encoder(test_data("encoders", "encoder_multitask-4.h5"))
    return SlideCompressor(encoder, cache_dir=work_dir("arrangement") / "grids", device="cpu").transform(cohort.paths)


def shuffled(cohort):
    """The same embeddings at the same cells, in another order: only the arrangement is gone."""
    random = np.random.RandomState(0)
    return [Grid(random.permutation(grid.embeddings), grid.cells, grid.shape) for grid in compressed(cohort)]


def mean_embeddings(cohort):
    return np.stack([np.asarray(grid.embeddings, np.float32).mean(axis=0) for grid in compressed(cohort)])


def amounts(cohort):
    return cohort.table[["tumour_fraction", "hot_fraction", "stroma_fraction"]].to_numpy()


def cell_counts(cohort):
    return np.array([[grid.n_cells] for grid in compressed(cohort)], float)


def network(target, module=None):
    """A grid estimator of one network; a batch of the survival model compares many slides."""
    kind = {"pattern": GridCNNClassifier, "survival": GridCoxSurvival}.get(target, GridCNNRegressor)
    model = kind(**ONE_NETWORK, random_state=0, batch_size=64 if target == "survival" else 16)
    return model if module is None else with_module(model, module)


def linear(target):
    """A linear model whose penalty is chosen on the training patients."""
    model, penalties = {
        "pattern": (LogisticRegression(max_iter=3000), {"C": np.logspace(-4, 1, 11)}),
        "survival": (CoxnetSurvivalAnalysis(l1_ratio=0.1), {"alphas": [[a] for a in np.logspace(-2, 0.5, 11)]}),
    }.get(target, (Ridge(), {"alpha": np.logspace(-2, 4, 13)}))
    grid = {f"{type(model).__name__.lower()}__{name}": values for name, values in penalties.items()}
    return GridSearchCV(make_pipeline(StandardScaler(), model), grid, cv=GroupKFold(4))


MODELS = {
    CNN: (compressed, network),
    "attention-MIL": (compressed, partial(network, module=AttentionMIL)),
    "mean embedding, linear": (mean_embeddings, linear),
    "control: CNN, cells shuffled": (shuffled, network),
    "control: amounts of tissue, linear": (amounts, linear),
    "control: number of cells, linear": (cell_counts, linear),
}


def target_of(cohort, target):
    if target == "pattern":
        return (cohort.table["pattern"] == "desmoplastic").to_numpy(int)
    return cohort.survival if target == "survival" else cohort.table[target].to_numpy()


def out_of_fold(cohort, target, model):
    """Out-of-fold prediction of each slide and the seconds it took; found again once computed."""
    path = work_dir("arrangement") / f"{target}, {model}.npz"
    if not path.exists():
        started = time.perf_counter()
        read, make = MODELS[model]
        part = cohort.table["part"].to_numpy()
        cv = [(np.flatnonzero(part != fold), np.flatnonzero(part == fold)) for fold in FOLDS]
        ensemble = CrossValEnsemble(make(target), cv=cv)
        ensemble.fit(read(cohort), target_of(cohort, target), groups=cohort.patients)
        prediction = ensemble.oof_prediction_
        prediction = prediction[:, 1] if prediction.ndim == 2 else prediction
        np.savez(path, prediction=prediction, seconds=time.perf_counter() - started)
    with np.load(path) as file:
        return file["prediction"], float(file["seconds"])


def rows(cohort, targets):
    """The table: score of each model, and its difference from the CNN on the same patients."""
    table = []
    for target in targets:
        name = METRICS[target]
        predictions = {model: out_of_fold(cohort, target, model) for model in MODELS}
        metric = partial(mean_of_folds, get_metric(name))
        for model, (prediction, seconds) in predictions.items():
            truth, prediction, patients = units(cohort, target, prediction)
            of_cnn = units(cohort, target, predictions[CNN][0])[1]
            against = None if model == CNN else compare(metric, truth, of_cnn, prediction, groups=patients)
            table.append(
                {
                    "target": target,
                    "model": model,
                    "metric": name,
                    "mean of folds": str(estimate(metric, truth, prediction, groups=patients)),
                    "CNN minus this": "" if against is None else str(against.difference),
                    "p": "" if against is None else f"{against.p_value:.3f}",
                    "core seconds": round(seconds),
                }
            )
    return table


def mean_of_folds(metric, truth, prediction):
    """A metric within each fold, averaged: other source images shift all predictions of a fold alike."""
    values, fold = prediction.T
    return float(np.mean([metric(truth[fold == k], values[fold == k]) for k in range(len(FOLDS))]))


def units(cohort, target, prediction):
    """Truth, prediction with fold, and patients: of slides, but for survival of patients, who die once."""
    truth = target_of(cohort, target)
    prediction = np.column_stack([prediction, pd.Categorical(cohort.table["part"], FOLDS).codes])
    if target != "survival":
        return truth, prediction, cohort.patients
    patients, prediction = aggregate(prediction, cohort.patients)
    return aggregate(truth, cohort.patients, how="same")[1], prediction, patients


def ceiling(cohort):
    """Concordance of the hazard that survival was drawn from: what a perfect model can reach."""
    truth, hazard, patients = units(cohort, "survival", cohort.table["log_hazard"].to_numpy())
    return estimate(partial(mean_of_folds, concordance), truth, hazard, groups=patients)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", choices=METRICS, nargs="+", default=list(METRICS))
    parser.add_argument("--model", choices=MODELS, nargs="+", default=list(MODELS))
    options = parser.parse_args()
    # The search also tries penalties that leave nothing of a Cox model.
    warnings.filterwarnings("ignore", "all coefficients are zero")
    cohort = cohort_of_folds()
    for target in options.target:
        for model in options.model:
            print(f"{target}, {model}: {out_of_fold(cohort, target, model)[1]:.0f} s", flush=True)
    if set(options.model) == set(MODELS):
        title = f"{len(cohort)} slides of {len(set(cohort.patients))} patients, {SHAPE[0]} x {SHAPE[1]} cells"
        report("arrangement", rows(cohort, options.target), title)
        print(f"survival by the true hazard: {ceiling(cohort)}")


if __name__ == "__main__":
    main()
