"""How well do encoders represent real patches that none of them was trained on?

62,237 patches of six tasks; a fifth of each, sources whole, is held out from encoders that were trained here and from
the linear probes that read them (`encoder_probe.py`). The published encoders were trained on other data. Encoders from
`python -m benchmarks.train_encoder` are read from its folder; missing ones are left out.

Intervals resample sources; differences to the published multitask encoder are paired.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Memory

from benchmarks.common import report, test_data, work_dir
from benchmarks.encoder_data import read_patches
from benchmarks.encoder_probe import guesses, score

RIVAL = "published multitask-4"


def encoders(folder):
    """Name -> encoder, of all that are at hand."""
    from sknic import MeanRGBEncoder, load_encoder
    from sknic.encoders.catalog import bundled_names

    found = {
        "mean RGB": MeanRGBEncoder(device="cpu"),
        RIVAL: load_encoder(test_data("encoders", "encoder_multitask-4.h5"), device="cpu"),
        "published BiGAN": load_encoder(test_data("encoders", "encoder_bigan.h5"), device="cpu"),
    }
    found |= {f"{name}, bundled": load_encoder(name, device="cpu") for name in bundled_names()}
    return found | {path.stem: load_encoder(path, device="cpu") for path in sorted(folder.glob("*.safetensors"))}


def remembered_guesses(data, encoder, tasks):
    """The guesses of an encoder, asked once for the same weights and patches."""
    ask = Memory(work_dir("encoder_guesses"), verbose=0).cache(_ask, ignore=["data", "encoder"])
    table = int(pd.util.hash_pandas_object(data.table).sum())
    return {task: ask(encoder.fingerprint(), table, task, data=data, encoder=encoder) for task in tasks}


def _ask(fingerprint, table, task, data, encoder):
    return guesses(data, encoder, [task])[task]


def row_of(name, answers):
    """One row of the table: every task with its interval, and their mean."""
    scores = {task: score(answer) for task, answer in answers.items()}
    cells = {task: f"{s['value']:.3f} [{s['low']:.3f}, {s['high']:.3f}]" for task, s in scores.items()}
    return {"encoder": name, **cells, "mean": f"{np.mean([s['value'] for s in scores.values()]):.3f}"}


def differences(name, answers, rival):
    """One row of the paired differences to the rival, each with its interval."""
    from sknic.evaluation import compare

    row = {"encoder": name}
    for task, mine in answers.items():
        found = compare("balanced_accuracy", mine.truth, mine.guess, rival[task].guess, groups=mine.groups).difference
        row[task] = f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=work_dir("encoder_training"), help="encoders trained here")
    parser.add_argument("--tasks", nargs="+", help="these tasks only")
    options = parser.parse_args()
    data = read_patches()
    tasks = options.tasks or sorted(data.table["task"].unique())
    known = {name: remembered_guesses(data, encoder, tasks) for name, encoder in encoders(options.folder).items()}
    rows = [row_of(name, answers) for name, answers in known.items()]
    report("encoders", rows, "Balanced accuracy of a linear probe on patches of sources held out")
    rows = [differences(name, answers, known[RIVAL]) for name, answers in known.items() if name != RIVAL]
    report("encoders_differences", rows, f"The same, less {RIVAL}")


if __name__ == "__main__":
    main()
