"""Rules of parameters: what each accepts, and the one grammar of the message."""

import re

import numpy as np
import pytest

from sknic.learning.params import check, choice, flag, function, instance, integer, level, nothing, real, seed


@pytest.mark.parametrize(
    ("rule", "accepted", "refused"),
    [
        (
            integer(1),
            [1, 7, np.int64(3), np.uint8(1)],
            [0, -1, 1.0, np.float64(2), True, "1", None, np.array([1]), [1]],
        ),
        (integer(0, 4), [0, 4], [5, -1, np.int8(-1)]),
        (real(0), [0, 0.0, 1e9, np.float32(0.5), np.int8(3)], [-1e-9, np.nan, np.inf, False, "0.1", None, 1j, b"1"]),
        (real(above=0, below=1), [0.5, np.float16(0.5)], [0, 1, 0.0, 1.0, np.float64("nan")]),
        (real(0, 1), [0, 1], [1.001]),
        (choice("same", "valid"), ["same", np.str_("valid")], ["Same", "", None, 1, ["same"], np.array(["same"])]),
        (choice(1, "auto"), [1, "auto"], [True, 1.0]),
        (flag, [True, False, np.bool_(True)], [1, 0, "yes", None]),
        (level, [0, 3, True], [-1, 0.5, None]),
        (function, [len, dict], ["len", None, 3]),
        (instance(list, name="a list"), [[]], [(), None]),
        (nothing, [None], [0, "", False]),
        (seed, [None, 0, 2**32 - 1, np.random.RandomState(0)], [-1, 2**32, 1.5, "a", np.random.default_rng(0)]),
        (choice("auto") | integer(1) | nothing, ["auto", 1, None], [0, "no"]),
    ],
)
def test_a_rule_accepts_its_values_and_no_others(rule, accepted, refused):
    for value in accepted:
        check("name", value, rule)
    for value in refused:
        with pytest.raises(ValueError, match=r"^name=.*: expected "):
            check("name", value, rule)


@pytest.mark.parametrize(
    ("value", "rule", "message"),
    [
        (-1, integer(1), "n=-1: expected an integer of at least 1"),
        ("a", real(above=0, below=1), "n='a': expected a finite number above 0 and below 1"),
        ("x", choice("a", "b", "c"), "n='x': expected 'a', 'b' or 'c'"),
        (
            0,
            choice("auto", "all") | integer(1) | nothing,
            "n=0: expected 'auto', 'all', an integer of at least 1 or None",
        ),
        (1, flag, "n=1: expected True or False"),
    ],
)
def test_the_message_names_the_parameter_its_value_and_what_was_expected(value, rule, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check("n", value, rule)


def test_a_long_value_is_shortened():
    with pytest.raises(ValueError) as error:
        check("n", "a" * 10_000, integer(1))
    assert len(str(error.value)) < 200
