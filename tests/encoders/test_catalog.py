"""Encoders have names: the bundled one is there and is what it was; a missing file is told with what there is."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from sknic import MeanRGBEncoder, SlideCompressor, list_encoders, load_encoder
from sknic.encoders.catalog import BUNDLED, PUBLISHED, encoder_path, identify
from sknic.exceptions import EncoderFileError, EncoderNotFoundError, SknicError

# Within a version the output of a bundled encoder does not change: caches of compressed slides rely on it.
FINGERPRINTS = {"sknic-he-1": "21f09d16d9eac73afb8f9d33e3aa12fc86030bfc45f9cc3c259580ec74775301"}


def test_bundled_encoders_are_what_they_were():
    bundled = list_encoders().query("bundled").index
    assert {name: load_encoder(name, device="cpu").fingerprint() for name in bundled} == FINGERPRINTS


def test_the_bundled_encoder_takes_the_patches_of_the_papers_and_fits_into_the_wheel():
    encoder = load_encoder("sknic-he-1", device="cpu")
    assert (encoder.patch_size, encoder.input_size, encoder.mpp, encoder.code_size) == (128, 64, 0.5, 128)
    patches = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    wide = patches.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(encoder.transform(wide), encoder.transform(patches), atol=1e-4)
    assert encoder.task_names_ == ["colorectal", "lymph", "mitosis"]
    assert (BUNDLED / "sknic-he-1.safetensors").stat().st_size < 3e6


def test_its_card_says_what_it_has_seen_and_what_it_is_worth():
    card = load_encoder("sknic-he-1", device="cpu").card_
    assert set(card["data"]) == {"colorectal", "lymph", "mitosis"}
    for about in card["data"].values():
        assert len(about["sha256"]) == 64 and sum(about["patches"].values()) > 100
        assert "CC0" in about["source"] or "MIT" in about["source"] or "CC BY 4.0" in about["source"]
    for score in card["held out"].values():
        assert score["low"] <= score["value"] <= score["high"] and score["sources"] > 1
    text = (BUNDLED / "sknic-he-1.md").read_text()
    assert all(
        f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]" in text for score in card["held out"].values()
    )
    assert all(line in text for line in card["citations"] + card["never shown"])


def test_it_is_the_default_encoder_of_compression():
    assert SlideCompressor().encoder == "sknic-he-1"


def test_a_name_goes_before_a_file_and_a_path_is_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    MeanRGBEncoder().save("sknic-he-1")
    assert load_encoder("sknic-he-1", device="cpu").code_size == 128
    assert load_encoder("./sknic-he-1", device="cpu").code_size == 3


@pytest.mark.parametrize("name", ["sknic-he-2", "encoder_multitask-4.h5", "no/such/file.safetensors"])
def test_what_is_missing_is_told_with_what_there_is(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for missing in (name, tmp_path / name):
        with pytest.raises(EncoderNotFoundError) as error:
            load_encoder(missing)
        words = str(error.value)
        assert name in words and "sknic-he-1" in words and "davidtellez/neural-image-compression" in words
        assert all(file in words for file in PUBLISHED)
        assert isinstance(error.value, FileNotFoundError) and isinstance(error.value, SknicError)
    with pytest.raises(EncoderNotFoundError, match="sknic-he-1"):
        SlideCompressor(name).fit(["a.svs"])


def test_a_folder_is_not_an_encoder_file(tmp_path):
    with pytest.raises(EncoderNotFoundError, match="is a folder"):
        load_encoder(tmp_path)


def test_every_named_encoder_says_its_licence_and_source():
    table = list_encoders()
    assert set(table.index) == {"sknic-he-1", *PUBLISHED}
    assert (table["license"] != "").all() and (table["source"] != "").all()
    assert table["bundled"].sum() == 1
    (path,) = table.query("bundled")["source"]
    assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == table.loc["sknic-he-1", "sha256"]


def test_known_files_are_known_by_their_bytes(tmp_path):
    path = encoder_path("sknic-he-1")
    (tmp_path / "renamed").write_bytes(path.read_bytes())
    assert identify(tmp_path / "renamed") == "sknic-he-1"
    MeanRGBEncoder().save(tmp_path / "mine")
    assert identify(tmp_path / "mine") is None


def test_published_files_are_known_by_their_bytes(test_data):
    for name in ("encoder_multitask-4.h5", "encoder_bigan.h5", "encoder_mean-rgb.h5"):
        assert identify(test_data / "encoders" / name) == name


def test_float16_halves_the_file_and_changes_little(tmp_path):
    encoder = load_encoder("sknic-he-1", device="cpu")
    for dtype in ("float32", "float16"):
        encoder.save(tmp_path / dtype, dtype=dtype)
    sizes = [(tmp_path / dtype).stat().st_size for dtype in ("float32", "float16")]
    assert sizes[1] < 0.55 * sizes[0]
    # Its weights were rounded when it was bundled: nothing is left to lose.
    assert load_encoder(tmp_path / "float16").fingerprint() == encoder.fingerprint()
    with pytest.raises(ValueError, match="dtype='int8': expected"):
        encoder.save(tmp_path / "int8", dtype="int8")


def test_weights_beyond_float16_are_refused(tmp_path):
    encoder = load_encoder("sknic-he-1", device="cpu")
    encoder.network_[0].weight.data[0, 0, 0, 0] = 1e6
    with pytest.raises(ValueError, match=r"dtype='float16': expected 'float32', because network\.0\.weight would"):
        encoder.save(tmp_path / "half", dtype="float16")


def test_a_damaged_bundled_file_is_one_error(tmp_path, monkeypatch):
    content = bytearray((BUNDLED / "sknic-he-1.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "sknic-he-1.safetensors").write_bytes(content)
    with pytest.raises(EncoderFileError, match="damaged"):
        load_encoder(tmp_path / "sknic-he-1.safetensors")
