"""Our own encoder files: what is saved comes back, and damage gives one error and runs no code."""

import json
import pickle
import struct

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from sknic import MeanRGBEncoder, load_encoder
from sknic.exceptions import EncoderFileError


@pytest.fixture
def saved(tiny_keras, tmp_path):
    load_encoder(tiny_keras, device="cpu").save(tmp_path / "encoder.safetensors")
    return tmp_path / "encoder.safetensors"


def test_what_is_saved_comes_back(tiny_keras, saved):
    encoder, again = load_encoder(tiny_keras, device="cpu"), load_encoder(saved, device="cpu")
    patches = np.random.default_rng(0).integers(0, 256, (3, 9, 9, 3)).astype(np.uint8)
    np.testing.assert_array_equal(again.transform(patches), encoder.transform(patches))
    assert again.fingerprint() == encoder.fingerprint()
    assert (again.patch_size, again.mpp, again.input_size) == (encoder.patch_size, encoder.mpp, encoder.input_size)


def test_mean_rgb_keeps_its_parameters(tmp_path):
    MeanRGBEncoder(patch_size=32, mpp=1.0).save(tmp_path / "mean")
    assert load_encoder(tmp_path / "mean").get_params() == MeanRGBEncoder(patch_size=32, mpp=1.0).get_params()


def test_the_file_of_an_interrupted_save_is_left_as_it_was(saved, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        load_encoder(saved).save(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.glob("*.part")] == []


def test_every_truncation_is_one_error(saved):
    whole = saved.read_bytes()
    for end in range(0, len(whole), 61):
        saved.write_bytes(whole[:end])
        with pytest.raises(EncoderFileError):
            load_encoder(saved)


def test_every_flipped_bit_is_one_error(saved):
    whole = saved.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        saved.write_bytes(damaged)
        with pytest.raises(EncoderFileError):
            load_encoder(saved)


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("code of the file was run",)


def torch_file(path):
    torch.save(Bomb(), path)


def pickle_file(path):
    path.write_bytes(pickle.dumps(Bomb()))


def numpy_file(path):
    with open(path, "wb") as file:
        np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    "write, name", [(torch_file, "zip"), (pickle_file, "pickle"), (numpy_file, "numpy")], ids=["torch", "pickle", "npy"]
)
def test_a_renamed_pickle_is_refused_and_not_run(tmp_path, write, name):
    write(tmp_path / "encoder.safetensors")
    with pytest.raises(EncoderFileError, match=name):
        load_encoder(tmp_path / "encoder.safetensors")


def absurd_layer(header, tensors):
    header["network"][0][1]["out_channels"] = 2**19
    header["network"][0][1]["in_channels"] = 2**19


def unknown_layer(header, tensors):
    header["network"][0][0] = "__import__"


def missing_tensor(header, tensors):
    del tensors["network.0.weight"]


def text_size(header, tensors):
    header["network"][0][1]["kernel_size"] = "3"


def unknown_kind(header, tensors):
    header["class"] = "load_encoder"


def unknown_parameter(header, tensors):
    header["params"] = {"network_": 1}


@pytest.mark.parametrize(
    "change",
    [absurd_layer, unknown_layer, missing_tensor, text_size, unknown_kind, unknown_parameter],
)
@pytest.mark.parametrize("forged", [False, True], ids=["checksum as it was", "checksum forged"])
def test_a_header_that_lies_is_one_error(saved, change, forged):
    from sknic.files.weights import digest

    content = saved.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["sknic"])
    tensors = load(content)
    change(header, tensors)
    if forged:
        del header["checksum"]
        header["checksum"] = digest(header, tensors)
    saved.write_bytes(save(tensors, metadata={"sknic": json.dumps(header)}))
    with pytest.raises(EncoderFileError):
        load_encoder(saved)


def test_a_safetensors_file_of_someone_else_is_refused(tmp_path):
    (tmp_path / "foreign").write_bytes(save({"weight": torch.zeros(2)}))
    with pytest.raises(EncoderFileError, match="not an encoder file"):
        load_encoder(tmp_path / "foreign")
