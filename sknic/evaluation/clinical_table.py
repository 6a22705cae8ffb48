"""Clinical data: the columns other than the slide, and the linear model that learns from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sksurv.linear_model import CoxPHSurvivalAnalysis

from sknic.files.nearest import did_you_mean
from sknic.targets import Classification, Regression, Survival, Target

# By kind of target; for a kind that is not here, `table` has no default.
_MODELS = {
    Regression.name: lambda: RidgeCV(np.logspace(-2, 4, 13)),
    Classification.name: lambda: LogisticRegression(max_iter=2000),
    Survival.name: lambda: CoxPHSurvivalAnalysis(alpha=0.1),
}


def clinical_model(kind: Target) -> Pipeline:
    """Return an unfitted linear model of a clinical table.

    Numbers are standardized, with missing values replaced by the median and marked. Words are one-hot encoded: a
    missing value is a word of its own, and unseen words are ignored.

    Parameters
    ----------
    kind : sknic.targets.Target
        Kind of the target.

    Returns
    -------
    Pipeline
        Preparation of the columns, and a ridge, logistic or Cox regression.

    Raises
    ------
    ValueError
        For a user-defined kind.
    """
    if kind.name not in _MODELS:
        raise ValueError(f"table=None: expected an estimator, because there is no default for {kind.name}")
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    prepared = ColumnTransformer(
        [
            ("numbers", numbers, make_column_selector(dtype_include="number")),
            ("words", words, make_column_selector(dtype_exclude="number")),
        ]
    )
    return make_pipeline(prepared, _MODELS[kind.name]())


def as_frame(X: Any) -> Any:
    """Take a table of polars as one of pandas, where columns of objects have a place; anything else as it is."""
    if isinstance(X, pd.DataFrame) or not hasattr(X, "get_columns"):
        return X
    return pd.DataFrame({column.name: column.to_list() for column in X.get_columns()})


def split_columns(X: pd.DataFrame, column: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Separate the slides from the other columns of a table.

    Parameters
    ----------
    X : DataFrame (n_slides, n_columns)
        Slides and clinical data, of pandas or polars.
    column : str
        Column of the slides.

    Returns
    -------
    slides : object array (n_slides,)
        Grids or paths.
    clinical : DataFrame (n_slides, n_columns - 1)
        The other columns, with missing values as NaN.

    Raises
    ------
    TypeError
        If X is not a DataFrame.
    ValueError
        If the column is missing or the only one, or if another column contains values other than numbers and words.
    """
    X = as_frame(X)
    if not isinstance(X, pd.DataFrame):
        raise TypeError(f"X is a {type(X).__name__}; expected a DataFrame with the column {column!r} and clinical data")
    if column not in X:
        hint = did_you_mean(column, X.columns) or f", found {', '.join(map(str, X.columns))}"
        raise ValueError(f"column={column!r}: expected a column of X{hint}")
    clinical = X.drop(columns=column)
    if clinical.shape[1] == 0:
        raise ValueError(f"X has no column except {column!r}: expected clinical data as well")
    slides = np.empty(len(X), dtype=object)
    slides[:] = X[column].tolist()
    return slides, pd.DataFrame({name: _clinical(name, clinical[name]) for name in clinical}, index=X.index)


def _clinical(name, values):
    """A column as numbers or words, with NaN for missing values."""
    if pd.api.types.is_bool_dtype(values.dtype):
        return values.astype(float)
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.astype(float)
        if np.isinf(numbers).any():
            raise ValueError(
                f"column {name!r} of X contains an infinite number in row {int(np.isinf(numbers).argmax())}"
            )
        return numbers
    known = values.dropna()
    wrong = [value for value in known if not isinstance(value, (str, bool))]
    if wrong:
        kind = type(wrong[0]).__name__
        raise ValueError(f"column {name!r} of X contains {wrong[0]!r} ({kind}); expected numbers or words")
    return values.astype(object).where(values.notna(), np.nan).map(lambda word: word if word is np.nan else str(word))
