"""A TorchScript file as --encoder: slides are compressed, and the model's folder carries it along."""

import json
import shutil
import warnings

import pandas as pd
import torch
from torch import nn

from tests.cli.helpers import run


def test_a_model_on_a_torchscript_encoder_predicts_after_the_file_is_gone(slides, tmp_path):
    script = tmp_path / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
        torch.jit.save(torch.jit.trace(module, torch.zeros(1, 3, 64, 64)), script)
    scaling = {"mpp": 0.5, "input_size": 64, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]}
    script.with_suffix(".json").write_text(json.dumps(scaling))
    options = ("--task", "regression", "--target", "score", "--max-steps", 2, "--n-filters", 4, "--device", "cpu")
    model, out = tmp_path / "model", tmp_path / "p.csv"
    fitted = run("fit", slides / "good.csv", *options, "--encoder", f"torchscript:{script}", "--out", model)
    assert fitted.exit_code == 0, fitted.output
    assert f'encoder = "torchscript:{script}"' in (model / "options.toml").read_text()
    predict = ("predict", slides / "good.csv", "--model", model, "--device", "cpu", "--out", out)
    assert run(*predict).exit_code == 0
    first = pd.read_csv(out)
    script.unlink()
    script.with_suffix(".json").unlink()
    shutil.rmtree(model / "grids")
    again = run(*predict)
    assert again.exit_code == 0, again.output
    pd.testing.assert_frame_equal(pd.read_csv(out), first)
