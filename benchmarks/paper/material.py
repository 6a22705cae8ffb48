"""What the experiments are made of: cohorts, labelled patches, encoders, and predictions out of fold."""

from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import pandas as pd
from common import test_data
from joblib import Parallel, delayed
from lab import key_of
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sknic
from sknic import CrossValEnsemble, MultitaskEncoder, SlideCompressor, datasets, load_encoder
from sknic.evaluation import compare, estimate
from sknic.evaluation.metrics import get_metric
from sknic.slides import Lattice, PatchReader, Slide, tissue_mask
from sknic.splits import split

PATCH = 128  # px at 0.5 um/px, of a cell; averaged 2x2 for the encoders, as in the paper
TASKS = ("lymph", "mitosis", "prostate", "colorectal")
LONGER = 4  # times as many batches an epoch, where the length of the training is asked about


@dataclass(frozen=True)
class LabelledPatches:
    """Patches for encoders; no source is on both sides, and none is in the slides of a mosaic cohort.

    Attributes
    ----------
    X : uint8 array (n, 64, 64, 3)
    labels : DataFrame, one column a task
    groups, centers : array (n,) or None
        Source and scanner of each patch.
    train, held_out : int array
        Rows to train and to measure on.
    """

    X: np.ndarray
    labels: pd.DataFrame
    groups: np.ndarray
    centers: np.ndarray | None
    train: np.ndarray
    held_out: np.ndarray

    @property
    def training_data(self):
        """What the `fit` of MultitaskEncoder takes."""
        rows = self.train
        centers = None if self.centers is None else self.centers[rows]
        return self.X[rows], self.labels.iloc[rows], self.groups[rows], centers


@cache
def cohorts(lab):
    """The slides to cross-validate on, and those of the external test (None where a user's table names none)."""
    if lab.options.cohort == "mosaic":
        return _parts(_mosaic(lab))
    if lab.options.cohort == "table":
        cohort = datasets.read_cohort(lab.options.csv)
        return _parts(cohort) if "part" in cohort.table else (cohort, None)
    make = partial(datasets.make_histology_cohort, shape=lab.size.shape, n_jobs=lab.n_jobs, verbose=1)
    train = make(lab.size.n_slides, lab.folder / "slides-train", random_state=0)
    return train, make(lab.size.n_test, lab.folder / "slides-test", random_state=1)


def _parts(cohort):
    return tuple(cohort.select(cohort.table["part"] == part) for part in ("train", "test"))


def _mosaic(lab):
    """Slides of real patches: sources of encoders, of training slides and of test slides are three disjoint sets."""
    n, n_test = lab.size.n_slides, lab.size.n_test
    return datasets.make_mosaic_cohort(
        lab.options.patches,
        n + n_test,
        lab.folder / "slides",
        shape=lab.size.shape,
        parts={"train": n / (n + n_test), "test": n_test / (n + n_test)},
        random_state=0,
        n_jobs=lab.n_jobs,
        verbose=1,
    )


@cache
def labelled_patches(lab):
    """The patches that encoders learn from: drawn, or the user's; of a mosaic only sources that no slide shows."""
    if lab.options.patches is None:
        drawn = datasets.make_patch_tasks(lab.size.n_patches, random_state=0)
        X, labels, groups, centers = drawn.patches, drawn.labels, drawn.groups, drawn.centers
    else:
        X, table = datasets.load_patch_folder(lab.options.patches, lab.folder / "patches.npy")
        if lab.options.cohort == "mosaic":
            rows = np.flatnonzero(table["group"].isin(cohorts(lab)[0].groups["encoder"]))
            X, table = X[rows], table.iloc[rows].reset_index(drop=True)
        labels, groups = table.pivot(columns="task", values="label"), table["group"].to_numpy(str)
        centers = table["centre"].to_numpy(str) if "centre" in table else None
    first = labels.bfill(axis=1).iloc[:, 0]
    train, held_out = split(len(X), 0.2, groups=groups, stratify=first.to_numpy(str), random_state=0)
    return LabelledPatches(X, labels, groups, centers, train, held_out)


def cohort_patches(lab, cohort, n=4000):
    """Patches of 64 px at 1 um/px drawn evenly over the tissue of a cohort's slides: what the CNN will see of them."""

    def draw():
        random = np.random.RandomState(0)
        n_each = -(-n // len(cohort))
        return {"X": np.concatenate([_tissue_patches(path, n_each, random) for path in cohort.paths])}

    return lab.step("cohort-patches", {"paths": cohort.paths, "n": n, "patch": PATCH}, draw)["X"]


def _tissue_patches(path, n, random):
    with Slide(path) as slide:
        lattice = Lattice.of(slide, mpp=1.0, patch_size=PATCH // 2)
        cells = np.argwhere(tissue_mask(slide, "otsu").coverage(lattice) > 0.6).astype(np.int32)
        chosen = cells[random.choice(len(cells), min(n, len(cells)), replace=False)]
        return PatchReader(slide, lattice).read(chosen)


def multitask(lab, labels, tasks=TASKS, *, steps=None, **parameters):
    """The paper's encoder for some tasks: 32 patches of each a batch, and as many steps whatever the tasks."""
    tasks = [task for task in tasks if task in labels]
    batch_size = 32 * len(tasks)
    steps_per_epoch = max(1, int(labels[tasks].notna().sum().sum()) // batch_size)
    encoder = MultitaskEncoder(
        code_size=lab.size.code_size,
        tasks=tasks,
        batch_size=batch_size,
        max_epochs=max(1, (steps or lab.size.steps) // steps_per_epoch),
        device=lab.options.device,
        random_state=0,
    )
    return encoder.set_params(**parameters)


def unsupervised(lab, name, n_patches, **parameters):
    """BiGAN, VAE or contrastive encoder, for as many steps as the paper's encoder gets."""
    encoder = getattr(sknic, name)(code_size=lab.size.code_size, device=lab.options.device, random_state=0)
    steps_per_epoch = max(1, n_patches // encoder.get_params()["batch_size"])
    return encoder.set_params(max_epochs=max(1, lab.size.steps // steps_per_epoch), **parameters)


def published(lab):
    """Name -> file of the published encoders at hand."""
    folder = lab.options.published or test_data("encoders")
    names = {"multitask-4, published": "encoder_multitask-4.h5", "BiGAN, published": "encoder_bigan.h5"}
    return {name: str(folder / file) for name, file in names.items() if (folder / file).exists()}


def train_encoders(lab, encoders, data, data_settings):
    """Fit encoders, several at once on a CPU, and keep each in a file.

    Parameters
    ----------
    lab : Lab
    encoders : dict of str to unfitted encoder
    data : tuple
        What `fit` takes.
    data_settings : dict
        What the data follow from, as JSON values.

    Returns
    -------
    dict of str to str
        File of each encoder.
    """
    one = partial(_train_encoder, lab, data=data, data_settings=data_settings)
    Parallel(n_jobs=lab.n_jobs)(delayed(one)(name, encoder) for name, encoder in encoders.items())
    return {name: one(name, encoder) for name, encoder in encoders.items()}


def _train_encoder(lab, name, encoder, *, data, data_settings):
    settings = {"class": type(encoder).__name__, **_settings(encoder), **data_settings}
    file = lab.folder / "encoders" / f"{name}-{key_of(settings)}.safetensors"

    def fit():
        file.parent.mkdir(parents=True, exist_ok=True)
        clone(encoder).fit(*data).save(file)
        return {}

    lab.step(f"encoder-{name}", settings, fit)
    return str(file)


def compressor(lab, encoder):
    """SlideCompressor of 128 px at 0.5 um/px for any encoder, with the grids kept."""
    return SlideCompressor(
        encoder, mpp=0.5, patch_size=PATCH, cache_dir=lab.folder / "grids", device=lab.options.device, n_jobs=lab.n_jobs
    )


def grid_cnn(lab, kind, validation_fraction, longer=1):
    """The paper's CNN on grids, unfitted, with epochs `longer` times as long as those of the lab's size.

    `kind` is GridCNNRegressor, GridCNNClassifier or GridCoxSurvival.
    """
    return getattr(sknic, kind)(
        max_epochs=lab.size.epochs,
        min_batches=longer * lab.size.batches,
        validation_fraction=validation_fraction,
        device=lab.options.device,
    )


def pooled(model):
    """A model on the mean embedding of a slide: what is left when the arrangement is thrown away."""
    return make_pipeline(FunctionTransformer(_mean_embeddings), StandardScaler(), model)


def pooled_ridge():
    return pooled(RidgeCV(alphas=np.logspace(-2, 4, 13)))


def pooled_logistic():
    return pooled(LogisticRegression(C=0.1, max_iter=1000))


def _mean_embeddings(grids):
    return np.stack([np.asarray(grid.embeddings, np.float32).mean(axis=0) for grid in grids])


def predict(lab, name, encoder, model, y, cohort, test=None):
    """Predict a cohort out of fold, and a test cohort by the mean of the folds' models, once for each seed.

    Four folds by patient; the estimator's own validation part is by patient too.

    Parameters
    ----------
    lab : Lab
    name : str
        Of the encoder and model, for the files.
    encoder, model : encoder or its file, unfitted estimator on grids
    y : array (n_slides,)
    cohort, test : Cohort

    Returns
    -------
    oof : float array (n_slides, n_seeds)
        Out-of-fold numbers, risks, or probabilities of the class that sorts last.
    of_test : float array (n_test, n_seeds) or None
    """
    columns = [_predict_once(lab, name, encoder, model, y, cohort, test, seed) for seed in lab.seeds]
    oof, of_test = (np.stack([column[part] for column in columns], axis=1) for part in ("oof", "test"))
    return oof, of_test if test is not None else None


def _predict_once(lab, name, encoder, model, y, cohort, test, seed):
    seeded = clone(model)
    seeded.set_params(**{key: seed for key in seeded.get_params() if key.rpartition("__")[2] == "random_state"})
    to_grids = compressor(lab, encoder)

    def fit():
        X = to_grids.transform(cohort.paths)
        n_jobs = None if lab.n_jobs == 1 else lab.n_jobs
        ensemble = CrossValEnsemble(seeded, cv=4, n_jobs=n_jobs, random_state=seed).fit(X, y, groups=cohort.patients)
        of_test = _positive(ensemble, to_grids.transform(test.paths)) if test is not None else np.empty(0)
        return {"oof": _last_column(ensemble.oof_prediction_), "test": of_test}

    loaded = encoder if hasattr(encoder, "fingerprint") else load_encoder(encoder)
    settings = {
        "encoder": loaded.fingerprint(),
        "model": _settings(seeded),
        "y": key_of({"y": np.asarray(y).tolist()}),
        "slides": key_of({"paths": cohort.paths, "table": cohort.table.to_csv()}),
        "test": key_of({"table": test.table.to_csv()}) if test is not None else None,
        "seed": seed,
    }
    return lab.step(f"{name}-seed{seed}", settings, fit)


def _positive(ensemble, X):
    return _last_column(ensemble.predict_proba(X) if hasattr(ensemble, "predict_proba") else ensemble.predict(X))


def _last_column(prediction):
    return prediction[:, -1] if prediction.ndim == 2 else prediction


def _settings(estimator):
    """What decides the outcome of an estimator's fit, as text."""
    params = {name: _named(value) for name, value in estimator.get_params().items() if name != "steps"}
    return {"class": type(estimator).__name__, "params": {k: v for k, v in params.items() if not k.endswith("device")}}


def _named(value):
    if hasattr(value, "get_params"):
        return type(value).__name__
    return value.__qualname__ if callable(value) else str(value)


def over_seeds(metric):
    """The mean over the seeds of a metric of predictions (n, n_seeds), for `estimate` and `compare`."""
    of_one = get_metric(metric)

    def mean(y_true, y_pred):
        return float(np.mean([of_one(y_true, column) for column in y_pred.T]))

    return mean


def spread(metric, y_true, y_pred):
    """Lowest and highest of a metric over the seeds, as text; empty for one seed."""
    values = [get_metric(metric)(y_true, column) for column in y_pred.T]
    return f"{min(values):.3f} to {max(values):.3f}" if len(values) > 1 else ""


def verdict(a, b, comparison):
    """One sentence on a paired difference, which says so when it is smaller than its interval."""
    d = comparison.difference
    if d.low <= 0 <= d.high:
        return f"{a} against {b}: {d}, within its interval of zero: no difference shown."
    return f"{a} is {'above' if d.value > 0 else 'below'} {b}: {d}."


def on_test(metric, test, y_test, prediction):
    """A metric, by name, on the external test slides and its spread over the seeds, as text; a dash without them."""
    if test is None:
        return "–"
    mean = estimate(over_seeds(metric), y_test, prediction, groups=test.patients)
    seeds = spread(metric, y_test, prediction)
    return f"{mean}; seeds {seeds}" if seeds else str(mean)


def verdicts(metric, predictions, cohort, y, test, y_test, pairs=None):
    """A finding for each pair of names, the first with each other one unless given: out of fold, then on the test."""
    first, *others = predictions
    findings = []
    for a, b in pairs or [(first, other) for other in others]:
        sentences = [verdict(a, b, compare(metric, y, predictions[a][0], predictions[b][0], groups=cohort.patients))]
        if test is not None:
            on = compare(metric, y_test, predictions[a][1], predictions[b][1], groups=test.patients)
            sentences.append(f"On the test slides, {verdict(a, b, on)}")
        findings.append(" ".join(sentences))
    return findings


def external(test):
    """Sentence on what the test slides are, for the protocols."""
    if test is None:
        return ""
    return (
        f" External test: {len(test)} slides of {len(set(test.patients))} other patients (in the mosaic of other source"
        " images, which the folds share), predicted by the mean of the four CNNs."
    )
