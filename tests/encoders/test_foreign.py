"""Encoders of other tools by a name: files of TorchScript, and models of timm with local weights."""

import json
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sknic import TorchEncoder, load_encoder
from sknic.compression.inputs import resolve_encoder
from sknic.encoders.foreign import Foreign
from sknic.exceptions import EncoderFileError, EncoderNotFoundError

PATCHES = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "net.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.trace(network(), torch.zeros(1, 3, 32, 32)), path)
    path.with_suffix(".json").write_text('{"mpp": 1.0, "input_size": 32, "mean": [0, 0, 0], "std": [1, 1, 1]}')
    return path


class Pretrained(nn.Module):
    """What timm makes of a name, as far as it is used: a trunk, a classifier that can be left out, its settings."""

    def __init__(self, num_classes):
        super().__init__()
        self.trunk = network(1)
        self.head = nn.Linear(4, num_classes) if num_classes else nn.Identity()
        self.pretrained_cfg = {
            "input_size": (3, 32, 32), "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.2), "classifier": "head"
        }  # fmt: skip

    def forward(self, x):
        return self.head(self.trunk(x))


@pytest.fixture
def timm(monkeypatch):
    def create_model(name, *, pretrained, num_classes):
        assert not pretrained
        if name != "tiny":
            raise RuntimeError(f"Unknown model ({name})")
        return Pretrained(num_classes)

    monkeypatch.setitem(sys.modules, "timm", SimpleNamespace(create_model=create_model))


def test_a_torchscript_file_gives_the_embeddings_of_its_module(script):
    encoder = load_encoder(f"torchscript:{script}", device="cpu")
    wanted = TorchEncoder(network(), input_size=32, mpp=1.0, mean=(0, 0, 0), std=(1, 1, 1), device="cpu")
    np.testing.assert_allclose(encoder.transform(PATCHES), wanted.transform(PATCHES), rtol=1e-5)
    assert (encoder.mpp, encoder.patch_size, encoder.code_size) == (1.0, 32, 4)


def test_torchscript_without_its_scaling_is_refused_not_guessed(script):
    script.with_suffix(".json").unlink()
    with pytest.raises(EncoderFileError, match=r"net\.json such as .*does not state how patches are scaled"):
        load_encoder(f"torchscript:{script}")
    script.with_suffix(".json").write_text('{"um": 3}')
    with pytest.raises(EncoderFileError, match="some of input_size, mpp"):
        load_encoder(f"torchscript:{script}")
    script.with_suffix(".json").write_text('{"input_size": 32, "mean": [0, 0, 0]}')
    with pytest.raises(EncoderFileError, match=r"net\.json does not state mpp, std, and a TorchScript file"):
        load_encoder(f"torchscript:{script}")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_timm_model_is_read_from_local_weights_with_or_without_their_classifier(suffix, timm, tmp_path):
    model, path = Pretrained(10), tmp_path / f"weights{suffix}"
    with torch.no_grad():
        model.trunk[0].bias += 1  # trained, not as it was made
    if suffix == ".pth":
        torch.save({"state_dict": model.state_dict()}, path)
    else:
        save_file(model.state_dict(), path)
    encoder = load_encoder(f"timm:tiny:{path}", device="cpu")
    wanted = TorchEncoder(model.trunk, input_size=32, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.2), device="cpu")
    np.testing.assert_allclose(encoder.transform(PATCHES), wanted.transform(PATCHES), rtol=1e-5)
    assert encoder.mpp == 0.5
    path.with_suffix(".json").write_text('{"mpp": 0.25}')
    assert load_encoder(f"timm:tiny:{path}").mpp == 0.25


def test_the_fingerprint_is_that_of_the_weights_wherever_they_lie(timm, tmp_path):
    paths = [tmp_path / name for name in ("a.safetensors", "b.safetensors", "other.safetensors")]
    model = Pretrained(0)
    for path in paths[:2]:
        save_file(model.state_dict(), path)
    with torch.no_grad():
        model.trunk[0].bias += 1
    save_file(model.state_dict(), paths[2])
    a, b, other = (resolve_encoder(f"timm:tiny:{path}").fingerprint() for path in paths)
    assert a == b != other


@pytest.mark.parametrize("text", ["timm:tiny", "timm::w.pth", "torchscript:", "timm:tiny:"])
def test_a_name_that_lacks_a_part_is_refused(text):
    with pytest.raises(EncoderFileError, match="expected torchscript:FILE or timm:NAME:WEIGHTS"):
        load_encoder(text)


def test_missing_files_unknown_models_and_weights_of_another_model_are_named(timm, tmp_path):
    with pytest.raises(EncoderNotFoundError, match="no such file"):
        load_encoder("torchscript:nowhere.pt")
    with pytest.raises(EncoderNotFoundError, match=r"timm:tiny:nowhere\.pth': no such file"):
        load_encoder("timm:tiny:nowhere.pth")
    weights = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, weights)
    with pytest.raises(EncoderFileError, match="Unknown model"):
        load_encoder(f"timm:huge:{weights}")
    with pytest.raises(EncoderFileError, match="weights of a model other than tiny: 3 of 3 tensors .* such as 'a'"):
        load_encoder(f"timm:tiny:{weights}")


def test_timm_that_is_not_installed_is_said(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "timm", None)
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(EncoderFileError, match=r"pip install 'sknic\[timm\]'"):
        load_encoder(f"timm:tiny:{tmp_path / 'w.pth'}")


def test_other_names_are_no_such_names():
    assert Foreign.parse("sknic-he-1") is Foreign.parse("C:\\encoder.h5") is Foreign.parse(None) is None
    assert json.dumps(str(Foreign.parse("timm:a:/w:1.pth"))) == '"timm:a:/w:1.pth"'
