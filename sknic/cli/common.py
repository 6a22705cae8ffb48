"""What the commands share: the record of a run, and what an interruption leaves."""

import json
import os
import platform
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sknic.files.whole import whole_file

_PACKAGES = ("sknic", "numpy", "scikit-learn", "skorch", "torch", "openslide-python", "scikit-survival", "pandas")


@contextmanager
def saying_what_is_kept(grids, rest):
    """Let Ctrl-C end in a sentence on what is kept.

    Parameters
    ----------
    grids : Path
        Folder of grids.
    rest : str
        What else there is to say.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        kept = f"compressed slides are kept in {grids}; " if Path(grids).is_dir() else ""
        raise KeyboardInterrupt(f"interrupted: {kept}{rest}") from error


def write_run_record(folder, command, settings, name="run.json", **results):
    """Write `run.json`: what ran, with which settings and versions, on which machine, and what came out.

    Returns
    -------
    dict
        As it stands in the file.
    """
    from importlib.metadata import version

    from torch.backends.cpu import get_cpu_capability

    record = {
        "command": command,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "arguments": sys.argv[1:],
        "settings": settings,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        # What is trained depends on the instructions: AVX2 and AVX-512 round sums differently.
        "machine": {"system": platform.platform(), "cores": os.cpu_count(), "instructions": get_cpu_capability()},
        **results,
    }
    text = json.dumps(record, indent=2, default=str)
    with whole_file(Path(folder) / name) as temporary:
        temporary.write_text(text)
    return json.loads(text)
