"""Values of a target are read strictly, from a table of text and from what a user passes."""

import numpy as np
import pandas as pd
import pytest

from sknic.exceptions import DegenerateDataError
from sknic.targets import Classification, Regression, Survival, survival_array

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
        ["1.00", "0.00", "01", "00"],
        ["Expired", "Survived", "uncensored", "Lost to follow-up"],
    ],
)
def test_known_words_for_events_are_understood_and_said(words):
    y, note = _survival(words)
    assert y["event"].tolist() == [True, False, True, False]
    assert y["time"].tolist() == [10, 20.5, 3, 7]
    assert note.startswith("status: ") and "= event" in note and "= no event" in note


@pytest.mark.parametrize(
    "words",
    [
        ["1", "2", "1", "2"],
        ["dead", "alive", "lost", "dead"],
        ["2:Dead", "0:LIVING"] * 2,
        ["1:DiseaseFree", "0:Recurred/Progressed"] * 2,
        ["dead", "alive with disease"] * 2,
    ],
)
def test_an_unknown_word_for_an_event_is_refused_with_all_values(words):
    with pytest.raises(ValueError, match="column 'status', row [234].*the column contains.*--event-value"):
        _survival(words)


def test_the_value_of_an_event_may_be_named():
    assert _survival(["1", "2", "2", "1"], "2")[0]["event"].tolist() == [False, True, True, False]
    with pytest.raises(ValueError, match="event_value='3' is not in column 'status'"):
        _survival(["1", "2", "2", "1"], "3")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("0,05", "has a comma"),
        ("1,234.5", "has a comma"),
        ("1 year", "is not a number"),
        ("03.01.2020", "is a date"),
        ("none", "stands for a missing value"),
        ("2020-01-31", "is a date"),
        ("'--", "stands for a missing value"),
        ("[Not Available]", "stands for a missing value"),
        ("inf", "not a finite number"),
        ("1_000", "is not a number"),
        ("many", "is not a number"),
        ("-4", "is negative"),
    ],
)
def test_a_time_that_is_not_one_is_named_with_column_and_row(cell, message):
    with pytest.raises(ValueError, match=f"column 'days', row 4.*{message}"):
        _survival(["1", "0", "1", "0"], times=["1", "2", cell, "4"])


def test_days_of_the_calendar_are_not_times():
    with pytest.raises(ValueError, match="column 'days' contains dates such as 20200131; expected the time since"):
        _survival(["1", "0", "1", "0"], times=["20200131", "20191224", "20210601", "20200229"])
    assert "look like calendar years" in _survival(["1", "0", "1", "0"], times=["2001", "2020", "1999", "2010"])[1]
    assert "look like" not in _survival(["1", "0", "1", "0"], times=["2001", "2020", "1999", "31"])[1]


def test_a_time_that_stands_for_a_missing_one_is_pointed_out():
    assert "days: 9999 (1) counts as a number" in _survival(["1", "0", "1", "0"], times=["10", "20", "30", "9999"])[1]


def test_numbers_in_an_array_of_objects_are_classes():
    assert Classification().read(np.array([1, np.int64(0), 1], object)).tolist() == [1, 0, 1]


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
        (Classification(), [True, 1, 0], r"y\[0\]=True is a bool among numbers"),
        (Classification(), ["a", ""], r"y\[1\]='': expected a value"),
        (Regression(), [[1], [2, 3]], "found values of different lengths"),
        (Survival(), pd.DataFrame({"event": ["0", "1"], "time": [1, 2]}), "found the texts '0', '1'"),
        (Classification(), ["a", np.nan], r"y\[1\]=nan"),
        (Survival(), (np.array([True]), np.array([1.0])), "structured array"),
        (Survival(), pd.DataFrame({"event": ["Dead"], "time": [1.0]}), "True or False"),
        (
            Survival(),
            pd.DataFrame({"event": [1], "time": np.array([1], "timedelta64[D]")}),
            "time: expected numbers; found dates or durations",
        ),
        (Survival(), np.array([(3.0, True)], [("t", bool), ("e", bool)]), "'t' and 'e', which do not distinguish"),
    ],
)
def test_a_y_of_other_values_is_refused(kind, y, message):
    with pytest.raises(ValueError, match=message):
        kind.read(y)


@pytest.mark.parametrize(
    ("names", "types"),
    [
        (("event", "time"), (bool, float)),
        (("time", "event"), (float, bool)),
        (("time", "event"), (int, int)),
        (("days", "dead"), (float, int)),
        (("OS.time", "OS"), (float, float)),
        (("cens", "time"), (bool, float)),  # as scikit-survival's own data sets
        (("Status", "Survival_in_days"), (bool, float)),
        (("t", "e"), (float, bool)),
    ],
)
def test_the_event_is_told_by_type_and_name_wherever_it_stands(names, types):
    # Times of 0 and 1 look like events, and the reverse of events.
    is_time = [name in ("time", "days", "OS.time", "Survival_in_days", "t") for name in names]
    rows = [tuple(1 - event if time else event for time in is_time) for event in (0, 1, 1)]
    y = Survival().read(np.array(rows, list(zip(names, types))))
    assert y["event"].tolist() == [False, True, True]
    assert y["time"].tolist() == [1, 0, 0]
    frame = pd.DataFrame({name: [row[i] for row in rows] for i, name in enumerate(names)}).astype(
        dict(zip(names, types))
    )
    assert (Survival().read(frame) == y).all()


@pytest.mark.parametrize(
    ("names", "types", "message"),
    [
        (("a", "b"), (int, int), "'a' and 'b', which do not distinguish"),
        (("time", "event"), (bool, float), "'time' and 'event', which do not distinguish"),
        (("event", "status"), (int, int), "'event' and 'status', which do not distinguish"),
        (("alive", "time"), (bool, float), "True in 'alive' would not be an event"),
        (("censored", "days"), (int, float), "True in 'censored' would not be an event"),
        (("cens", "days"), (int, float), "True in 'cens' would not be an event"),
    ],
)
def test_fields_that_do_not_tell_the_event_are_refused(names, types, message):
    with pytest.raises(ValueError, match=message):
        Survival().read(np.array([(1, 0), (0, 1)], list(zip(names, types))))


@pytest.mark.parametrize(
    ("times", "value"),
    [(["1", " 2.5 "], 2.5), (np.array([1, 2], object), 2), (np.array([1, 2], np.float16), 2), ([b"1", b"2"], 2)],
)
def test_times_are_read_by_value(times, value):
    assert survival_array([True, False], times)["time"].tolist() == [1, value]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (np.array([True, 1.5], object), "bool"),
        ([True, False], "bools"),
        (np.array([1, 2], "timedelta64"), "durations"),
        (np.array([np.timedelta64(1, "D"), 2], object), "durations"),
        ([pd.Timedelta(1, "D"), pd.Timedelta(2, "D")], "durations"),
        ([1, pd.Timedelta(2, "D")], "durations"),
        (["1", "1,5"], r"time\[1\]='1,5' has a comma"),
        (["1", "2020-01-31"], "is a date"),
        (np.ma.array([1.0, 2.0], mask=[False, True]), r"time\[1\] is masked"),
        ([1, 1e39], "float32 can represent"),
        (np.array([1, 2j], object), "real number"),
        ([1, -1], r"not negative; time\[1\] is -1"),
    ],
)
def test_times_that_are_not_numbers_are_refused(times, message):
    with pytest.raises(ValueError, match=message):
        survival_array([True, False], times)


def test_masked_events_are_refused():
    with pytest.raises(ValueError, match=r"event\[0\] is masked"):
        survival_array(np.ma.array([1, 0], mask=[True, False]), [1, 2])


@pytest.mark.parametrize(
    ("y", "read"),
    [
        (["1", "2.5"], [1, 2.5]),
        ([True, False], [1, 0]),
        (np.ma.array([1, 2], mask=[False, False]), [1, 2]),
        (pd.Series([1, 2], dtype="Int64"), [1, 2]),
        (np.array([1, 2], np.uint64), [1, 2]),
    ],
)
def test_numbers_are_read_by_value(y, read):
    assert Regression().read(y).tolist() == read


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([True, 2.5], r"y\[0\]=True is a bool among numbers"),
        (np.array([0.5, True], object), r"y\[1\]=True is a bool among numbers"),
        ([[1, True], [2, 3]], "is a bool among numbers"),
        (np.array(["1", "x"], object), r"y\[1\]='x' is not a number"),
        (["1", "1_000"], "is not a number"),
        ([1, 1e39], r"y\[1\]=1e\+39: expected numbers that float32 can represent"),
        (["1", "1e39"], "float32 cannot represent"),
        ([1, 10**400], r"y\[1\]=1000.*\(int\): expected a number"),
        (np.array([1, 2j], object), "real number"),
        (np.ma.array([1, 2], mask=[False, True]), r"y\[1\] is masked"),
        ([np.ma.masked, 1], r"y\[0\] is masked"),
        (pd.Series([1, None], dtype="Int64"), r"y\[1\]"),
        ([[1, 2], [3, np.nan]], r"y\[1, 1\] contains NaN"),
    ],
)
def test_what_is_not_a_number_is_refused(y, message):
    with pytest.raises(ValueError, match=message):
        Regression().read(y)


@pytest.mark.parametrize(
    "column", ["censored", "Alive", "survived", "censoring", "event_free", "isAlive", "vital_status"]
)
@pytest.mark.parametrize("cells", [["1", "0"], ["yes", "no"], ["TRUE", "FALSE"]])
def test_a_column_whose_name_says_the_opposite_of_an_event_needs_the_value(column, cells):
    table = _table(**{column: cells, "days": ["1", "2"]})
    with pytest.raises(ValueError, match=f"column '{column}': judging by its name.*no event.*--event-value"):
        Survival().from_table(table, {"event": column, "time": "days"})
    y, note = Survival().from_table(table, {"event": column, "time": "days"}, cells[1])
    assert y["event"].tolist() == [False, True] and f"{cells[1]} = event (1)" in note


def test_words_are_clear_whatever_the_name_of_the_column():
    table = _table(vital_status=["Dead", "Alive"], days=["1", "2"])
    y, _ = Survival().from_table(table, {"event": "vital_status", "time": "days"})
    assert y["event"].tolist() == [True, False]


@pytest.mark.parametrize("column", ["days", "event_time", "Follow-up"])
def test_a_column_of_times_is_not_taken_for_events(column):
    with pytest.raises(ValueError, match="named like a time"):
        Survival().from_table(_table(**{column: ["1", "0"], "t": ["1", "2"]}), {"event": column, "time": "t"})


@pytest.mark.parametrize("value", ["dead", " DEAD ", "Dead"])
def test_the_value_of_an_event_is_compared_without_case(value):
    y, note = _survival(["Dead", "dead", "lost", "Alive"], value)
    assert y["event"].tolist() == [True, True, False, False]
    assert note == "status: Alive = no event (1), Dead = event (1), dead = event (1), lost = no event (1)"
    assert _survival(["1.0", "2.0", "2.0", "1.0"], "2")[0]["event"].tolist() == [False, True, True, False]


def test_signs_and_unknown_are_names_of_classes():
    y, note = Classification().from_table(_table(er=["+", "-", "+/-", "unknown"]), {"target": "er"})
    assert y.tolist() == ["+", "-", "+/-", "unknown"]
    assert note.startswith("er: '-' (1), 'unknown' (1) counts as a class")


@pytest.mark.parametrize(
    ("cell", "message"), [("", "the cell is empty"), ("NA", "'NA' stands for"), ("#N/A", "stands")]
)
def test_a_missing_class_is_named_with_its_row(cell, message):
    with pytest.raises(ValueError, match=f"column 'grade', row 3: .*{message}"):
        Classification().from_table(_table(grade=["a", cell, "b"]), {"target": "grade"})


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["Yes", "no", "yes"], "'Yes' and 'yes' differ only in case"),
        (["Grad\u00a02", "Grad 2"], "differ only in spaces"),
        (["b\u00f6s", "bo\u0308s"], "composed of different characters"),
        (["bos", "bos\u200b"], "composed of different characters"),
    ],
)
def test_classes_that_look_alike_are_refused_with_both_spellings(labels, message):
    with pytest.raises(ValueError, match=message):
        Classification().from_table(_table(grade=labels), {"target": "grade"})
    for y in (labels, np.array(labels), np.array(labels, object), pd.Series(labels)):
        with pytest.raises(ValueError, match=f"y: .*{message}"):
            Classification().read(y)
    with pytest.raises(ValueError, match="differ only in spaces"):
        Classification().read(["a", "a ", "b"])


def test_classes_that_are_one_number_stay_apart_and_that_is_said():
    y, note = Classification().from_table(_table(grade=["01", "1"]), {"target": "grade"})
    assert y.tolist() == ["01", "1"] and "'01', '1' are different classes, although they are the same number" in note


@pytest.mark.parametrize(
    ("cells", "said"), [("-999 1 2 3", "-999 (1)"), ("1 2 9999 9999", "9999 (2)"), ("-9 0.1 0.5", "-9 (1)")]
)
def test_a_number_that_others_write_for_a_missing_one_is_pointed_out(cells, said):
    _, note = Regression().from_table(_table(score=cells.split()), {"target": "score"})
    assert said in note and "missing" in note


@pytest.mark.parametrize("cells", ["990 999 1010", "-9 -8 3", "1 1 1", "999 999"])
def test_such_a_number_among_its_like_is_not(cells):
    assert Regression().from_table(_table(score=cells.split()), {"target": "score"})[1] == ""


def test_a_class_for_each_slide_is_refused_and_regression_named():
    y = Classification().read(np.linspace(0, 1, 12).round(3).astype(str))
    with pytest.raises(DegenerateDataError, match="class of its own for each of 12 slides, such as 0.0.*regression"):
        Classification().check(y)
    Classification().check(np.array(["a", "b"]))


def test_of_many_classes_a_few_are_described():
    text = Classification().describe(np.arange(30).astype(str))
    assert text.endswith("and 18 more") and text.count("(1)") == 12


def test_the_quality_of_a_risk_compares_the_pairs_of_the_concordance():
    """A slide that was censored when another had its event has outlived it, and risks that are as good as equal tie."""
    table = pd.DataFrame({"event": [1, 0], "time": [5.0, 5.0], "prediction": [2.0, 1.0]})
    assert Survival().quality_of(table).tolist() == [1, 1]
    table["prediction"] = [1 + 1e-12, 1]
    assert Survival().quality_of(table).tolist() == [0.5, 0.5]
    table["time"] = [5.0, 4.0]
    assert np.isnan(Survival().quality_of(table)).all()
