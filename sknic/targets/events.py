"""Recognize events: words in a table, and names of columns and fields that mean an event, its time, or its absence."""

import re

import numpy as np

from sknic.targets.cells import few

YES = ("1", "1.0", "true", "t", "yes", "y")
NO = ("0", "0.0", "false", "f", "no", "n")
_EVENT = "dead, deceased, died, death, event, occurred, relapse, relapsed, recurrence"
_EVENT += ", recurred, progression, progressed, recurred/progressed, metastasis, failure, expired, uncensored"
_NO_EVENT = (
    "alive, living, live, survived, censored, no event, not dead, no death, event free, event-free, disease free"
)
_NO_EVENT += ", lost to follow-up, lost to follow up, lost to followup"
_NO_EVENT += ", disease-free, diseasefree, progression free, progression-free, relapse free, relapse-free"
_NO_EVENT += ", recurrence free, recurrence-free, no recurrence, no relapse, no progression"
_WORDS = dict.fromkeys((*YES, *_EVENT.split(", ")), True) | dict.fromkeys((*NO, *_NO_EVENT.split(", ")), False)
# Words that say what they mean whatever their column is called, unlike 1 and yes.
_TELLING = {*_EVENT.split(", "), *_NO_EVENT.split(", ")}

# Words of columns. 1 in a column "alive" is not an event; "vital_status" is 1 for alive in cancer registries.
_OPPOSITE = r"alive|living|lived|lives|surviv(ed|or|ors|ing|al)|censor(ed|ing|ship)?|cens|zensiert|zensur|lebt|lebend|"
_OPPOSITE += r"vivante?|vivo|viva|free|remission|cured|healthy|ongoing|lost|withdrawn|dropout|no|not|non|"
_OPPOSITE += r"without|vital|vitalstatus|no[nt]?(events?|deaths?|dead|relapse|recurrence|progression|failure)"
_IS_EVENT = r"events?|status|fstat|dead|deaths?|died|deceased|observed|relapsed?|recurrences?|recurred|progression|"
_IS_EVENT += r"progressed|failure|failed|metastas[ie]s|mortality|exitus|verstorben|tot|delta|indicator"
_IS_TIME = r"times?|days?|months?|weeks?|years?|yrs?|hours?|durations?|follow|followup|futime|ftime|lenfol|interval|"
_IS_TIME += r"survtime|tte|zeit|tage|monate|jahre|los"


def _words_of(name):
    """Lower-case words of a name: daysToEvent, days_to_event and "Days to event" have the same ones."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", str(name))
    return re.findall(r"[^\W_\d]+", spaced.casefold())


def _has(name, pattern):
    return any(re.fullmatch(pattern, word) for word in _words_of(name))


def _role(name):
    """The role that a name suggests: first "time" ("days to event"), then "opposite", "event", or "" for neither."""
    roles = (("time", _IS_TIME), ("opposite", _OPPOSITE), ("event", _IS_EVENT))
    return next((role for role, pattern in roles if _has(name, pattern)), "")


def event_and_time(y, names):
    """Find which of two fields contains the events and which the times: by type, then by name, never by order.

    Parameters
    ----------
    y : structured array or DataFrame, shape (n_slides,)
    names : sequence of two str
        The fields or columns of y.

    Returns
    -------
    event, time : array-like, shape (n_slides,)

    Raises
    ------
    ValueError
        If the roles are unclear (the message has both names), or if the events have a name such as "alive" or
        "censored".
    """
    names = list(names)
    bools = [name for name in names if _is_bool(y[name])]
    roles = {name: _role(name) for name in names}
    likely = [name for name in names if roles[name] in ("event", "opposite")]
    times = [name for name in names if roles[name] == "time"]
    for candidates in (bools, likely, [name for name in names if name not in times]):
        if len(candidates) == 1:
            break
    (event, *others), said = candidates or names, f"y has the fields {names[0]!r} and {names[1]!r}"
    if others or times == [event]:
        raise ValueError(
            f"{said}, which do not distinguish the event from the time; expected a field of bools (the event) and "
            "one of numbers, or the names 'event' and 'time'"
        )
    # scikit-survival's own data sets call the event "cens" or "censor", as a bool.
    if roles[event] == "opposite" and not (bools and event.casefold() in ("cens", "censor")):
        raise ValueError(f"{said}: True in {event!r} would not be an event; give its opposite, called 'event'")
    return y[event], y[next(name for name in names if name != event)]


def _is_bool(values):
    return getattr(values.dtype, "kind", "") == "b" or str(values.dtype) == "boolean"


def read_events(cells, column, event_value, rows):
    """Determine which cells of a table stand for an event.

    Parameters
    ----------
    cells : object array of str (n,)
    column : str
        Name of their column.
    event_value : str or None
        The value that stands for an event, ignoring case; None to recognize events by their words.
    rows : sequence of int (n,)
        Numbers of the rows, for messages.

    Returns
    -------
    bool array (n,)
    str
        How each value was understood, and how often it occurs.

    Raises
    ------
    ValueError
        If a value is not a known word, or the column's name says that a 1 is not an event.
    """
    values, index, counts = np.unique(cells.astype(str), return_inverse=True, return_counts=True)
    if event_value is None:
        understood = _by_words(values, cells, column, rows)
    else:
        understood = [_same(value, event_value) for value in values]
        if not any(understood):
            raise ValueError(
                f"event_value={event_value!r} is not in column {column!r}, which contains {few(values.tolist(), 8)}"
            )
    words = ("no event", "event")
    said = ", ".join(f"{value} = {words[is_event]} ({n})" for value, is_event, n in zip(values, understood, counts))
    return np.array(understood, bool)[index], f"{column}: {said}"


def _by_words(values, cells, column, rows):
    understood = [_meaning(value) for value in values]
    holds = (
        f"the column contains {few(values.tolist(), 8)}. Name the value of an event with --event-value or event_value="
    )
    unknown = [str(value) for value, meaning in zip(values, understood) if meaning is None]
    if unknown:
        row = int(np.flatnonzero(cells == unknown[0])[0])
        raise ValueError(
            f"column {column!r}, row {rows[row]}: {unknown[0]!r} is not a known word for an event or its absence; "
            f"{holds}"
        )
    plain = [str(value) for value in values if not _words_in(value) & _TELLING]
    role = _role(column)
    if plain and role == "opposite":
        yes = next((value for value in plain if _meaning(value)), "1")
        raise ValueError(f"column {column!r}: judging by its name, {yes!r} may mean that there was no event; {holds}")
    if plain and role == "time":
        raise ValueError(f"column {column!r} is named like a time, not like an event; {holds}")
    return understood


def _same(value, wanted):
    """Whether a cell equals the given value, ignoring spaces and case; 1.0 equals 1."""
    value, wanted = value.strip().casefold(), wanted.strip().casefold()
    if value == wanted:
        return True
    try:
        return float(value) == float(wanted)
    except ValueError:
        return False


def _meaning(value):
    """True for an event, False for none, None if the value is unknown; "1:DECEASED" is read by its word."""
    meanings = {_meaning_of_word(word) for word in _words_in(value)}
    return meanings.pop() if len(meanings) == 1 else None


def _words_in(value):
    return {word.strip() for word in value.lower().split(":")}


def _meaning_of_word(word):
    if word in _WORDS:
        return _WORDS[word]
    is_number = re.fullmatch(r"\d+(\.0*)?", word) is not None  # 1.00 and 01 are 1
    return {0.0: False, 1.0: True}.get(float(word)) if is_number else None
