"""Does a run that is killed again and again produce the same grids as an undisturbed one?

`sknic compress` on a small cohort is killed (SIGKILL) at random moments, fifty times, and after each death every file
of the output folder that a reader could open must be whole. A last run is left alone; its grids must equal those of an
uninterrupted run, byte for byte in content.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np

from benchmarks.common import report, test_data, work_dir


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--slides", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    from sknic.datasets import make_histology_cohort

    folder = work_dir("faults")
    make_histology_cohort(options.slides, folder / "slides", random_state=0)
    command = [sys.executable, "-m", "sknic.cli", "compress", str(folder / "slides"), "--n-jobs", "2"]
    command += ["--encoder", str(test_data("encoders", "encoder_multitask-4.h5")), "--out"]
    for name in ("alone", "killed"):
        shutil.rmtree(folder / name, ignore_errors=True)

    started = time.perf_counter()
    subprocess.run([*command, folder / "alone"], check=True, capture_output=True)
    whole = time.perf_counter() - started
    kills = _kill_again_and_again([*command, folder / "killed"], options, whole, folder / "killed")
    subprocess.run([*command, folder / "killed"], check=True, capture_output=True)
    same, n_grids = _compare(folder / "alone", folder / "killed")
    rows = [{"kills": options.kills, **kills, "grids": n_grids, "identical": same, "seconds of a whole run": whole}]
    report("faults", rows, "SIGKILL at random moments, then a run left alone")
    if same != n_grids or kills["unreadable files"]:
        sys.exit(1)


def _kill_again_and_again(command, options, whole, out):
    from sknic.grids import GridCache

    rng = random.Random(options.seed)
    died_at_work, unreadable, kept = 0, 0, []
    for _ in range(options.kills):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(0.1, 1.0) * whole)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            died_at_work += 1
        entries = GridCache(out).entries() if out.is_dir() else []
        unreadable += sum(entry.error is not None for entry in entries)
        kept.append(len(entries))
        if kept[-1] == options.slides:  # everything is there: start over, so that later kills meet work
            shutil.rmtree(out)
    return {"died at work": died_at_work, "unreadable files": unreadable, "times complete": kept.count(options.slides)}


def _compare(alone, killed):
    from sknic import Grid

    same = 0
    files = sorted(alone.glob("*.h5"))
    for file in files:
        a, b = Grid.read(file), Grid.read(killed / file.name)
        same += np.array_equal(a.to_dense(), b.to_dense())
    return same, len(files)


if __name__ == "__main__":
    main()
