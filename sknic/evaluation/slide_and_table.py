"""SlideAndTable: clinical data beside the slide, in one estimator (late fusion)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from sknic.evaluation.clinical_table import check_clinical, clinical_model, like_in_fit, split_columns, words_of
from sknic.evaluation.delegation import available_if_inner_has
from sknic.evaluation.ensemble import CrossValEnsemble
from sknic.evaluation.fitting import risk_level
from sknic.evaluation.metrics import score_of
from sknic.targets import kind_of
from sknic.targets.kinds import need_risks
from sknic.targets.rows import check_paired

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class SlideAndTable(MetaEstimatorMixin, BaseEstimator):
    """Learn from slides and clinical data together (late fusion).

    The slide model is cross-validated, and its predictions for the slides that it has not seen become a column of the
    clinical table ("slide score"), from which the table model learns. For new slides the column is the mean over the
    fold models. `sknic.evaluation.added_value` measures what each side adds.

    Parameters
    ----------
    slide : classifier, regressor or survival estimator for slides, or a Pipeline that ends in one
        Cloned for each fold, such as ``GridCNNClassifier()``.
    table : estimator, default=None
        Learns from the table; cloned. Any scikit-learn or scikit-survival model of a DataFrame, such as
        ``skrub.tabular_pipeline(LogisticRegression())``. By default a ridge, logistic or Cox regression, with
        standardized numbers and one-hot encoded words.
    column : str, default="grid"
        Column of X with the grids, or with the paths if `slide` begins with a SlideCompressor. All other columns are
        clinical data.
    cv : int, splitter or iterable of (train, test), default=4
        Folds of the slide model, as in CrossValEnsemble.
    n_jobs : int, default=None
        Number of folds fitted at once.
    random_state : int, RandomState or None, default=None
        Seed of the folds.
    verbose : int, default=0
        1 shows a progress bar over the folds.

    Attributes
    ----------
    ensemble_ : CrossValEnsemble
        Models of the slides.
    model_ : estimator
        Fitted model of the table with the slide's score.
    feature_names_in_ : object array of str
        Columns of X.
    target_kind_ : str
        Name of the kind of target.

    Notes
    -----
    Risks of two Cox models have no common scale. Each fold's risks are therefore standardized, by mean and standard
    deviation over the slides that the fold tested.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sknic.evaluation import SlideAndTable
    >>> from sknic.evaluation.baseline import MeanEmbedding
    >>> random = np.random.RandomState(0)
    >>> X = pd.DataFrame({"grid": list(random.normal(size=(80, 3, 1, 1))), "age": random.normal(size=80)})
    >>> y = np.stack(X["grid"])[:, 0, 0, 0] + X["age"]
    >>> model = SlideAndTable(make_pipeline(MeanEmbedding(), Ridge()), random_state=0).fit(X, y)
    >>> round(model.score(X, y), 1)
    1.0
    """

    def __init__(
        self,
        slide: Any,
        table: Any = None,
        *,
        column: str = "grid",
        cv: Any = 4,
        n_jobs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.slide = slide
        self.table = table
        self.column = column
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: pd.DataFrame, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Cross-validate the slide model, and fit the model of the table with its out-of-fold scores.

        Parameters
        ----------
        X : DataFrame (n_slides, n_columns)
            A column of grids or paths, and clinical data; of pandas or polars.
        y : array-like (n_slides,), or survival times
            Labels, numbers, or what GridCoxSurvival takes.
        groups : array-like (n_slides,), default=None
            Patient of each slide.

        Returns
        -------
        self : SlideAndTable
            Fitted estimator.

        Raises
        ------
        TypeError
            If X is not a DataFrame.
        ValueError
            If a column is missing, or contains values other than numbers and words.
        """
        check_paired(X=X, y=y, groups=groups)
        slides, clinical = split_columns(X, self.column)
        kind = kind_of(self.slide, y)
        kind.need_one("SlideAndTable")
        y = kind.read(y)
        check_clinical(clinical, y)
        ensemble = CrossValEnsemble(
            self.slide,
            self.cv,
            n_jobs=self.n_jobs,
            random_state=self.random_state,
            verbose=self.verbose,
            baseline=False,
        )
        self.ensemble_ = ensemble.fit(slides, y, groups=groups)
        self.target_kind_ = kind.name
        scores = kind.scores(ensemble.oof_prediction_)
        self._scales = [_scale(kind, scores[ensemble.fold_ == fold]) for fold in range(len(ensemble.estimators_))]
        shift, scale = (np.array(part)[ensemble.fold_] for part in zip(*self._scales))
        self.feature_names_in_, self._words = np.asarray(X.columns, dtype=object), words_of(clinical)
        model = clinical_model(kind) if self.table is None else clone(self.table)
        need_risks(kind, model)
        table = self._with_scores(clinical, (scores - shift) / scale)
        self.model_ = model.fit(table, y)
        need_risks(kind, self.model_)
        self._risk_of_training = risk_level(self.model_, kind, table)
        return self

    @property
    def _inner(self):
        """The model of the table, which predicts."""
        return self.model_ if hasattr(self, "model_") else self.table

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Predict labels, numbers or risks.

        Parameters
        ----------
        X : DataFrame (n_slides, n_columns)
            The columns of `fit`.

        Returns
        -------
        array (n_slides,)
            Predictions of the table model.
        """
        return self.model_.predict(self.to_table(X))

    @available_if_inner_has("predict_proba")
    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Probabilities of the model of the table, shape (n_slides, n_classes)."""
        return self.model_.predict_proba(self.to_table(X))

    @available_if_inner_has("predict_survival_function")
    def predict_survival_function(self, X: pd.DataFrame) -> np.ndarray:
        """Survival functions of the model of the table, an object array of scikit-survival's step functions."""
        return self.model_.predict_survival_function(self.to_table(X))

    def score(self, X: pd.DataFrame, y: ArrayLike) -> float:
        """Score `predict`: accuracy, R2 or concordance.

        Parameters
        ----------
        X : DataFrame (n_slides, n_columns)
            The columns of `fit`.
        y : array-like (n_slides,), or survival times
            Target.

        Returns
        -------
        float
            The metric of the kind of target.
        """
        check_paired(X=X, y=y)
        return score_of(self.ensemble_.kind_, y, self, X)

    def to_table(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the clinical data with the slide score: the input of the table model.

        Parameters
        ----------
        X : DataFrame (n_slides, n_columns)
            The columns of `fit`.

        Returns
        -------
        DataFrame (n_slides, n_clinical + n_scores)
            Clinical columns, then "slide score", or one for each class but the first.

        Raises
        ------
        ValueError
            If a column is missing, or contains numbers where there were words in fit.

        Warns
        -----
        UnseenWordWarning
            If a column contains a word that it did not contain in fit.
        """
        check_is_fitted(self, "model_")
        missing = [name for name in self.feature_names_in_ if name not in getattr(X, "columns", ())]
        if missing:
            raise ValueError(f"X has no {', '.join(map(repr, missing))}: expected the same columns as in fit")
        slides, clinical = split_columns(X[list(self.feature_names_in_)], self.column)
        clinical = like_in_fit(clinical, self._words)
        kind = self.ensemble_.kind_
        method = kind.prediction_method
        of_models = [
            (kind.scores(found) - shift) / scale
            for found, (shift, scale) in zip(self.ensemble_._each(method, slides), self._scales)
        ]
        return self._with_scores(clinical, np.mean(of_models, axis=0))

    @property
    def classes_(self) -> np.ndarray:
        """Labels in the order of the columns of `predict_proba`."""
        return self.model_.classes_

    def _with_scores(self, clinical, scores):
        classes = getattr(self.ensemble_, "classes_", ())
        names = [f"slide score {label}" for label in classes[1:]] if scores.shape[1] > 1 else ["slide score"]
        taken = sorted(set(names) & set(clinical.columns))
        if taken:
            raise ValueError(f"X has a column {taken[0]!r}, which is the name of the slide model's score; rename it")
        return clinical.assign(**dict(zip(names, scores.T)))

    def __sklearn_tags__(self):
        tags, inner = super().__sklearn_tags__(), get_tags(self.slide)
        for name in ("estimator_type", "classifier_tags", "regressor_tags", "target_tags"):
            setattr(tags, name, getattr(inner, name))
        return tags


def _scale(kind, scores):
    """Mean and standard deviation by which to standardize the scores of one model; 0 and 1 if models share a scale."""
    if not kind.has_model_scale:
        return np.zeros(scores.shape[1]), np.ones(scores.shape[1])
    spread = scores.std(axis=0)
    return scores.mean(axis=0), np.where(spread > 0, spread, 1.0)
