"""`train-encoder` writes an encoder of labelled patches, resumes, and keeps the best weights on Ctrl-C."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from sknic import load_encoder
from sknic.cli import app
from sknic.encoders.multitask_net import Throughput
from sknic.learning.checkpoint import Checkpoint

OPTIONS = ("--code-size", "4", "--batch-size", "16", "--eval-every", "4", "--augmentation", "none", "--device", "cpu")


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """Sixty patches of 31 px in folders task/class/image: dark and light, red and blue."""
    folder = tmp_path_factory.mktemp("patches")
    random = np.random.default_rng(0)
    for task, label, color in [
        ("tone", "dark", (60, 60, 60)),
        ("tone", "light", (180, 180, 180)),
        ("hue", "red", (180, 60, 60)),
        ("hue", "blue", (60, 60, 180)),
    ]:
        (folder / task / label).mkdir(parents=True)
        for i in range(15):
            noise = random.normal(0, 20, (31, 31, 3))
            Image.fromarray((noise + color).clip(0, 255).astype(np.uint8)).save(folder / task / label / f"{i}.png")
    return folder


def train(patches, out, *options):
    arguments = ["train-encoder", patches, "--out", out, *OPTIONS, *options]
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_an_encoder_is_trained_and_the_run_is_written_down(patches, tmp_path):
    result = train(
        patches, tmp_path, "--max-steps", 24, "--schedule", "cosine", "--precision", "float32", "--lr", "3e-3"
    )
    assert result.exit_code == 0, result.output
    encoder = load_encoder(tmp_path / "encoder.safetensors", device="cpu")
    assert (encoder.task_names_, encoder.code_size, encoder.schedule) == (["hue", "tone"], 4, "cosine")
    assert encoder.history_[-1]["valid_accuracy"] > 0.9
    assert pd.read_csv(tmp_path / "history.csv")["step"].tolist() == [4, 8, 12, 16, 20, 24]
    record = json.loads((tmp_path / "run.json").read_text())
    assert (record["steps"], record["n_patches"], record["settings"]["precision"]) == (24, 60, "float32")
    lines = re.findall(r"step \d+/24 .*", result.output)
    assert len(lines) == 6
    assert all("patches/s" in line and "left" in line and "valid_loss" in line for line in lines)
    assert not (tmp_path / "training.checkpoint").exists()


def packed(folder, mpps):
    """Twenty-four patches with a column mpp."""
    folder.mkdir()
    colors = np.random.default_rng(0).integers(0, 256, (24, 31, 31, 3), dtype=np.uint8)
    np.save(folder / "patches.npy", colors)
    table = pd.DataFrame({"task": ["a", "b"] * 12, "label": list("xxyy") * 6, "mpp": np.resize(mpps, 24)})
    table.to_csv(folder / "patches.csv", index=False)
    return folder


def test_the_um_per_px_of_an_encoder_are_those_of_its_patches(tmp_path):
    def mpp_after(folder, out, *options):
        result = train(folder, out, "--max-steps", 1, *options)
        assert result.exit_code == 0, result.output
        return load_encoder(out / "encoder.safetensors", device="cpu").mpp, result.output

    coarse, mixed = packed(tmp_path / "coarse", [1.0]), packed(tmp_path / "mixed", [0.97, 0.25])
    assert mpp_after(coarse, tmp_path / "1")[0] == 1.0
    found, output = mpp_after(coarse, tmp_path / "2", "--mpp", 0.5)
    assert found == 0.5 and "warning: 24 of 24 patches are of 1 um/px, not 0.5" in output
    result = train(mixed, tmp_path / "3", "--max-steps", 1)
    assert result.exit_code == 2 and "must agree within 5 %" in " ".join(result.output.split())
    assert mpp_after(mixed, tmp_path / "4", "--tasks", "b")[0] == 0.25
    assert mpp_after(mixed, tmp_path / "5", "--mpp", 0.25)[0] == 0.25
    start = tmp_path / "1" / "encoder.safetensors"
    unknown = packed(tmp_path / "unknown", [np.nan])
    assert mpp_after(unknown, tmp_path / "6", "--init", start)[0] == 1.0
    assert mpp_after(unknown, tmp_path / "7")[0] == 0.5


def test_a_task_may_be_chosen(patches, tmp_path):
    assert train(patches, tmp_path, "--max-steps", 2, "--tasks", "tone").exit_code == 0
    assert load_encoder(tmp_path / "encoder.safetensors", device="cpu").task_names_ == ["tone"]


def test_a_body_may_be_chosen(patches, tmp_path):
    assert train(patches, tmp_path, "--max-steps", 2, "--body", "residual").exit_code == 0
    encoder = load_encoder(tmp_path / "encoder.safetensors", device="cpu")
    assert encoder.body == "residual" and "residual" in dict(encoder.network_.description)


def test_a_training_is_made_again_from_its_own_options(patches, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    assert train(patches, first, "--max-steps", 4, "--schedule", "cosine", "--tasks", "tone").exit_code == 0
    text = (first / "options.toml").read_text()
    assert 'schedule = "cosine"' in text and 'tasks = ["tone"]' in text and "log_file" not in text
    arguments = ["train-encoder", "--config", str(first / "options.toml"), "--out", str(again)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    digests = {load_encoder(out / "encoder.safetensors", device="cpu").fingerprint() for out in (first, again)}
    assert len(digests) == 1
    (first / "options.toml").write_text('schedule = "linear"\n')
    result = CliRunner().invoke(app, [*arguments[:3], "--out", str(again), str(patches)])
    assert result.exit_code == 2 and "linear" in result.output


class CtrlC:
    """Raises KeyboardInterrupt when the n-th interval between evaluations begins."""

    def __init__(self, n):
        self.n = n
        self.begin = Throughput.on_epoch_begin

    def __call__(self, callback, net, **kwargs):
        self.n -= 1
        if self.n == 0:
            raise KeyboardInterrupt
        self.begin(callback, net, **kwargs)


def test_ctrl_c_keeps_the_best_and_the_same_command_goes_on(patches, tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint.__init__, "__defaults__", (0,))  # at each evaluation
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(patches, whole, "--max-steps", 24).exit_code == 0
    with monkeypatch.context() as patched:
        interrupt = CtrlC(4)
        patched.setattr(Throughput, "on_epoch_begin", lambda self, net, **kwargs: interrupt(self, net, **kwargs))
        result = train(patches, broken, "--max-steps", 24)
    assert result.exit_code != 0
    best = load_encoder(broken / "encoder.safetensors", device="cpu")
    assert [row["step"] for row in best.history_] == [4, 8, 12]
    result = train(patches, broken, "--max-steps", 24)
    assert "resuming" in result.output
    assert re.findall(r"step (\d+)/24", result.output) == ["16", "20", "24"]
    encoders = [load_encoder(folder / "encoder.safetensors", device="cpu") for folder in (whole, broken)]
    assert encoders[0].fingerprint() == encoders[1].fingerprint()


def test_a_checkpoint_of_other_settings_is_refused(patches, tmp_path, monkeypatch):
    monkeypatch.setattr("pathlib.Path.unlink", lambda *arguments, **settings: None)
    assert train(patches, tmp_path, "--max-steps", 4).exit_code == 0
    result = train(patches, tmp_path, "--max-steps", 4, "--lr", "1e-4")
    assert result.exit_code == 1 and "lr differ" in str(result.exception)


def test_a_folder_without_patches_is_refused(tmp_path):
    result = train(tmp_path / "none", tmp_path / "out")
    assert result.exit_code == 1 and "no such folder" in str(result.exception)
