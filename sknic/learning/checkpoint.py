"""Resume an interrupted training from its last evaluation, bit for bit; the file contains no pickle."""

import json
import time
from pathlib import Path

import numpy as np
import torch

from sknic.exceptions import ModelFileError
from sknic.files.json_values import json_value
from sknic.files.weights import UNREADABLE, part, read_weights, write_weights

FORMAT = "sknic training 1"


class Checkpoint:
    """A file to which `train` regularly writes its state, and from which it resumes.

    The state is that of torch: weights, optimizer, schedule, history, random numbers, the rest of the pass. Callbacks
    with a state of their own, except the schedule, start again.

    Parameters
    ----------
    path : str or Path
        File of the state. It is not removed when the training ends; delete it once the result is saved.
    key : dict
        What the training depends on (parameters, a digest of the data), as values that JSON can store. A file with
        another key is refused.
    every_minutes : float, default=1
        The state is written at the first evaluation after this many minutes; with 0, at every evaluation.
    """

    def __init__(self, path, key, every_minutes=1):
        self.path = Path(path)
        self.key = json.loads(json.dumps(json_value(key)))
        self.every_minutes = every_minutes
        self.written = time.monotonic()

    def resume(self, net, schedule, steps, random):
        """Restore the state in the file, if it exists, in a training that has just been initialized.

        Raises
        ------
        ModelFileError
            If the file is damaged, or belongs to another training.
        """
        if not self.path.exists():
            return
        try:
            header, tensors = read_weights(self.path.read_bytes(), FORMAT)
        except UNREADABLE as error:
            raise ModelFileError(f"{self.path} is not a checkpoint that this sknic can read: {error}") from error
        if header["key"] != self.key:
            differing = [k for k in {*header["key"], *self.key} if header["key"].get(k) != self.key.get(k)]
            raise ModelFileError(
                f"{self.path} belongs to another training: {', '.join(sorted(differing))} differ; "
                "delete it to start again"
            )
        _restore(net, schedule, steps, random, header, tensors)

    def save(self, net, schedule, steps, random, *, now=False):
        """Write the state if it is due, or if `now`."""
        if now or time.monotonic() - self.written >= 60 * self.every_minutes:
            header, tensors = _state(net, schedule, steps, random)
            write_weights(self.path, {"format": FORMAT, "key": self.key, **header}, tensors)
            self.written = time.monotonic()


def _state(net, schedule, steps, random):
    tensors = {f"module.{name}": value for name, value in net.module_.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in (schedule.best_weights_ or {}).items()}
    optimizer = net.optimizer_.state_dict()
    for index, state in optimizer["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    tensors["random.torch"] = torch.get_rng_state()
    if torch.device(net.device).type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(net.device)
    _, keys, position, has_gauss, gauss = random.get_state()
    tensors["random.numpy"] = torch.from_numpy(keys.astype(np.int64))
    rows = [{name: value for name, value in row.items() if name != "batches"} for row in net.history]
    header = {
        "groups": optimizer["param_groups"],
        "schedule": {name: getattr(schedule, name) for name in schedule.state_names},
        "history": [{k: v.item() if isinstance(v, np.generic) else v for k, v in row.items()} for row in rows],
        "taken": steps.taken,
        "pending": [[int(i) for i in batch] for batch in steps.pending],
        "numpy": [int(position), int(has_gauss), float(gauss)],
    }
    return header, tensors


def _restore(net, schedule, steps, random, header, tensors):
    net.module_.load_state_dict(part(tensors, "module."))
    state: dict = {}
    for name, value in part(tensors, "optimizer.").items():
        index, _, name = name.partition(".")
        state.setdefault(int(index), {})[name] = value
    net.optimizer_.load_state_dict({"state": state, "param_groups": header["groups"]})
    for parameter, own in net.optimizer_.state.items():
        # Adam's fused kernel goes through memory: its state must lie there as the weights do (channels last).
        for name, value in own.items():
            own[name] = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
    for name, value in header["schedule"].items():
        setattr(schedule, name, value)
    best = {name: value.to(net.device) for name, value in part(tensors, "best.").items()}
    schedule.best_weights_ = best or None
    for row in header["history"]:
        net.history.append({**row, "batches": []})
    steps.taken, steps.pending = header["taken"], header["pending"]
    random.set_state(("MT19937", tensors["random.numpy"].numpy().astype(np.uint32), *header["numpy"]))
    torch.set_rng_state(tensors["random.torch"])
    if "random.cuda" in tensors and torch.device(net.device).type == "cuda":
        torch.cuda.set_rng_state(tensors["random.cuda"], net.device)
