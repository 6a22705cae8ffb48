import ast
import importlib
import os
import runpy
import subprocess
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

import sknic

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))
MODULES = (
    "sknic.datasets",
    "sknic.encoders.augmentation",
    "sknic.estimators",
    "sknic.evaluation",
    "sknic.plotting",
    "sknic.saliency",
)
names = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def imports_of_sknic(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "sknic":
            yield node.module, [alias.name for alias in node.names]


def test_there_are_examples():
    assert len(EXAMPLES) >= 10


@pytest.mark.parametrize("number", ["1", "7"])
def test_the_slurm_array_compresses_each_shard_and_merges_once(number, tmp_path):
    for program in ("sknic", "sbatch"):
        (tmp_path / program).write_text(f'#!/bin/sh\necho {program} "$@"\n')
        (tmp_path / program).chmod(0o755)
    job = {"SLURM_ARRAY_TASK_ID": number, "SLURM_ARRAY_TASK_COUNT": "20", "SLURM_ARRAY_JOB_ID": "42"}
    environment = os.environ | job | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = EXAMPLES[0].with_name("slurm_array.sh")
    output = subprocess.run(["bash", script], env=environment, capture_output=True, text=True, check=True).stdout
    compress = "sknic compress cohort.csv --out /shared/grids --on-error skip"
    merge = [f"sbatch --dependency=afterany:42 --wrap {compress} --merge"] if number == "1" else []
    assert output.splitlines() == [*merge, f"{compress} --shard {number}/20"]


@names
def test_an_example_compiles_and_is_short(path):
    compile(path.read_text(), path, "exec")
    assert len(path.read_text().splitlines()) < 80


@names
def test_an_example_imports_only_public_names(path):
    for module, imported in imports_of_sknic(path):
        if module == "sknic":
            assert set(imported) <= set(sknic.__all__)
        else:
            assert module in MODULES
            assert all(hasattr(importlib.import_module(module), name) for name in imported)


@names
def test_an_example_says_what_it_shows_and_ends_in_a_picture(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring.splitlines()[1] == "=" * len(docstring.splitlines()[0])
    assert "plt.show()" in path.read_text()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@names
def test_an_example_runs(path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    plt.close("all")
    runpy.run_path(str(path), run_name="__main__")
    figures = list(map(plt.figure, plt.get_fignums()))
    assert figures and all(any(ax.has_data() for ax in figure.axes) for figure in figures)
    plt.close("all")
