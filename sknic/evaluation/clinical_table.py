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

from sknic.exceptions import MissingCodeWarning, UnseenWordWarning, warn
from sknic.files.nearest import did_you_mean
from sknic.targets import Classification, Regression, Survival, Target
from sknic.targets.cells import few, note_of_codes
from sknic.targets.names import refuse_alike

_BOOLS = (bool, np.bool_)
# Classes coded as text, such as grades "1" to "3", are words; more numbers than this are not.
_MOST_CODES = 10
# Of fewer rows, a column may be like the target by accident.
_FEW = 8

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
        If the column is missing or the only one, if two have one name, or if another column contains values other than
        numbers and words.
    """
    X = as_frame(X)
    if not isinstance(X, pd.DataFrame):
        raise TypeError(f"X is a {type(X).__name__}; expected a DataFrame with the column {column!r} and clinical data")
    if column not in X:
        hint = did_you_mean(column, X.columns) or f", found {', '.join(map(str, X.columns))}"
        raise ValueError(f"column={column!r}: expected a column of X{hint}")
    twice = X.columns[X.columns.duplicated()]
    if len(twice):
        raise ValueError(f"X has two columns {twice[0]!r}: expected different names")
    clinical = X.drop(columns=column)
    if clinical.shape[1] == 0:
        raise ValueError(f"X has no column except {column!r}: expected clinical data as well")
    slides = np.empty(len(X), dtype=object)
    slides[:] = X[column].tolist()
    return slides, pd.DataFrame({name: _clinical(name, clinical[name]) for name in clinical}, index=X.index)


def check_clinical(clinical: pd.DataFrame, y: np.ndarray) -> None:
    """Look for what a table model would learn without a word: the target itself, numbers as text, two spellings.

    Parameters
    ----------
    clinical : DataFrame (n_slides, n_columns)
        From :func:`split_columns`.
    y : array (n_slides,)
        Target, as its kind reads it.

    Raises
    ------
    ValueError
        If a column is the target, has many different numbers as text, or words that differ only in case.

    Warns
    -----
    MissingCodeWarning
        If a number such as -9 may stand for a missing value.
    """
    parts = [y] if y.dtype.names is None else [y[name] for name in y.dtype.names]
    for name, values in clinical.items():
        if any(_is_the_same(values, part) for part in parts):
            raise ValueError(f"column {name!r} of X is the target: expected clinical data that are known without it")
        if pd.api.types.is_numeric_dtype(values.dtype):
            if note := note_of_codes(f"column {name!r} of X", values.dropna().to_numpy()):
                warn(note, MissingCodeWarning)
            continue
        refuse_alike(f"column {name!r} of X", values.dropna(), case=True)
        numbers = pd.to_numeric(values.dropna(), errors="coerce")
        if numbers.notna().all() and numbers.nunique() > _MOST_CODES:
            raise ValueError(
                f"column {name!r} of X contains {numbers.nunique()} numbers as text, such as "
                f"{values.dropna().iloc[0]!r}, which would be a word each; convert it with pandas.to_numeric, or write "
                "codes as words, such as 'site 01'"
            )


def _is_the_same(values, target):
    """Whether a column, where it is known, is the target, perhaps in another unit or with other names for classes."""
    known = values.notna().to_numpy()
    column, target = values[known], target[known]
    n_values, n_targets = column.nunique(), len(np.unique(target.astype(str)))
    if known.sum() < _FEW or min(n_values, n_targets) < 2:
        return False
    if n_targets < known.sum() / 2:
        return n_values == n_targets == len(set(zip(column.astype(str), target.astype(str))))
    if not pd.api.types.is_numeric_dtype(column.dtype) or target.dtype.kind not in "iuf":
        return False
    return abs(np.corrcoef(column.to_numpy(float), target.astype(float))[0, 1]) > 1 - 1e-9


def words_of(clinical: pd.DataFrame) -> dict[str, list[str]]:
    """Return the words of each column of words, sorted.

    Parameters
    ----------
    clinical : DataFrame (n_slides, n_columns)
        From :func:`split_columns`.

    Returns
    -------
    dict of str to list of str
        By name of the column; columns of numbers are left out.
    """
    return {
        name: sorted(set(clinical[name].dropna()))
        for name in clinical
        if not pd.api.types.is_numeric_dtype(clinical[name].dtype)
    }


def like_in_fit(clinical: pd.DataFrame, words: dict[str, list[str]]) -> pd.DataFrame:
    """Check that columns of words are columns of words again, and point out words that nothing was learnt of.

    Parameters
    ----------
    clinical : DataFrame (n_slides, n_columns)
        From :func:`split_columns`.
    words : dict of str to list of str
        From :func:`words_of`, of the table in fit.

    Returns
    -------
    DataFrame
        The same; a column of words without any is of type object.

    Raises
    ------
    ValueError
        If a column of words contains numbers now: 1 is not the word "1", and would count as unknown.

    Warns
    -----
    UnseenWordWarning
        If a word was not there in fit.
    """
    for name, known in words.items():
        values = clinical[name].dropna()
        if not len(values):
            clinical = clinical.astype({name: object})
        elif pd.api.types.is_numeric_dtype(values.dtype):
            raise ValueError(
                f"column {name!r} of X contains numbers such as {values.iloc[0]:g}, and contained words in fit, such "
                f"as {few(known, 3)}; give it the type that it had"
            )
        elif unseen := sorted(set(values) - set(known)):
            warn(
                f"column {name!r} of X contains {few(unseen)}, which it did not in fit ({few(known)}): the table model "
                "has not learnt what it means",
                UnseenWordWarning,
            )
    return clinical


def _clinical(name, values):
    """A column as numbers or words, with NaN for missing values."""
    known = values.dropna()
    # Bools with gaps are objects to pandas: they have to be what bools without gaps are in another table.
    if pd.api.types.is_bool_dtype(values.dtype) or (len(known) and all(isinstance(value, _BOOLS) for value in known)):
        return values.astype(float)
    if pd.api.types.is_complex_dtype(values.dtype):
        raise ValueError(f"column {name!r} of X contains complex numbers; expected numbers or words")
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = values.astype(float)
        if np.isinf(numbers).any():
            raise ValueError(
                f"column {name!r} of X contains an infinite number in row {int(np.isinf(numbers).argmax())}"
            )
        return numbers
    wrong = [value for value in known if not isinstance(value, (str, bool))]
    if wrong:
        kind = type(wrong[0]).__name__
        raise ValueError(
            f"column {name!r} of X contains {wrong[0]!r} ({kind}); expected numbers in a column of a numeric type, not "
            f"{values.dtype}, or words"
        )
    return values.astype(object).where(values.notna(), np.nan).map(str, na_action="ignore")
