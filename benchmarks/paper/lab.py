"""What the paper's scripts share: options, sizes, cached steps, and results next to the paper's figures."""

import argparse
import hashlib
import json
import os
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import sknic
from benchmarks.common import WORK, machine
from sknic.files.whole import whole_file

_PACKAGES = ("numpy", "scikit-learn", "scikit-survival", "skorch", "torch")


@dataclass(frozen=True)
class Size:
    """How much of everything an experiment takes.

    `n_patches` of all tasks; `steps` of an encoder, each of 32 patches a task, and `task_steps` of each of the 18 that
    differ in their tasks; `batches` of an epoch of the CNN on grids, at least.
    """

    n_slides: int
    n_test: int
    shape: tuple[int, int]
    n_patches: int
    steps: int
    task_steps: int
    code_size: int
    epochs: int
    batches: int
    seeds: tuple[int, ...]


QUICK = Size(48, 24, (24, 24), 1600, 40, 40, 128, 8, 8, (0,))
FULL = Size(128, 64, (48, 48), 8000, 1000, 300, 128, 40, 16, (0, 1, 2))
PAPER = Size(492, 321, (96, 96), 800_000, 50_000, 50_000, 128, 100, 32, (0, 1, 2))


def read_options(description, argv=None):
    """The options that all scripts take."""
    plt.switch_backend("agg")
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--cohort", choices=("synthetic", "mosaic", "table"), default="synthetic")
    parser.add_argument("--patches", type=Path, help="labelled patches (patches.csv, or task/class/image folders)")
    parser.add_argument("--csv", type=Path, help="of --cohort table: path, patient, part (train, test), targets")
    parser.add_argument("--published", type=Path, help="folder of the published encoders (encoder_*.h5)")
    parser.add_argument("--quick", action="store_true", help="minutes on 2 cores, to see every experiment run")
    parser.add_argument("--only-published", action="store_true", help="compare encoders that need no training")
    parser.add_argument("--seeds", type=int, nargs="+", help="of folds and weights; 0, or 0 1 2 in full")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--n-jobs", type=int, default=os.cpu_count(), help="folds, slides or encoders at once on a CPU")
    parser.add_argument("--out", type=Path, default=WORK / "paper", help="where steps and results are kept")
    options = parser.parse_args(argv)
    if options.cohort == "mosaic" and options.patches is None:
        parser.error("--cohort mosaic needs --patches DIR")
    if options.cohort == "table" and options.csv is None:
        parser.error("--cohort table needs --csv FILE")
    return options


class Lab:
    """One cohort in one size: where its steps are kept, and what the results were computed from.

    Parameters
    ----------
    options : Namespace
        From `read_options`.
    seeds : tuple of int, optional
        Of this experiment where the options name none; those of its size otherwise.

    Attributes
    ----------
    mode : "quick", "full" or "paper"
    size : Size
    seeds : tuple of int
    folder : Path
        ``OUT/COHORT-MODE``, with everything of this cohort and size.
    """

    def __init__(self, options, seeds=None):
        on_gpu = options.device != "cpu" and torch.cuda.is_available()
        self.options = options
        self.mode = "quick" if options.quick else "paper" if on_gpu else "full"
        self.size = {"quick": QUICK, "full": FULL, "paper": PAPER}[self.mode]
        self.seeds = tuple(options.seeds or seeds or self.size.seeds)
        self.n_jobs = 1 if on_gpu else options.n_jobs
        self.folder = options.out.resolve() / f"{options.cohort}-{self.mode}"
        self.seconds = {}

    def step(self, name, settings, make):
        """The arrays that `make()` returned when it first ran with these settings, in this or an earlier run.

        Parameters
        ----------
        name : str
        settings : dict
            All that decides the result, as JSON values.
        make : callable () -> dict of arrays
        """
        path = self.step_file(name, settings)
        if not path.exists():
            print(f"  {name} ...", flush=True)
            started = time.perf_counter()
            arrays = make()
            _write(path, lambda file: np.savez(file, seconds=time.perf_counter() - started, **arrays))
        with np.load(path) as file:
            arrays = dict(file)
        self.seconds[path.name] = float(arrays.pop("seconds"))
        return arrays

    def step_file(self, name, settings):
        """Where a step is kept: its name and a key of its settings and of sknic's version."""
        return self.folder / "steps" / f"{name}-{key_of({**settings, 'sknic': sknic.__version__})}.npz"

    def write(self, name, title, rows, *, question, protocol, findings=(), differences=(), figure=None):
        """Write NAME.csv, NAME_differences.csv, NAME.png and the section NAME.md of the report, and print the section.

        Parameters
        ----------
        name, title : str
        rows : list of dict
            The table; the paper's figure is a column of it.
        question, protocol : str
        findings : list of str
            One sentence each, stating what the numbers say and where they say nothing.
        differences : list of dict
            A second table, of what was compared.
        figure : matplotlib Figure, optional
        """
        results = self.folder / "results"
        table = _table(rows, results / f"{name}.csv")
        compared = _table(differences, results / f"{name}_differences.csv") if differences else None
        if figure is not None:
            _write(results / f"{name}.png", lambda file: figure.savefig(file, dpi=80, format="png"))
            plt.close(figure)
        picture = f"![{title}](paper/{self.folder.name}/{name}.png)" if figure is not None else ""
        parts = [
            f"### {title}",
            f"**Question.** {question}",
            f"**Protocol.** {protocol}",
            markdown(table),
            picture,
            "" if compared is None else f"**Differences** on the same patients.\n\n{markdown(compared)}",
            "\n".join(f"- {finding}" for finding in findings),
            f"*{self.provenance()}*",
        ]
        section = "\n\n".join(part for part in parts if part) + "\n"
        _write(results / f"{name}.md", lambda file: file.write(section.encode()))
        print(section, flush=True)

    def provenance(self):
        """Mode, seeds, minutes, machine and versions, in a line."""
        minutes = sum(self.seconds.values()) / 60
        versions = ", ".join(f"{package} {version(package)}" for package in _PACKAGES)
        seeds = ", ".join(map(str, self.seeds))
        return (
            f"{self.options.cohort} cohort, {self.mode} mode, seeds {seeds}; {minutes:.1f} minutes of computing"
            f" ({self.n_jobs} at once) on {machine()}; sknic {sknic.__version__}, {versions}."
        )


def key_of(settings):
    """Short name of settings: the same settings, the same name."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


def markdown(table):
    """A DataFrame as a markdown table; numbers to three places, what is missing as a dash."""
    lines = [list(map(str, table.columns)), ["---"] * table.shape[1]]
    lines += [[_text(value) for value in row] for row in table.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _table(rows, path):
    """Rows as a DataFrame, which is written to a CSV too."""
    table = pd.DataFrame(rows)
    _write(path, lambda file: table.to_csv(file, index=False))
    return table


def _text(value):
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:.3f}"
    return "–" if value is None else str(value)


def _write(path, write):
    """Write a file whole, through a function of an open binary file."""
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        write(file)
