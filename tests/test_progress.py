"""Progress: a bar on a terminal; in a pipe or a log a line now and then, with the time that is left."""

import os
import pty
import subprocess
import sys
import termios

import pytest

from sknic import progress
from sknic.progress import Progress, duration, followed


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""

    class Clock:
        now = 0.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def test_a_line_comes_every_ten_seconds_and_at_the_end(clock, capsys):
    with Progress(100, "slides") as bar:
        for _ in range(100):
            clock.now += 1
            bar.advance("7 failed")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert lines[0] == "slides: 10 of 100, about 90 s left; 7 failed"
    assert lines[-1] == "slides: 100 of 100 in 2 min; 7 failed"


def test_a_work_of_days_does_not_flood_its_log(clock, capsys):
    with Progress(10_000, "slides") as bar:
        for _ in range(10_000):
            clock.now += 20
            bar.advance()
    assert 100 < len(capsys.readouterr().err.splitlines()) < 400


def test_each_fold_has_a_line(clock, capsys):
    assert list(followed("abc", "folds", every=True)) == ["a", "b", "c"]
    assert capsys.readouterr().err.splitlines() == [
        "folds: 1 of 3, about 0 s left",
        "folds: 2 of 3, about 0 s left",
        "folds: 3 of 3 in 0 s",
    ]


@pytest.mark.parametrize(("total", "shown"), [(0, True), (3, False)])
def test_nothing_is_said_of_nothing_or_unasked(total, shown, capsys):
    list(followed(range(total), "slides", shown=shown))
    assert capsys.readouterr() == ("", "")


WARNED = """
import logging, sys, warnings
from sknic.cli.app import _show_warning
from sknic.progress import followed
logging.basicConfig(filename=sys.argv[1], level=logging.INFO, format="%(message)s")
warnings.showwarning = _show_warning
for number in followed(range(3), "slides", every=True):
    warnings.warn(f"slide {number} is pale", stacklevel=1)
"""


def test_in_a_pipe_there_are_whole_lines_alone(tmp_path):
    log = tmp_path / "log"
    result = subprocess.run([sys.executable, "-c", WARNED, log], capture_output=True, check=True)
    assert b"\r" not in result.stderr and result.stdout == b""
    words = [line.split(b",")[0].split(b" in ")[0] for line in result.stderr.splitlines()]
    expected = [(b"warning: slide %d is pale" % i, b"slides: %d of 3" % (i + 1)) for i in range(3)]
    assert words == [word for pair in expected for word in pair]
    assert log.read_text() == ""  # what is printed already


def test_on_a_terminal_there_is_a_bar_and_warnings_stand_above_it(tmp_path):
    log, (reader, terminal) = tmp_path / "log", pty.openpty()
    termios.tcsetwinsize(terminal, (24, 80))
    with subprocess.Popen([sys.executable, "-c", WARNED, log], stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        shown = b"".join(iter(lambda: _read(reader), b""))
    os.close(reader)
    assert process.returncode == 0
    for number in range(3):
        # The bar was wiped: the warning begins its line.
        before, _, _ = shown.partition(b"warning: slide %d is pale" % number)
        assert before.rsplit(b"\n", 1)[-1].rsplit(b"\r", 1)[-1].replace(b"\x1b[33m", b"").strip() == b""
    assert b"3/3" in shown and b"3 of 3" not in shown
    assert [line.split(",")[0].split(" in ")[0] for line in log.read_text().splitlines()] == [
        f"slides: {number} of 3" for number in (1, 2, 3)
    ]


def _read(reader):
    try:
        return os.read(reader, 4096)
    except OSError:  # the other side is closed
        return b""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (99, "99 s"), (100, "2 min"), (5_000, "83 min"), (11_100, "3 h 05 min")]
)
def test_the_time_left_is_told_in_the_unit_that_reads_best(seconds, text):
    assert duration(seconds) == text
