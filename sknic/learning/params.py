"""Every parameter of an estimator is checked against a rule: one table per class, one form of message."""

import re
import reprlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sknic.files.nearest import did_you_mean

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass(frozen=True)
class Rule:
    """Valid values of a parameter; `rule | other` accepts what either accepts.

    Attributes
    ----------
    accepts : callable (value) -> bool
        Test of a value.
    expected : str
        Description of the values that pass, which ends the message "name=value: expected ...".
    """

    accepts: Callable[[object], bool]
    expected: str

    def __or__(self, other):
        return Rule(
            lambda value: self.accepts(value) or other.accepts(value),
            f"{self.expected.replace(' or ', ', ')} or {other.expected}",
        )


def check(name, value, rule):
    """Raise ValueError with "name=value: expected ..." unless the rule accepts the value.

    Parameters
    ----------
    name : str
        Name of the parameter.
    value : object
        Value given by the user.
    rule : Rule
        Rule for the value.
    """
    if not rule.accepts(value):
        words = re.findall(r"'([^'{]+)'", rule.expected) if isinstance(value, str) else []
        raise ValueError(f"{name}={_SHORT.repr(value)}: expected {rule.expected}{did_you_mean(value, words, 0.6)}")


def check_params(estimator, rules):
    """Check the parameters of an estimator, in the order of the table.

    Parameters
    ----------
    estimator : scikit-learn estimator
        Object with an attribute for each parameter.
    rules : dict of str to Rule
        Rule of each parameter; a parameter without one is not checked.

    Raises
    ------
    ValueError
        If a value breaks its rule.
    """
    for name, rule in rules.items():
        check(name, getattr(estimator, name), rule)  # a subclass may have fewer parameters than attributes


def integer(low=None, high=None):
    """Return the rule of whole numbers from `low` to `high`; numpy's integers pass, booleans and 1.0 do not."""

    def accepts(value):
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            return False
        return (low is None or value >= low) and (high is None or value <= high)

    return Rule(accepts, f"an integer{_range(low, high)}")


def real(low=None, high=None, *, above=None, below=None):
    """Return the rule of finite numbers, with closed (`low`, `high`) or open (`above`, `below`) ends."""

    def accepts(value):
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            return False
        return bool(
            np.isfinite(value)
            and (low is None or value >= low)
            and (high is None or value <= high)
            and (above is None or value > above)
            and (below is None or value < below)
        )

    return Rule(accepts, f"a finite number{_range(low, high, above, below)}")


def _range(low, high, above=None, below=None):
    ends = ((low, "of at least"), (above, "above"), (high, "at most"), (below, "below"))
    words = [f"{word} {end}" for end, word in ends if end is not None]
    return " " + " and ".join(words) if words else ""


def choice(*values):
    """Return the rule of a few fixed values, compared with their type: 1 is not True, and an array is none of them."""

    def accepts(value):
        return any(type(value) is type(each) and value == each for each in values) or (
            isinstance(value, np.str_) and str(value) in values
        )

    return Rule(accepts, " or ".join(", ".join(map(repr, values)).rsplit(", ", 1)))


def instance(*types, name):
    """Return the rule of objects of some types, described by `name`."""
    return Rule(lambda value: isinstance(value, types), name)


nothing = Rule(lambda value: value is None, "None")
flag = Rule(lambda value: isinstance(value, bool | np.bool_), "True or False")
function = Rule(callable, "a callable")
# A verbosity: a level, or on and off.
level = integer(0) | flag
seed = integer(0, 2**32 - 1) | instance(np.random.RandomState, name="a numpy.random.RandomState") | nothing
