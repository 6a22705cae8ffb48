"""Fitted folds in a folder, so that an interrupted cross-validation goes on with the next one; no pickle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import joblib
import numpy as np

from sknic import __version__
from sknic.estimators import load_estimator
from sknic.estimators.base import GridEstimator
from sknic.estimators.reading import provenance
from sknic.evaluation.fitting import FittedFold, fit_fold
from sknic.exceptions import RunFolderError
from sknic.files.callables import callable_identity
from sknic.files.whole import whole_file

_ARRAYS = ("prediction", "baseline", "survival", "spread")


@dataclass(frozen=True)
class KeptFolds:
    """Fits folds, or reads those that were fitted before on the same slides, targets and settings.

    Attributes
    ----------
    folder : Path
        Holds two files per fold: the model (safetensors) and its predictions (npz).
    slides : str
        Hash of the content of all slides.
    """

    folder: Path
    slides: str

    @classmethod
    def of(cls, folder: str | Path, estimator: Any, X: Any) -> Self:
        """Prepare a folder for the folds of these slides.

        Parameters
        ----------
        folder : str or Path
            Folder; created when the first fold is kept.
        estimator : GridEstimator
            Estimator to cross-validate.
        X : sequence of n_slides Grids or arrays
            All slides.

        Returns
        -------
        KeptFolds

        Raises
        ------
        TypeError
            If the estimator does not write files without pickle.
        """
        if not isinstance(estimator, GridEstimator):
            raise TypeError(
                f"folds_dir: expected None, because {type(estimator).__name__} does not write its own files; only "
                "estimators of grids do"
            )
        return cls(Path(folder), joblib.hash([_content(grid) for grid in X]))

    def fit(self, model, kind, X, y, given, train, test, with_baseline, times):
        """Do what `fit_fold` does, unless the folder has it already.

        Returns
        -------
        FittedFold
        """
        asked = (__version__, self.slides, _settings(model), kind.name, y, given, train, test, with_baseline, times)
        name = joblib.hash(asked)
        weights, arrays = self.folder / f"{name}.safetensors", self.folder / f"{name}.npz"
        if arrays.exists() and weights.exists():
            known = _read(arrays)
            if known["baseline"].ndim == 0:  # the reason why there is none
                known["baseline"] = str(known["baseline"])
            read = load_estimator(weights, device=model.device, module=model.module)
            read.set_params(**model.get_params(deep=False))  # a file lacks some, such as callbacks
            return FittedFold(read, **known)
        fitted = fit_fold(model, kind, X, y, given, train, test, with_baseline, times)
        self.folder.mkdir(parents=True, exist_ok=True)
        fitted.model.save(weights)
        known = {part: getattr(fitted, part) for part in _ARRAYS}
        with whole_file(arrays) as temporary, open(temporary, "wb") as file:
            np.savez(file, **{part: values for part, values in known.items() if values is not None})
        return fitted


def _content(grid):
    """Hash of all that a model knows of a grid; one grid after the other, because a cohort may not fit memory."""
    if not hasattr(grid, "orientations"):
        return joblib.hash(grid)
    return joblib.hash((provenance(grid), grid.shape, grid.cells, [each.embeddings for each in grid.orientations]))


def _read(arrays):
    """The predictions of a fold, by name; None if it has none of a kind."""
    try:
        with open(arrays, "rb") as file, np.load(file, allow_pickle=False) as found:
            return {part: found.get(part) for part in _ARRAYS}
    except (OSError, EOFError, ValueError, BadZipFile) as error:
        raise RunFolderError(f"{arrays}: damaged ({error}); delete it, and this fold is fitted again") from error


def _settings(model):
    """Class and parameters of an estimator; functions by their code, because a name stays when the code changes."""
    params = model.get_params(deep=False)
    callbacks = [each[1] if isinstance(each, tuple) else each for each in model.callbacks or ()]
    code = {
        "module": None if model.module is None else callable_identity(model.module, "module", "folds_dir"),
        "callbacks": [callable_identity(each, "callbacks", "folds_dir") for each in callbacks],
    }
    return callable_identity(type(model), "estimator", "folds_dir"), params | code
