"""Workers of a killed run."""

import os
import signal
import subprocess
import sys
import time

RUN = """
import os, sys, time
from joblib import Parallel, delayed
from sknic.compression import orphans

def work(parent):
    orphans.INTERVAL = 0.1
    orphans.leave_with(parent)
    os.write(1, b"%d\\n" % os.getpid())  # one write: an unbuffered print is two, and two workers mix them
    time.sleep(60)

Parallel(n_jobs=2)(delayed(work)(os.getpid()) for _ in range(2))
"""


def test_the_workers_of_a_killed_run_end(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RUN)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as process:
        workers = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_alive, workers))


def is_alive(pid):
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
