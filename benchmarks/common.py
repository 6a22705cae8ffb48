"""What all benchmarks share: the folder of the data, the machine, a table on screen and a CSV on disk."""

import csv
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results"
WORK = HERE / "_work"
# The default of every target but survival, which was learnt like this as well when most pages were measured.
ONE_NETWORK = {"n_members": 1, "max_steps": 1500, "hotspot_branch": False}


def test_data(*parts):
    """A path inside the folder of real data; leaves with a plain reason where it is absent."""
    root = Path(os.environ.get("SKNIC_TEST_DATA", HERE.parents[1] / "shared" / "data"))
    path = root.joinpath(*parts)
    if not path.exists():
        sys.exit(f"this benchmark needs {path}; set SKNIC_TEST_DATA to the folder that holds {Path(*parts)}")
    return path


def work_dir(name):
    """A scratch folder that git ignores and that later runs find again."""
    folder = WORK / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def in_fresh_process(module, *arguments):
    """What `python -m MODULE ARGUMENTS` prints last, a line of JSON: no run finds the caches or threads of another."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    output = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(output.splitlines()[-1])


def linear_probe(C=0.1):
    """The linear model that reads embeddings: standardized, logistic, with equal class weights."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=C, class_weight="balanced", max_iter=2000))


def machine():
    """One line: processor, cores, accelerator, versions that decide speed."""
    import torch

    from sknic.learning.device import cpu_instructions

    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        lines = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{os.cpu_count()} cores {model} with {cpu_instructions()}, {gpu}, {versions}"


def joined(machines):
    """The machines of several measurements, each once, for a table."""
    return "; ".join(dict.fromkeys(map(str, machines)))


def report(name, rows, title=None):
    """Print rows (dicts with the same keys) as a table and write them to `results/NAME.csv` with the machine.

    A row that was measured elsewhere brings its own "machine".
    """
    from rich.console import Console
    from rich.table import Table

    columns = [column for column in rows[0] if column != "machine"]
    table = Table(*columns, title=title or name)
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    Console(width=160).print(table)
    print(machine())
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [*columns, "machine"])
        writer.writeheader()
        writer.writerows({"machine": machine(), **row} for row in rows)
    print(f"wrote {path.relative_to(HERE.parent)}")


def _text(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
