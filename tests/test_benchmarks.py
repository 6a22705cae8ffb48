"""Every benchmark that the Makefile runs, or that a page names, is there and can be started."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "Makefile", ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


def named():
    (loop,) = re.findall(r"for question in (.*?);", (ROOT / "Makefile").read_text())
    pages = (name for path in TEXTS for name in re.findall(r"python -m benchmarks\.([\w.]*\w)", path.read_text()))
    return sorted({*loop.split(), *pages})


@pytest.mark.parametrize("name", named())
def test_a_benchmark_that_is_named_can_be_started(name):
    assert callable(importlib.import_module(f"benchmarks.{name}").main)
    assert '__name__ == "__main__"' in (ROOT / "benchmarks" / f"{name.replace('.', '/')}.py").read_text()
