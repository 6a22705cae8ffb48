"""A survival time: until an event, or until the patient was last seen without one."""

from __future__ import annotations

from typing import Any

import numpy as np

from sknic.exceptions import DegenerateDataError
from sknic.targets.cells import as_array, few, numbers_of, text_of
from sknic.targets.kind import Target, register

SURVIVAL_DTYPE = np.dtype([("event", bool), ("time", np.float64)])
_EVENT = "1, 1.0, true, t, yes, y, dead, deceased, died, death, event, occurred, relapse, relapsed, recurrence"
_EVENT += ", recurred, progression, progressed, recurred/progressed, metastasis, failure"
_NO_EVENT = "0, 0.0, false, f, no, n, alive, living, censored, no event, event free, event-free, disease free"
_NO_EVENT += ", disease-free, diseasefree, progression free, progression-free, relapse free, relapse-free"
_NO_EVENT += ", recurrence free, recurrence-free, no recurrence, no relapse, no progression"
_WORDS = dict.fromkeys(_EVENT.split(", "), True) | dict.fromkeys(_NO_EVENT.split(", "), False)


def survival_array(event: Any, time: Any) -> np.ndarray:
    """Put events and times together as scikit-survival wants them.

    Parameters
    ----------
    event : array-like of bool, shape (n_slides,)
        True or 1 where the event was seen, False or 0 where the time is censored.
    time : array-like of float, shape (n_slides,)

    Returns
    -------
    structured array, shape (n_slides,)
        Fields `event` (bool) and `time` (float64).

    Raises
    ------
    ValueError
        When an event is neither true nor false, or a time is not a number, negative or not finite.
    """
    event, time = as_array(event, "event"), as_array(time, "time")
    if event.ndim != 1 or event.shape != time.shape:
        raise ValueError(f"y: expected one event and one time per sample; found shapes {event.shape} and {time.shape}")
    if event.dtype.kind not in "biufO" or not np.isin(event, [0, 1]).all():
        raise ValueError(f"event: expected True or False (1 or 0), found {few(np.unique(event.astype(str)).tolist())}")
    if time.dtype.kind not in "iufO":
        raise ValueError(f"time holds {time.dtype} values such as {time[0]!r}; expected numbers")
    try:
        time = time.astype(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"time: expected numbers; {error}") from None
    if not np.isfinite(time).all() or (time < 0).any():
        raise ValueError("time: expected finite numbers that are not negative")
    target = np.empty(len(event), dtype=SURVIVAL_DTYPE)
    target["event"], target["time"] = event.astype(bool), time
    return target


def read_survival(y: Any) -> np.ndarray:
    """Read what scikit-survival's `Surv` makes, or a DataFrame with the columns "event" and "time".

    Parameters
    ----------
    y : structured array or DataFrame, shape (n_slides,)

    Returns
    -------
    structured array, shape (n_slides,)
        Fields `event` (bool) and `time` (float64).

    Raises
    ------
    ValueError
        When y is neither, an event is neither true nor false, or a time is not a number, negative or not finite.
    """
    return survival_array(*_event_and_time(y))


def as_target(y: Any) -> np.ndarray:
    """Any target as an array with one row per slide; survival times become a structured one."""
    return read_survival(y) if Survival().fits(None, y) else np.asarray(y)


@register
class Survival(Target):
    """A survival time: structured array of event and time, shape (n_slides,)."""

    name = "survival"
    title = "Predicting survival"
    roles = ("event", "time")
    metrics = ("concordance",)
    score_metric = "concordance"
    quality = ("ranked rightly", "the share of comparable slides against which its risk is ranked rightly")

    def fits(self, estimator, y):
        """Whether y is a structured array or a table of event and time."""
        is_table = hasattr(y, "columns") and {"event", "time"} <= set(y.columns)
        # A pair of event and time has no rows; `read` refuses it and says what to give.
        is_pair = isinstance(y, tuple) and len(y) == 2 and np.ndim(y[0]) == np.ndim(y[1]) == 1
        return is_table or is_pair or getattr(getattr(y, "dtype", None), "names", None) is not None

    def read(self, y):
        """Bring what scikit-survival's `Surv` makes, or a DataFrame with columns "event" and "time", into one form."""
        return read_survival(y)

    def from_table(self, table, columns, event_value=None):
        """Read the columns "event" and "time"; known words for events are understood, all else is refused."""
        events, note = _events(text_of(table, columns["event"]), columns["event"], event_value, table.index)
        times = numbers_of(table, columns["time"])
        if (times < 0).any():
            row = np.flatnonzero(times < 0)[0]
            where = f"column {columns['time']!r}, row {table.index[row]}"
            raise ValueError(f"{where}: {times[row]:g} is negative; expected a time")
        return survival_array(events, times), note

    def check(self, y):
        """There has to be an event."""
        if not y["event"].any():
            raise DegenerateDataError(
                f"y of {len(y)} slides holds no event, so there is nothing to learn; check what marks an event"
            )

    def check_training_part(self, y, train):
        """An event has to be in the training part."""
        if not y["event"][train].any():
            raise DegenerateDataError("the training part of a fold holds no event; use fewer folds or more patients")

    def strata(self, y):
        """The events."""
        return y["event"]

    def truth(self, y):
        """Event (0 or 1) and time."""
        return {"event": y["event"].astype(int), "time": y["time"]}

    def predicted(self, prediction, classes):
        """Predicted risk."""
        return {"prediction": prediction}

    @property
    def required_columns(self):
        """Event, time and prediction."""
        return ("event", "time", "prediction")

    def quality_of(self, table):
        """Share of the comparable slides against which the risk is ranked rightly; NaN without any."""
        event, time, risk = (table[name].to_numpy() for name in ("event", "time", "prediction"))
        earlier = event.astype(bool)[:, None] & (time[:, None] < time[None, :])
        right = np.where(risk[:, None] == risk[None, :], 0.5, risk[:, None] > risk[None, :]) * earlier
        comparable = earlier.sum(axis=1) + earlier.sum(axis=0)
        share = (right.sum(axis=1) + right.sum(axis=0)) / np.maximum(comparable, 1)
        return np.where(comparable > 0, share, np.nan)

    def summary(self, table, whole):
        """Number of slides with an event, and the median time."""
        return {"Slides with event": int(table["event"].sum()), "Median time": table["time"].median()}

    def describe(self, y):
        """Number of events and range of times."""
        event, time = y["event"], y["time"]
        counts = f"{event.sum()} slides with an event, {(~event).sum()} censored"
        return f"{counts}; times from {time.min():g} to {time.max():g}"


def _event_and_time(y):
    names = getattr(getattr(y, "dtype", None), "names", None)
    if names is not None and len(names) == 2:
        event, time = y[names[0]], y[names[1]]
        if time.dtype.kind == "b" and event.dtype.kind != "b":
            raise ValueError(f"y has the fields {names}: expected the event first, then the time")
        return event, time
    if hasattr(y, "columns") and {"event", "time"} <= set(y.columns):
        return y["event"], y["time"]
    raise ValueError(
        f"y of type {type(y).__name__}: expected a structured array of event and time, such as "
        "sksurv.util.Surv.from_arrays(event, time), or a DataFrame with the columns 'event' and 'time'"
    )


def _events(cells, column, event_value, rows):
    """Which cells stand for an event, and a sentence that says how they were understood."""
    values, index, counts = np.unique(cells.astype(str), return_inverse=True, return_counts=True)
    if event_value is None:
        understood = [_meaning(value) for value in values]
        unknown = [str(value) for value, meaning in zip(values, understood) if meaning is None]
        if unknown:
            row = int(np.flatnonzero(cells == unknown[0])[0])
            raise ValueError(
                f"column {column!r}, row {rows[row]}: {unknown[0]!r} is not a known word for an event or for none; "
                f"the column holds {few(values.tolist(), 8)}. Name the event: --event-value, event_value="
            )
    else:
        if event_value not in values:
            raise ValueError(
                f"event_value={event_value!r} is not in column {column!r}, which holds {few(values.tolist(), 8)}"
            )
        understood = [str(value) == event_value for value in values]
    words = ("no event", "event")
    said = ", ".join(f"{value} = {words[is_event]} ({n})" for value, is_event, n in zip(values, understood, counts))
    return np.array(understood, bool)[index], f"{column}: {said}"


def _meaning(value):
    """True for an event, False for none, None where the value is not known; "1:DECEASED" means what its word does."""
    words = [word.strip() for word in value.lower().split(":")]
    meanings = {_WORDS.get(word) for word in words}
    return meanings.pop() if len(meanings) == 1 else None
