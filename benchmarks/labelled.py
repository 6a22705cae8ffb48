"""The real patches as folds by source image, for the benchmark of encoders."""

from dataclasses import dataclass

import numpy as np

from benchmarks.common import test_data, work_dir

N_FOLDS = 4


@dataclass(frozen=True)
class Data:
    """Patches, one column of labels a task (None where there is none), source images, fold of each patch."""

    patches: np.ndarray
    labels: object
    groups: np.ndarray
    fold: np.ndarray

    def split(self, fold):
        """Rows to train on and to test on."""
        return np.flatnonzero(self.fold != fold), np.flatnonzero(self.fold == fold)

    def only(self, rows):
        """These rows, with folds of their own."""
        return with_folds(self.patches[rows], self.labels.iloc[rows], self.groups[rows])


def read_data():
    from sknic.datasets import load_patch_folder

    patches, table = load_patch_folder(test_data("patches"), work_dir("encoders") / "patches.npy")
    n_groups = table.groupby(["task", "label"])["group"].transform("nunique")
    kept = np.flatnonzero(n_groups >= N_FOLDS)
    table = table.iloc[kept].reset_index(drop=True)
    labels = table.pivot(columns="task", values="label")
    labels = labels.astype(object).where(labels.notna(), None)
    return with_folds(patches[kept], labels, (table["task"] + "/" + table["group"]).to_numpy(str))


def with_folds(patches, labels, groups):
    """The Data of these patches: each task is shared out over the folds by class and group."""
    from sklearn.model_selection import StratifiedGroupKFold

    fold = np.empty(len(labels), int)
    splitter = StratifiedGroupKFold(N_FOLDS, shuffle=True, random_state=0)
    for task in labels.columns:
        rows = np.flatnonzero(labels[task].notna())
        for k, (_, test) in enumerate(splitter.split(rows, labels[task].iloc[rows].to_numpy(str), groups[rows])):
            fold[rows[test]] = k
    return Data(patches, labels, groups, fold)
