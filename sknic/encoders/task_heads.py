"""What the heads of a multitask encoder answer: classes, probabilities, scores; and how they are kept in a file."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted

from sknic.encoders.labels import score_labels, to_frame
from sknic.encoders.networks import Head
from sknic.encoders.store import part


def known_heads(encoder, tasks):
    """Heads, by task, of a multitask encoder for those tasks that have the same name and classes there."""
    if not isinstance(encoder, TaskHeads):
        return {}
    known = dict(zip(encoder.task_names_, zip(encoder.heads_, encoder._classes)))
    return {
        task.name: known[task.name][0]
        for task in tasks
        if task.name in known and np.array_equal(known[task.name][1], task.classes)
    }


class TaskHeads:
    """Mixin of an encoder with `heads_`, `task_names_`, `_classes` and `_one_column`."""

    heads_: Any
    task_names_: list[str]
    transform: Any
    _classes: list[np.ndarray]
    _one_column: bool

    @property
    def classes_(self) -> Any:
        """Classes of each task, or of the only one when y was 1-D."""
        check_is_fitted(self)
        return self._classes[0] if self._one_column else self._classes

    def predict_proba(self, X: np.ndarray) -> Any:
        """Probabilities of the classes.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)

        Returns
        -------
        list of float32 array (n, n_classes)
            One per task, classes in the order of `classes_`; a single array when y was 1-D.
        """
        codes = torch.from_numpy(self.transform(X))
        with torch.inference_mode():
            probabilities = [head(codes).softmax(1).numpy() for head in self.heads_]
        return probabilities[0] if self._one_column else probabilities

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Most probable classes.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)

        Returns
        -------
        ndarray (n, n_tasks), or (n,) when y was 1-D
        """
        probabilities = self.predict_proba(X)
        if self._one_column:
            return self._classes[0][probabilities.argmax(1)]
        columns = [classes[p.argmax(1)] for classes, p in zip(self._classes, probabilities)]
        same_type = len({classes.dtype.kind for classes in self._classes}) == 1
        return np.stack(columns, axis=1) if same_type else np.stack([c.astype(object) for c in columns], axis=1)

    def score(self, X: np.ndarray, y: Any) -> float:
        """Mean over the tasks of the balanced accuracy, on the patches that have a label.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)
        y : as in `fit`

        Returns
        -------
        float
        """
        return float(self.score_tasks(X, y)["balanced_accuracy"].mean())

    def score_tasks(self, X: np.ndarray, y: Any) -> pd.DataFrame:
        """Accuracy of each task, on the patches that have a label for it.

        Parameters
        ----------
        X : uint8 array (n, size, size, 3)
        y : as in `fit`
            With the columns of `task_names_`; others are ignored, missing ones give NaN.

        Returns
        -------
        DataFrame
            Columns n, accuracy and balanced_accuracy, indexed by task.
        """
        predicted = self.predict(X)
        labels = to_frame(y, len(X))
        if self._one_column and labels.shape[1] == 1:
            labels = labels.set_axis(self.task_names_, axis=1)
        missing = pd.Series([None] * len(labels), dtype=object)
        rows = [
            score_labels(labels.get(name, missing), guess, classes)
            for name, guess, classes in zip(self.task_names_, predicted.reshape(len(labels), -1).T, self._classes)
        ]
        return pd.DataFrame(rows, index=pd.Index(self.task_names_, name="task"))

    def _to_file(self):
        header, tensors = super()._to_file()
        header["tasks"] = [{"name": n, "classes": c.tolist()} for n, c in zip(self.task_names_, self._classes)]
        header["one_column"] = self._one_column
        header["history"] = self.history_
        for task, head in enumerate(self.heads_):
            tensors |= {f"heads.{task}.{name}": tensor for name, tensor in head.state_dict().items()}
        return header, tensors

    @classmethod
    def _from_file(cls, header, tensors, device):
        encoder = super()._from_file(header, tensors, device)
        encoder.task_names_ = [str(task["name"]) for task in header["tasks"]]
        encoder._classes = [np.array(task["classes"]) for task in header["tasks"]]
        encoder._one_column = bool(header["one_column"])
        encoder.history_ = header["history"]
        encoder.heads_ = []
        for task, classes in enumerate(encoder._classes):
            with torch.device("meta"):
                head = Head(encoder.network_.out_features, len(classes))
            head.load_state_dict(part(tensors, f"heads.{task}."), assign=True)
            encoder.heads_.append(head.eval().requires_grad_(False))
        return encoder
