"""Encoders and the models of their grids, trained once and cached, and out-of-fold predictions."""

from functools import partial

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import sknic
from benchmarks.common import test_data
from benchmarks.paper.lab import key_of
from benchmarks.paper.material import PATCH, TASKS
from sknic import CrossValEnsemble, MultitaskEncoder, SlideCompressor, load_encoder
from sknic.estimators import PAPER_RECIPE

LONGER = 4  # times as many batches an epoch, where the length of the training is asked about


def multitask(lab, labels, tasks=TASKS, *, steps=None, **parameters):
    """The paper's encoder for some tasks: 32 patches of each a batch, and as many steps whatever the tasks."""
    tasks = [task for task in tasks if task in labels]
    batch_size = 32 * len(tasks)
    steps_per_epoch = max(1, int(labels[tasks].notna().sum().sum()) // batch_size)
    encoder = MultitaskEncoder(
        code_size=lab.size.code_size,
        tasks=tasks,
        batch_size=batch_size,
        max_steps=steps or lab.size.steps,
        eval_every=steps_per_epoch,
        device=lab.options.device,
        random_state=0,
    )
    return encoder.set_params(**parameters)


def unsupervised(lab, name, n_patches, **parameters):
    """BiGAN, VAE or contrastive encoder, for as many steps as the paper's encoder gets."""
    encoder = getattr(sknic, name)(code_size=lab.size.code_size, device=lab.options.device, random_state=0)
    steps_per_epoch = max(1, n_patches // encoder.get_params()["batch_size"])
    return encoder.set_params(max_steps=lab.size.steps, eval_every=steps_per_epoch, **parameters)


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
    """The paper's CNN and training on grids, unfitted, evaluated `longer` times as rarely as the lab's size says.

    `kind` is GridCNNRegressor, GridCNNClassifier or GridCoxSurvival.
    """
    settings = {
        **PAPER_RECIPE,
        "max_steps": lab.size.epochs * longer * lab.size.batches,
        "eval_every": longer * lab.size.batches,
        "validation_fraction": validation_fraction,
    }
    return getattr(sknic, kind)(**settings, device=lab.options.device)


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
