"""Labels of several tasks, of any type and with gaps, converted to integers."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sknic.exceptions import DegenerateDataError
from sknic.targets.cells import few, refuse_masked
from sknic.targets.names import NO_LABEL, check_patients, refuse_alike, refuse_words

# Labels such as 0.5 and 1.5 may be grades; of more of them each would be a class.
MAX_GRADES = 20


@dataclass(frozen=True)
class Task:
    """One column of labels.

    Attributes
    ----------
    name : str
    classes : ndarray
        Sorted; code k of `codes` means classes[k].
    codes : int64 array (n,)
        -1 where the patch has no label.
    """

    name: str
    classes: np.ndarray
    codes: np.ndarray


def to_frame(y, n_samples):
    """Labels as a DataFrame, one column per task named by a str.

    Parameters
    ----------
    y : DataFrame, Series or array-like, shape (n, n_tasks) or (n,)
        Columns without names are called task_0, task_1, ...; labels (n,) are the task "task" or the Series' name.
    n_samples : int

    Raises
    ------
    ValueError
        If y is missing or masked or has another number of rows, or two columns of one name.
    """
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    refuse_masked(y, "y")
    if isinstance(y, pd.Series):
        y = y.to_frame("task" if y.name is None else y.name)
    elif not isinstance(y, pd.DataFrame):
        y = np.asarray(y) if not isinstance(y, list) else np.array(y, dtype=object)
        if y.ndim not in (1, 2):
            raise ValueError(f"y of shape {y.shape}: expected (n,) or (n, n_tasks)")
        names = ["task"] if y.ndim == 1 else [f"task_{i}" for i in range(y.shape[1])]
        y = pd.DataFrame(y.reshape(len(y), -1), columns=names)
    if len(y) != n_samples:
        raise ValueError(f"y of {len(y)} rows: expected {n_samples}, one per patch of X")
    y = y.set_axis([str(name) for name in y.columns], axis=1)
    if y.columns.has_duplicates or y.shape[1] == 0:
        raise ValueError(f"y with the columns {list(y.columns)}: expected one or more, of different names")
    return y


def read_tasks(y, tasks=None):
    """Tasks of a frame of labels, or those of them named in `tasks`.

    Raises
    ------
    ValueError
        If a name is unknown, or a label is doubtful.
    DegenerateDataError
        If a task has fewer than two classes.
    """
    names = list(y.columns) if tasks is None else ([tasks] if isinstance(tasks, str) else list(tasks))
    unknown = [name for name in names if name not in y.columns]
    if unknown or not names:
        raise ValueError(f"tasks={tasks!r}: expected one or more of {', '.join(y.columns)}")
    return [_read_task(name, y[name]) for name in names]


def _read_task(name, column):
    labelled = is_labelled(column)
    values = column[labelled]
    _refuse_doubtful(f"y[{name!r}]", column, values)
    if pd.api.types.is_float_dtype(values) and (values == values.round()).all():
        values = values.astype(np.int64)  # Whole numbers became floats only because some were missing.
    classes, codes = np.unique(_plain(values), return_inverse=True)
    if len(classes) < 2:
        raise DegenerateDataError(f"y[{name!r}] with labels of {len(classes)} class(es): expected two or more")
    filled = np.full(len(column), -1, np.int64)
    filled[labelled] = codes
    return Task(name, classes, filled)


def _refuse_doubtful(name, column, values):
    """Raise ValueError for labels that would be classes of their own although they are not, or are the same."""
    refuse_words(name, column, NO_LABEL, "None for a patch without a label")
    refuse_alike(name, column, case=True)
    if {bool, int} <= {type(value) for value in values}:
        raise ValueError(f"{name} contains bools and numbers: expected labels of one type")
    if pd.api.types.is_float_dtype(values) and (values != values.round()).any() and values.nunique() > MAX_GRADES:
        amount = values[values != values.round()].iloc[0]
        raise ValueError(f"{name} contains {amount} and {values.nunique() - 1} other values: expected classes")


def _plain(values):
    """Labels as an array that can be sorted: numbers unchanged, anything else as text if types are mixed."""
    array = np.asarray(values.infer_objects())
    if array.dtype == object:
        kinds = {type(value) for value in array}
        array = array.astype(str) if kinds == {str} or len(kinds) > 1 else np.array(array.tolist())
    return array


def is_labelled(column):
    """Bool (n,): neither -1 nor NaN nor None."""
    return (column.notna() & ~column.isin([-1])).to_numpy(bool)


def encode(column, classes):
    """Codes of labels according to known classes; -1 for missing labels and unknown classes."""
    labelled = is_labelled(column)
    codes = np.full(len(column), -1, np.int64)
    if labelled.any():
        values = column[labelled]
        if classes.dtype.kind == "U":
            values = values.astype(str)
        codes[labelled] = pd.Index(classes).get_indexer(values)
    return codes


def only(task, rows):
    """The task with its labels in these rows only."""
    codes = np.full(len(task.codes), -1, np.int64)
    codes[rows] = task.codes[rows]
    return Task(task.name, task.classes, codes)


def score_labels(column, guess, classes):
    """Number of labelled patches, accuracy and balanced accuracy of predicted labels (n,) for a column of labels.

    Raises
    ------
    ValueError
        If none of the labels is one of the classes, as where the text "0" stands for the number 0.
    """
    labelled = is_labelled(column)
    truth, guess = encode(column, classes)[labelled], encode(pd.Series(guess), classes)[labelled]
    if len(truth) == 0:
        return {"n": 0, "accuracy": np.nan, "balanced_accuracy": np.nan}
    if (truth < 0).all():
        found = few(list(dict.fromkeys(column[labelled])))
        raise ValueError(f"y[{column.name!r}] contains {found}: expected labels of fit, {few(classes.tolist())}")
    # A class the encoder never saw has the code -1, which is never guessed: it counts as wrong.
    recalls = [np.mean(guess[truth == code] == code) for code in np.unique(truth)]
    return {"n": len(truth), "accuracy": float(np.mean(truth == guess)), "balanced_accuracy": float(np.mean(recalls))}


def check_rows(name, values, n_samples):
    """Values (n,), one per patch, converted to text so that they can be compared and sorted; None stays None."""
    if values is None:
        return None
    if np.shape(values) != (n_samples,):
        raise ValueError(f"{name} of shape {np.shape(values)}: expected ({n_samples},), one per patch")
    check_patients(name, values)  # as text, all that are missing would be one source
    return np.asarray(values).astype(str)
