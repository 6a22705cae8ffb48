"""Values of a target are read strictly, from a table of text and from what a user passes."""

import numpy as np
import pandas as pd
import pytest

from sknic.targets import Classification, Regression, Survival

TIMES = ["10", "20.5", "3", "7"]


def _table(**columns):
    table = pd.DataFrame(columns)
    table.index += 2  # as the reader of tables numbers its rows
    return table


def _survival(events, event_value=None, times=TIMES):
    columns = {"event": "status", "time": "days"}
    return Survival().from_table(_table(status=events, days=times), columns, event_value)


@pytest.mark.parametrize(
    "words",
    [
        ["Dead", "alive", "DEAD ", "Alive"],
        ["1", "0", "1", "0"],
        ["1.0", "0.0", "1.0", "0.0"],
        ["True", "FALSE", "true", "False"],
        ["yes", "no", "Yes", "NO"],
        ["1:DECEASED", "0:LIVING", "1:DECEASED", "0:LIVING"],
        ["Recurred/Progressed", "Disease Free", "Recurred/Progressed", "Disease free"],
    ],
)
def test_known_words_for_events_are_understood_and_said(words):
    y, note = _survival(words)
    assert y["event"].tolist() == [True, False, True, False]
    assert y["time"].tolist() == [10, 20.5, 3, 7]
    assert note.startswith("status: ") and "= event" in note and "= no event" in note


@pytest.mark.parametrize("words", [["1", "2", "1", "2"], ["dead", "alive", "lost", "dead"], ["2:Dead", "0:LIVING"] * 2])
def test_an_unknown_word_for_an_event_is_refused_with_all_values(words):
    with pytest.raises(ValueError, match="column 'status', row [234].*the column holds.*--event-value"):
        _survival(words)


def test_the_value_of_an_event_may_be_named():
    assert _survival(["1", "2", "2", "1"], "2")[0]["event"].tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match="event_value='3' is not in column 'status'"):
        _survival(["1", "2", "2", "1"], "3")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("0,05", "decimal comma"),
        ("2020-01-31", "is a date"),
        ("'--", "stands for a missing value"),
        ("[Not Available]", "stands for a missing value"),
        ("inf", "not a finite number"),
        ("1_000", "not a finite number"),
        ("many", "is not a number"),
        ("-4", "is negative"),
    ],
)
def test_a_time_that_is_not_one_is_named_with_column_and_row(cell, message):
    with pytest.raises(ValueError, match=f"column 'days', row 4.*{message}"):
        _survival(["1", "0", "1", "0"], times=["1", "2", cell, "4"])


def test_classes_are_text_as_it_is_written():
    y, _ = Classification().from_table(_table(grade=["01", "1", "none", "01"]), {"target": "grade"})
    assert y.tolist() == ["01", "1", "none", "01"]


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        (Regression(), ["a", "b"], "expected numbers"),
        (Regression(), [1.0, np.inf], r"y\[1\]"),
        (Regression(), np.array([1, 2], "timedelta64[D]"), "durations"),
        (Regression(), np.array([1j, 2]), "Complex"),
        (
            Classification(),
            np.array([1, "a", None], object),
            r"y\[2\]=None: expected a value for each sample; 1 of 3 missing",
        ),
        (Classification(), np.array([1, "a"], object), "y: expected all text or all numbers; found int, str"),
        (Classification(), [1, "1", 2], "y: expected all text or all numbers; found int, str"),
        (Classification(), [True, "x"], "found bool, str"),
        (Classification(), ["a", np.nan], r"y\[1\]=nan"),
        (Survival(), (np.array([True]), np.array([1.0])), "structured array"),
        (Survival(), pd.DataFrame({"event": ["Dead"], "time": [1.0]}), "True or False"),
        (Survival(), pd.DataFrame({"event": [1], "time": np.array([1], "timedelta64[D]")}), "time holds durations"),
        (Survival(), np.array([(3.0, True)], [("t", float), ("e", bool)]), "the event first"),
    ],
)
def test_a_y_of_other_values_is_refused(kind, y, message):
    with pytest.raises(ValueError, match=message):
        kind.read(y)
