"""Predictions of encoders with heads: classes of patches by task, probabilities, and scores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from sknic.encoders.network_encoder import NetworkEncoder
from sknic.encoders.task_heads import TaskHeads


class TaskEncoder(NetworkEncoder):
    """A `NetworkEncoder` that learns labelled tasks; a subclass also sets the attributes listed here in `fit`.

    Attributes
    ----------
    heads_ : TaskHeads
        The heads that the encoder was trained with.
    history_ : list of dict
        One dict per evaluation; kept in the file.
    """

    heads_: TaskHeads
    history_: list[dict]

    @property
    def task_names_(self) -> list[str]:
        """Names of the tasks; list of str."""
        check_is_fitted(self)
        return self.heads_.names

    @property
    def classes_(self) -> Any:
        """Classes of each task, or of the only task if y was 1-D."""
        check_is_fitted(self)
        return self.heads_.classes[0] if self.heads_.one_column else self.heads_.classes

    def predict_proba(self, X: np.ndarray) -> Any:
        """Probabilities of the classes.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)
            Patches, RGB.

        Returns
        -------
        list of float32 array (n, n_classes)
            One per task, classes in the order of `classes_`; a single array if y was 1-D.
        """
        codes = self.transform(X)
        return self.heads_.predict_proba(codes)

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable classes.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)
            Patches, RGB.

        Returns
        -------
        ndarray (n, n_tasks), or (n,) if y was 1-D
            Class of each patch for each task.
        """
        codes = self.transform(X)
        return self.heads_.predict(codes)

    def score(self, X: np.ndarray, y: Any) -> float:
        """Mean over the tasks of the balanced accuracy, on the patches that have a label.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)
            Patches, RGB.
        y : DataFrame or array (n, n_tasks), or labels (n,)
            Labels as in `fit`.

        Returns
        -------
        float
            From 0 to 1.
        """
        return float(self.score_tasks(X, y)["balanced_accuracy"].mean())

    def score_tasks(self, X: np.ndarray, y: Any) -> pd.DataFrame:
        """Accuracy of each task, on the patches that have a label for it.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)
            Patches, RGB.
        y : DataFrame or array (n, n_tasks), or labels (n,)
            Labels as in `fit`, with the columns of `task_names_`; others are ignored, missing ones give NaN.

        Returns
        -------
        DataFrame
            Columns n, accuracy and balanced_accuracy, indexed by task.
        """
        codes = self.transform(X)
        return self.heads_.score_tasks(codes, y)

    def _to_file(self):
        header, tensors = super()._to_file()
        entries, weights = self.heads_.to_file()
        return header | entries | {"history": self.history_}, tensors | weights

    @classmethod
    def _from_file(cls, header, tensors, device, module=None):
        encoder = super()._from_file(header, tensors, device)
        encoder.heads_ = TaskHeads.from_file(header, tensors, encoder.network_.out_features)
        encoder.history_ = header["history"]
        return encoder
