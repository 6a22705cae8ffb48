"""Dockerfile, environment.yml and the workflow name things that exist; they are built where the tools for them are."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("name", ["Dockerfile", "environment.yml"])
def test_extras_and_constraints_that_are_named_exist(name):
    text = (ROOT / name).read_text()
    extras = re.findall(r"(?<![\w\"$])\.\[(\w+)\]", text)
    assert extras and set(extras) <= set(EXTRAS)
    assert "-c constraints.txt" in text and (ROOT / "constraints.txt").is_file()


def test_the_workflow_runs_the_script_that_everybody_runs():
    assert "- run: .ci/run" in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_environment_and_workflow_are_yaml():
    yaml = pytest.importorskip("yaml", reason="pyyaml is not installed")
    assert yaml.safe_load((ROOT / "environment.yml").read_text())["name"] == "sknic"
    assert "test" in yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
