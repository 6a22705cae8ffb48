"""Cross-validation that keeps each fold's model: out-of-fold predictions, and the mean over models for new slides."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags, indexable
from sklearn.utils.validation import check_is_fitted

from sknic.estimators.weights import read_weights
from sknic.evaluation.calibration import calibrate_folds, temperature_of
from sknic.evaluation.censoring import evaluation_times
from sknic.evaluation.fitting import fit_fold, need_weights
from sknic.evaluation.folds import make_folds
from sknic.evaluation.kept_folds import KeptFolds
from sknic.evaluation.mean_of_models import MeanOfModels
from sknic.evaluation.metrics import flat, score_of
from sknic.evaluation.out_of_fold import OutOfFold
from sknic.evaluation.survival_calibration import Recalibration, recalibrate_folds
from sknic.progress import followed
from sknic.targets import kind_named, kind_of
from sknic.targets.kinds import need_risks
from sknic.targets.rows import check_columns, check_paired, names_of_columns

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from sknic.targets import Target


def _joined(parts, order):
    """Predictions of the folds as one array, in the order of the rows; None if a fold has none."""
    return None if any(part is None for part in parts) else np.concatenate(parts)[order]


class CrossValEnsemble(OutOfFold, MeanOfModels, MetaEstimatorMixin, BaseEstimator):
    """Fit one clone of an estimator per fold, keep the clones, and predict their mean.

    This is the paper's protocol (section 4.2): each slide given to `fit` is predicted out of fold, by the model that
    has not seen it; new slides by the mean of the fold models. With `groups`, no patient is on both sides of a split,
    neither between folds nor, if the estimator's `fit` takes groups, in the validation inside it (the 2/1/1 of section
    4.4).

    If the estimator is a pipeline with a SlideCompressor, set its `cache_dir`, or each fold compresses all its slides.

    Parameters
    ----------
    estimator : classifier, regressor or survival estimator, or a Pipeline or search that ends in one
        Cloned, never fitted itself.
    cv : int, splitter or iterable of (train, test)
        An integer makes shuffled folds, stratified by class or event, by patient when `fit` gets groups.
    n_jobs : int, optional
        Number of folds fitted at once, with joblib.
    random_state : int, RandomState or None
        Shuffles the folds.
    verbose : int
        1 shows a progress bar over the folds.
    baseline : bool
        Whether mean embedding and a linear model are also fitted, on the same folds, for `oof_verdict`.
    calibrate : bool
        Whether probabilities are corrected by what the out-of-fold ones were worth: those of classes by a temperature,
        survival curves at the middle of `survival_times_`. `oof_prediction_` or `oof_survival_` of a fold is corrected
        by the other folds.
    folds_dir : str or Path, default=None
        Folder where each fitted fold is kept (safetensors and npz, no pickle): if `fit` is interrupted, the same call
        goes on with the next fold. For estimators of grids.

    Attributes
    ----------
    estimators_ : list of estimators
        The fitted clones, one per fold.
    fold_ : ndarray of int, shape (n_slides,)
        The fold that tested each slide.
    oof_prediction_ : ndarray, shape (n_slides,) or (n_slides, k)
        Out-of-fold prediction of each slide: probabilities (labels if the estimator has none), numbers, or risks
        relative to the mean slide of the fold's training.
    risk_levels_ : ndarray of float, shape (n_folds,)
        Mean risk that each model gives to its training slides, which is subtracted from its risks; 0 for models whose
        risks are such differences, as those of GridCoxSurvival, and for other targets.
    folds_ : list of (train, test)
        Row numbers of each fold.
    sample_weight_ : ndarray of float, shape (n_slides,), or None
        Weight of each slide.
    baseline_prediction_ : ndarray or None
        Out-of-fold prediction of the baseline, in the form of `oof_prediction_`; None without one.
    baseline_reason_ : str
        Why there is no baseline.
    survival_times_ : ndarray or None
        Times inside the follow-up of every fold, for `oof_survival_scores`; None if the target is not survival.
    oof_survival_ : ndarray, shape (n_slides, n_times), or None
        Out-of-fold probability of surviving each of these times; None without survival curves.
    oof_spread_ : ndarray, shape (n_slides,), or None
        How far the members of the fold's model are apart, if the estimator has several (`predict_spread`).
    temperature_ : float
        Temperature that scales `predict_proba`; 1 without `calibrate`.
    recalibration_ : Recalibration or None
        Time, intercept and slope that correct the survival curves; None without `calibrate`.
    classes_ : ndarray
        Labels, for classifiers.
    target_kind_ : str
        Name of the kind of target.
    y_ : ndarray
        Target of each slide.
    groups_ : ndarray or None
        Patient of each slide, None without patients.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sknic import CrossValEnsemble
    >>> X = np.random.RandomState(0).normal(size=(80, 3))
    >>> ensemble = CrossValEnsemble(Ridge(), cv=4, random_state=0).fit(X, X[:, 0])
    >>> len(ensemble.estimators_), ensemble.oof_score("spearman").value > 0.99
    (4, True)
    """

    def __init__(
        self,
        estimator: Any,
        cv: Any = 4,
        *,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
        baseline: bool = True,
        calibrate: bool = False,
        folds_dir: str | Path | None = None,
    ) -> None:
        self.estimator = estimator
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose
        self.baseline = baseline
        self.calibrate = calibrate
        self.folds_dir = folds_dir

    @classmethod
    def from_models(cls, models: list) -> Self:
        """Make an ensemble of models that are already fitted, such as models loaded from files.

        Parameters
        ----------
        models : list of fitted estimators
            Models of one target: its kind and its classes are the same.

        Returns
        -------
        CrossValEnsemble
            Ensemble that predicts their mean; it has no out-of-fold predictions.
        """
        ensemble = cls(models[0], cv=max(2, len(models)))
        ensemble.estimators_, ensemble.temperature_, ensemble.recalibration_ = list(models), 1.0, None
        ensemble.risk_levels_ = np.zeros(len(models))
        kinds = {kind_of(model, ()).name for model in models}
        classes = {str(list(map(str, getattr(model, "classes_", ())))) for model in models}
        for found in (kinds, classes):
            if len(found) > 1:
                raise ValueError(f"models: expected models of one target; found {' and '.join(sorted(found))}")
        ensemble.target_kind_, ensemble.target_names_ = kinds.pop(), getattr(models[0], "target_names_", None)
        return ensemble

    def fit(
        self, X: Any, y: ArrayLike, *, groups: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit one clone per fold and predict each slide by the clone that has not seen it.

        Parameters
        ----------
        X : sequence of n_slides
            Input of the estimator: grids, paths or a table.
        y : array-like, shape (n_slides,) or (n_slides, n_outputs), or survival times
            Labels, numbers, or what GridCoxSurvival takes: a structured array, or a DataFrame with columns "event" and
            "time". The estimator gets survival times as a structured array. With several targets per slide, one per
            column, NaN is a missing label, if the estimator allows it.
        groups : array-like, shape (n_slides,), optional
            Patient of each slide.
        sample_weight : array-like, shape (n_slides,), optional
            Weight of each slide when the estimator is fitted, and the baseline if it takes weights. The scores of
            the ensemble give all slides the same weight.

        Returns
        -------
        self

        Raises
        ------
        PatientLeakageError
            If the given cv puts a patient on both sides.
        DegenerateDataError
            If a fold cannot be learnt: a class is missing, or all events are, or one of several targets does not vary.
        """
        if y is None:
            raise ValueError("CrossValEnsemble requires y to be passed, but the target y is None")
        check_paired(X=X, y=y, groups=groups, sample_weight=sample_weight)
        kind = kind_of(self.estimator, y)
        need_risks(kind, self.estimator)
        target = flat(kind.read(y))
        self.target_names_ = names_of_columns(y)
        X, y, groups = indexable(X, target, groups)
        folds = self.folds_ = make_folds(self.cv, kind, y, groups, self.random_state, X)
        order = np.argsort(np.concatenate([test for _, test in folds]))
        self.fold_ = np.repeat(np.arange(len(folds)), [len(test) for _, test in folds])[order]
        self.survival_times_ = evaluation_times(target, self.fold_) if kind.is_censored else None
        # Not every backend of joblib gives its results one by one.
        parallel = Parallel(n_jobs=self.n_jobs, return_as="generator" if self.verbose else "list")
        self.sample_weight_ = self._weights(sample_weight, len(target))
        given = {"groups": groups, "sample_weight": self.sample_weight_}
        data, wanted = (kind, X, y, given), (self.baseline, self.survival_times_)
        kept = None if self.folds_dir is None else KeptFolds.of(self.folds_dir, self.estimator, X)
        fit_one = delayed(fit_fold if kept is None else kept.fit)
        fitted = parallel(fit_one(clone(self.estimator), *data, *fold, *wanted) for fold in folds)
        fitted = followed(fitted, "folds", len(folds), shown=self.verbose, every=True)
        self.estimators_, parts, baselines, survival, spread, levels = map(list, zip(*fitted))
        self.risk_levels_, self.oof_prediction_ = np.array(levels), np.concatenate(parts)[order]
        if kind.has_model_scale:
            self.oof_prediction_ = self.oof_prediction_ - self.risk_levels_[self.fold_]
        reasons = [baseline for baseline in baselines if isinstance(baseline, str)]
        self.baseline_reason_ = reasons[0] if reasons else ""
        self.baseline_prediction_ = None if reasons else np.concatenate(baselines)[order]
        self.oof_survival_, self.oof_spread_ = _joined(survival, order), _joined(spread, order)
        self.target_kind_, self.y_, self.groups_ = kind.name, y, None if groups is None else np.asarray(groups)
        self.temperature_, self.recalibration_ = 1.0, None
        if self.calibrate:
            self._calibrate()
        return self

    def _weights(self, sample_weight, n):
        if sample_weight is None:
            return None
        need_weights(self.estimator)
        return read_weights(sample_weight, n)

    def _calibrate(self):
        """Find the correction by all folds; each out-of-fold probability is corrected by the others."""
        self.kind_.need_one("calibrate=True")
        found, times = self.oof_prediction_, self.survival_times_
        if self.oof_survival_ is not None and len(times):
            survival, column = self.oof_survival_, len(times) // 2
            self.oof_survival_ = recalibrate_folds(self.y_, survival, times, self.fold_, times[column])
            self.recalibration_ = Recalibration.fit(self.y_, survival[:, column], times[column])
        elif found.ndim == 2 and hasattr(self._first_model, "predict_proba"):
            codes = np.searchsorted(self.classes_, self.y_)
            self.oof_prediction_ = calibrate_folds(found, codes, self.fold_)
            self.temperature_ = temperature_of(found, codes)
        else:
            raise ValueError("calibrate=True: expected False, because this estimator has no probabilities")

    def score(self, X: Any, y: ArrayLike) -> float:
        """Accuracy, R2 or concordance of `predict` on other slides, as the estimator's own `score`.

        Missing labels are left out: R2 is the mean of those of the targets, and a slide counts as right if all its
        known labels are.

        Parameters
        ----------
        X : sequence of n_slides
        y : array-like, shape (n_slides,)

        Returns
        -------
        float
        """
        check_is_fitted(self)
        check_paired(X=X, y=y)
        check_columns(y, self.target_names_)
        return score_of(self.kind_, y, self, X)

    @property
    def kind_(self) -> Target:
        """Kind of the target."""
        check_is_fitted(self)
        return kind_named(self.target_kind_)

    @property
    def n_features_in_(self) -> int:
        """Number of columns seen in `fit`, if X was a table."""
        return self._first_model.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns seen in `fit`, if X was a DataFrame."""
        return self._first_model.feature_names_in_

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "target_tags", "input_tags"):
            setattr(tags, name, getattr(inner, name))
        return tags
