"""The heads of a multitask encoder: classes, probabilities, scores, and how they are stored in a file."""

import numpy as np
import pandas as pd
import torch

from sknic.encoders.labels import score_labels, to_frame
from sknic.encoders.networks import Head
from sknic.files.weights import part


class TaskHeads:
    """Heads of several tasks, which read embeddings.

    Parameters
    ----------
    names : list of str
        Names of the tasks.
    classes : list of ndarray
        Classes of each task, sorted.
    modules : list of torch.nn.Module
        One per task, from embeddings to logits, on the CPU and in evaluation mode.
    one_column : bool
        Whether the labels were 1-D; the predictions then are, too.
    """

    def __init__(self, names, classes, modules, one_column):
        self.names, self.classes, self.modules, self.one_column = names, classes, modules, one_column

    def predict_proba(self, embeddings):
        """Probabilities, float32 (n, n_classes), of each task in a list; a single array when labels were 1-D."""
        codes = torch.from_numpy(embeddings)
        with torch.inference_mode():
            probabilities = [module(codes).softmax(1).numpy() for module in self.modules]
        return probabilities[0] if self.one_column else probabilities

    def predict(self, embeddings):
        """Most probable classes (n, n_tasks); (n,) when labels were 1-D."""
        probabilities = self.predict_proba(embeddings)
        if self.one_column:
            return self.classes[0][probabilities.argmax(1)]
        columns = [classes[p.argmax(1)] for classes, p in zip(self.classes, probabilities)]
        same_type = len({classes.dtype.kind for classes in self.classes}) == 1
        return np.stack(columns, axis=1) if same_type else np.stack([c.astype(object) for c in columns], axis=1)

    def score_tasks(self, embeddings, y):
        """Accuracy of each task on the patches that have a label for it; a DataFrame indexed by task."""
        predicted = self.predict(embeddings)
        labels = to_frame(y, len(embeddings))
        if self.one_column and labels.shape[1] == 1:
            labels = labels.set_axis(self.names, axis=1)
        missing = pd.Series([None] * len(labels), dtype=object)
        rows = [
            score_labels(labels.get(name, missing), guess, classes)
            for name, guess, classes in zip(self.names, predicted.reshape(len(labels), -1).T, self.classes)
        ]
        return pd.DataFrame(rows, index=pd.Index(self.names, name="task"))

    def known(self, tasks):
        """Modules, by name, of those of these tasks that have the same name and classes here."""
        own = dict(zip(self.names, zip(self.modules, self.classes)))
        return {
            task.name: own[task.name][0]
            for task in tasks
            if task.name in own and np.array_equal(own[task.name][1], task.classes)
        }

    def to_file(self):
        """Entries of the header, and tensors."""
        tasks = [{"name": name, "classes": classes.tolist()} for name, classes in zip(self.names, self.classes)]
        tensors = {
            f"heads.{task}.{name}": tensor
            for task, module in enumerate(self.modules)
            for name, tensor in module.state_dict().items()
        }
        return {"tasks": tasks, "one_column": self.one_column}, tensors

    @classmethod
    def from_file(cls, header, tensors, code_size):
        """The heads from what `to_file` returned."""
        classes = [np.array(task["classes"]) for task in header["tasks"]]
        modules = []
        for task, labels in enumerate(classes):
            with torch.device("meta"):
                module = Head(code_size, len(labels))
            module.load_state_dict(part(tensors, f"heads.{task}."), assign=True)
            modules.append(module.eval().requires_grad_(False))
        return cls([str(task["name"]) for task in header["tasks"]], classes, modules, bool(header["one_column"]))
