"""A survival time: until an event, or until the patient was last seen without an event."""

from __future__ import annotations

from typing import Any

import numpy as np

from sknic.exceptions import DegenerateDataError
from sknic.targets.cells import as_array, as_numbers, few, note_of_codes, numbers_of, text_of
from sknic.targets.concordance import TIED_RISK, outlived
from sknic.targets.events import event_and_time, read_events
from sknic.targets.kind import Target
from sknic.targets.kinds import register

SURVIVAL_DTYPE = np.dtype([("event", bool), ("time", np.float64)])


def survival_array(event: Any, time: Any) -> np.ndarray:
    """Combine events and times in scikit-survival's form.

    Parameters
    ----------
    event : array-like of bool, shape (n_slides,)
        True or 1 if the event was observed, False or 0 if the time is censored.
    time : array-like of float, shape (n_slides,)

    Returns
    -------
    structured array, shape (n_slides,)
        Fields `event` (bool) and `time` (float64).

    Raises
    ------
    ValueError
        If an event is neither true nor false, or if a time is not a number, negative or not finite.
    """
    event, time = as_array(event, "event"), as_array(time, "time")  # refuses what is missing, masked or a duration
    if event.ndim != 1 or event.shape != time.shape:
        raise ValueError(f"y: expected one event and one time per sample; found shapes {event.shape} and {time.shape}")
    if event.dtype.kind not in "biufO" or not np.isin(event, [0, 1]).all():
        raise ValueError(f"event: expected True or False (1 or 0), found {_few_of(event)}")
    if time.dtype.kind == "b" or (time.dtype.kind == "O" and isinstance(time[0], bool | np.bool_)):
        raise ValueError(f"time contains bools such as {time[0]!r}; expected numbers")
    time = as_numbers(time, "time").astype(float)
    if (time < 0).any():
        row = int(np.flatnonzero(time < 0)[0])
        raise ValueError(f"time: expected finite numbers that are not negative; time[{row}] is {time[row]:g}")
    target = np.empty(len(event), dtype=SURVIVAL_DTYPE)
    target["event"], target["time"] = event.astype(bool), time
    return target


def read_survival(y: Any) -> np.ndarray:
    """Read a structured array from scikit-survival's `Surv`, or a DataFrame with the columns "event" and "time".

    Parameters
    ----------
    y : structured array or DataFrame, shape (n_slides,)
        The field of bools is the event, in any position; without one, the names decide ("status", "dead", "days").

    Returns
    -------
    structured array, shape (n_slides,)
        Fields `event` (bool) and `time` (float64).

    Raises
    ------
    ValueError
        If y is neither, its fields do not tell which is the event, an event is neither true nor false, or a time is
        not a number, negative or not finite.
    """
    return survival_array(*_event_and_time(y))


def as_target(y: Any) -> np.ndarray:
    """Convert any target to an array with one row per slide; survival times become a structured array.

    Parameters
    ----------
    y : array-like or DataFrame
        A target of any kind.

    Returns
    -------
    ndarray (n_slides,) or (n_slides, n_outputs)
        The same values.
    """
    return read_survival(y) if Survival().fits(None, y) else np.asarray(y)


@register
class Survival(Target):
    """A survival time: structured array of event and time, shape (n_slides,)."""

    name = "survival"
    title = "Predicting survival"
    roles = ("event", "time")
    is_of_patient = True
    has_model_scale = True
    is_censored = True
    metrics = ("concordance",)
    score_metric = "concordance"
    quality = ("ranked rightly", "the share of comparable slides against which its risk is ranked correctly")

    def fits(self, estimator, y):
        """Whether y is a structured array or a table of event and time."""
        is_table = hasattr(y, "columns") and {"event", "time"} <= set(y.columns)
        # A pair of event and time has no rows; `read` refuses it and says what to give.
        is_pair = isinstance(y, tuple) and len(y) == 2 and np.ndim(y[0]) == np.ndim(y[1]) == 1
        return is_table or is_pair or getattr(getattr(y, "dtype", None), "names", None) is not None

    def read(self, y):
        """Convert the output of scikit-survival's `Surv`, or a DataFrame of "event" and "time", to one form."""
        return read_survival(y)

    def from_table(self, table, columns, event_value=None):
        """Read the columns "event" and "time"; known words for events are understood, anything else is refused."""
        events, note = read_events(text_of(table, columns["event"]), columns["event"], event_value, table.index)
        times = numbers_of(table, columns["time"])
        if (times < 0).any():
            row = np.flatnonzero(times < 0)[0]
            where = f"column {columns['time']!r}, row {table.index[row]}"
            raise ValueError(f"{where}: {times[row]:g} is negative; expected a time")
        _refuse_dates(columns["time"], times)
        notes = [note, note_of_codes(columns["time"], times), _note_of_years(columns["time"], times)]
        return survival_array(events, times), "; ".join(filter(None, notes))

    def check(self, y):
        """There has to be an event."""
        if not y["event"].any():
            raise DegenerateDataError(
                f"y of {len(y)} slides contains no event, so there is nothing to learn; check which value marks an "
                "event"
            )

    def check_training_part(self, y, train):
        """An event has to be in the training part."""
        if not y["event"][train].any():
            raise DegenerateDataError("the training part of a fold contains no event; use fewer folds or more patients")

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
        """Share of the comparable slides against which the risk is ranked correctly; NaN if there are none."""
        event, time, risk = (table[name].to_numpy() for name in ("event", "time", "prediction"))
        is_event, lead = event.astype(bool), risk[:, None] - risk
        earlier = is_event[:, None] & outlived(time, is_event, time)
        right = np.where(np.abs(lead) <= TIED_RISK, 0.5, lead > 0) * earlier
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


def _few_of(event):
    values = few(np.unique(event.astype(str)).tolist())
    return f"the texts {values}" if event.dtype.kind in "SU" or isinstance(event[0], str) else values.replace("'", "")


def _refuse_dates(column, times):
    """Raise ValueError for calendar dates such as 20200131, because times count from the start of follow-up."""
    year, month, day = times // 10_000, times // 100 % 100, times % 100
    if ((year >= 1900) & (year < 2100) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
        raise ValueError(
            f"column {column!r} contains dates such as {times[0]:.0f}; expected the time since the start of follow-up"
        )


def _note_of_years(column, times):
    are_years = ((times >= 1900) & (times < 2100) & (times == np.rint(times))).all()
    return (
        f"{column}: its values look like calendar years; expected the time since the start of follow-up"
        if are_years
        else ""
    )


def _event_and_time(y):
    columns = list(getattr(y, "columns", ()))
    if {"event", "time"} <= set(columns):
        return y["event"], y["time"]
    names = getattr(getattr(y, "dtype", None), "names", None) or columns
    if len(names) == 2 and names[0] != names[1]:
        return event_and_time(y, names)
    raise ValueError(
        f"y of type {type(y).__name__}: expected a structured array of event and time, such as "
        "sksurv.util.Surv.from_arrays(event, time), or a DataFrame with the columns 'event' and 'time'"
    )
