"""The data of MultitaskEncoder: patches, labels of several tasks, and the rows for training and validation."""

import hashlib
from dataclasses import dataclass

import numpy as np

from sknic.encoders.inference import check_training_patches
from sknic.encoders.labels import check_rows, only, read_tasks, to_frame
from sknic.encoders.sampling import strata
from sknic.exceptions import DegenerateDataError, UnmeasuredTaskWarning, warn
from sknic.learning.split import split
from sknic.targets.rows import check_paired

# Patches that tell a data set from another, in its digest.
DIGEST_ROWS = 256
# Bytes that are read at once to compare patches.
BLOCK_BYTES = 2**26


@dataclass(frozen=True)
class TaskData:
    """Patches with the labels of several tasks.

    Attributes
    ----------
    X : uint8 array or memory map (n, size, size, 3)
    tasks : list of Task
    groups, centers : array of str (n,) or None
        Source and center of each patch.
    """

    X: np.ndarray
    tasks: list
    groups: np.ndarray | None
    centers: np.ndarray | None

    @property
    def codes(self):
        """Codes of the labels, int64 (n_tasks, n); -1 without one."""
        return np.stack([task.codes for task in self.tasks])

    def split(self, fraction, random):
        """Rows for training, rows for validation, and unlabelled rows whose group is not in the validation part."""
        codes = self.codes
        rows = np.flatnonzero((codes >= 0).any(axis=0))
        unlabelled = np.flatnonzero((codes < 0).all(axis=0))
        if fraction is None:
            return rows, rows[:0], unlabelled
        first = (codes[:, rows] >= 0).argmax(axis=0)
        labels = first * (codes.max() + 1) + codes[first, rows]
        groups = None if self.groups is None else self.groups[rows]
        chosen = split(len(rows), fraction, groups=groups, stratify=labels, random_state=random)
        train_rows, valid_rows = rows[chosen[0]], rows[chosen[1]]
        if groups is not None:
            unlabelled = unlabelled[~np.isin(self.groups[unlabelled], self.groups[valid_rows])]
        return train_rows, valid_rows, unlabelled

    def tell_unmeasured(self, valid_rows):
        """Warn of tasks without a label among the held-out rows."""
        without = [task.name for task in self.tasks if not (task.codes[valid_rows] >= 0).any()]
        if without:
            warn(
                f"no labels of {', '.join(map(repr, without))} are held out, as all are from one source: accuracy and "
                "learning rate go by the other tasks alone; give more groups",
                UnmeasuredTaskWarning,
            )

    def blocks(self, rows):
        """For each task, the strata (class and center) of these rows, which batches are drawn from.

        Raises
        ------
        DegenerateDataError
            If a task has no label in these rows.
        """
        blocks = [strata(only(task, rows).codes, self.centers) for task in self.tasks]
        without = [task.name for task, groups in zip(self.tasks, blocks) if not groups]
        if without:
            raise DegenerateDataError(
                f"all labels of {without} are held out; give more groups or validation_fraction=None"
            )
        return blocks

    def digest(self):
        """Hex SHA-256 of the labels, sources, shape and some of the patches, which identifies the data set."""
        sha = hashlib.sha256(repr((self.X.shape, [(task.name, task.classes.tolist()) for task in self.tasks])).encode())
        sha.update(self.codes.tobytes())
        for column in (self.groups, self.centers):
            sha.update(b"-" if column is None else "\0".join(column).encode())
        for row in np.unique(np.linspace(0, len(self.X) - 1, DIGEST_ROWS).astype(int)):
            sha.update(np.ascontiguousarray(self.X[row]))
        return sha.hexdigest()


def read_data(X, y, tasks, groups, centers):
    """Check the input of `MultitaskEncoder.fit`; returns a `TaskData`."""
    check_paired(y=y, groups=groups, centers=centers)
    X = check_training_patches(X)
    labels = to_frame(y, len(X))
    return TaskData(
        X, read_tasks(labels, tasks), check_rows("groups", groups, len(X)), check_rows("centers", centers, len(X))
    )


def check_copies(data):
    """Raise ValueError if patches are equal, pixel by pixel, and a task labels them differently."""
    rows = np.flatnonzero((data.codes >= 0).any(axis=0))
    seen: dict = {}
    for row, digest in zip(rows, _digests(data.X, rows)):
        seen.setdefault(digest, []).append(row)
    copies = [same for same in seen.values() if len(same) > 1]
    faults = [(task, pair) for same in copies for task in data.tasks if (pair := _contradiction(task, same))]
    if faults:
        task, (first, second) = faults[0]
        labels = [task.classes[task.codes[row]] for row in (first, second)]
        raise ValueError(
            f"X[{first}] and X[{second}] are the same patch, but y calls it {labels[0]} and {labels[1]} for the task "
            f"{task.name!r}: expected one label per patch; {len(faults)} such patch(es)"
        )


def _contradiction(task, rows):
    """Two of these rows whose labels differ; None if all agree."""
    labelled = [row for row in rows if task.codes[row] >= 0]
    other = [row for row in labelled if task.codes[row] != task.codes[labelled[0]]]
    return (labelled[0], other[0]) if other else None


def _digests(X, rows):
    n = max(1, BLOCK_BYTES // max(1, X[0].nbytes))
    for start in range(0, len(rows), n):
        for patch in np.ascontiguousarray(X[rows[start : start + n]]):
            yield hashlib.blake2b(patch, digest_size=16).digest()
