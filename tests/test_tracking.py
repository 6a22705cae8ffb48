"""The examples of docs/tracking.md run as they stand, on stand-ins for the two tools."""

import re
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from sknic import Grid

PAGE = (Path(__file__).parents[1] / "docs" / "tracking.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
RNG = np.random.RandomState(0)
DATA = {
    "grids": [Grid(RNG.normal(size=(30, 4)), np.argwhere(np.ones((5, 6))), (5, 6)) for _ in range(12)],
    "y": RNG.rand(12),
}


class Writer:
    """TensorBoard's SummaryWriter, as far as it is used."""

    written: list = []
    closed: list = []

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def add_scalar(self, tag, scalar_value, global_step=None):
        Writer.written.append((self.folder, tag, float(scalar_value), global_step))

    def close(self):
        Writer.closed.append(self.folder)


class Client:
    """MLflow's client, as far as it is used."""

    logged: list = []

    def log_metric(self, run, key, value, step):
        Client.logged.append((run, key, float(value), step))


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    board, flow, tracking = (ModuleType(name) for name in ("tensorboard", "mlflow", "tracking"))
    board.SummaryWriter, tracking.MlflowClient = Writer, Client
    run = SimpleNamespace(info=SimpleNamespace(run_id="run"))
    flow.params = {}
    flow.active_run, flow.start_run, flow.log_params = (
        lambda: run,
        contextmanager(lambda: iter([run])),
        flow.params.update,
    )
    modules = {"torch.utils.tensorboard": board, "mlflow": flow, "mlflow.tracking": tracking}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    for seen in (Writer.written, Writer.closed, Client.logged):
        seen.clear()
    return flow


def _run(word):
    (example,) = [text for text in EXAMPLES if word in text]
    names = dict(DATA)
    exec(example, names)
    return names


def test_tensorboard_gets_the_losses_of_every_evaluation_and_is_closed():
    model = _run("TensorBoard(")["model"]
    losses = [(value, step) for folder, tag, value, step in Writer.written if tag == "Loss/train_loss"]
    assert losses == [(row["train_loss"], number) for number, row in enumerate(model.history_, 1)]
    assert len(losses) == 3 and Writer.closed == ["runs/first"]


def test_mlflow_gets_the_losses_and_the_parameters(stand_ins):
    model = _run("MlflowLogger(")["model"]
    losses = [value for _, key, value, _ in Client.logged if key == "train_loss"]
    assert losses == [row["train_loss"] for row in model.history_]
    assert stand_ins.params["max_steps"] == 96


def test_each_fold_of_an_ensemble_is_a_run_of_its_own():
    ensemble = _run("CrossValEnsemble(")["ensemble"]
    for fold, model in enumerate(ensemble.estimators_):
        steps = [step for folder, tag, _, step in Writer.written if (folder, tag) == (f"runs/fold{fold}", "loss/train")]
        assert steps == [row["step"] for row in model.history_] and steps[-1] == 96
    assert Writer.closed == ["runs/fold0", "runs/fold1"]
