"""The page of cases names tests that are there, and the rules stand where people look."""

import re
from pathlib import Path

import pytest

from tests.cli.helpers import run

ROOT = Path(__file__).parents[1]


def test_every_test_that_the_page_names_is_there():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "silent_errors.md").read_text()))
    there = set(re.findall(r"def (test_\w+)", "".join(path.read_text() for path in ROOT.glob("tests/**/*.py"))))
    assert len(named) > 60 and named <= there, sorted(named - there)


def test_the_cases_are_counted():
    numbers = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "silent_errors.md").read_text(), re.MULTILINE)
    assert list(map(int, numbers)) == list(range(1, len(numbers) + 1))
    assert f"for the {len(numbers)} cases" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_the_rules_are_in_the_help(command):
    said = " ".join(run(command, "--help").output.replace("\u2502", " ").split())
    for words in ("Slides of one patient stay together", "--no-patient", "dead/alive", "--event-value", "do not mix"):
        assert words in said
