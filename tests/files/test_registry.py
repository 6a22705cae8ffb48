"""Classes are found by the names in files, and unknown classes and parameters are named."""

from abc import ABC, abstractmethod

import pytest

from sknic import BaseEncoder, MeanRGBEncoder, __version__, load_encoder
from sknic.encoders.store import ENCODERS
from sknic.estimators import GridCNNClassifier
from sknic.estimators.files import ESTIMATORS
from sknic.exceptions import EncoderFileError, ModelFileError
from sknic.files import weights
from sknic.files.registry import Registry, name_of


class Thing:
    def __init__(self, size=1):
        self.size = size


class Unfinished(ABC):
    @abstractmethod
    def finish(self): ...


@pytest.fixture
def registry():
    registry = Registry("thing", ModelFileError)
    registry.enter(Thing)
    registry.enter(Unfinished)
    return registry


def test_a_class_is_found_by_its_name(registry):
    assert registry.find("file", {"class": name_of(Thing), "params": {"size": 2}}) is Thing


@pytest.mark.parametrize("name", ["Thing", "os.system", name_of(Unfinished), "", 3, None, ["Thing"]])
def test_any_other_name_is_unknown(registry, name):
    with pytest.raises(ModelFileError, match="file: the thing in it has the unknown class"):
        registry.find("file", {"class": name, "params": {}})


def test_a_parameter_of_another_version_names_both_versions(registry):
    with pytest.raises(
        ModelFileError, match=rf"sknic 9\.9, where .*Thing has the parameter color.*sknic {__version__}"
    ):
        registry.find("file", {"class": name_of(Thing), "params": {"size": 1, "color": 2}, "sknic": "9.9"})


@pytest.mark.parametrize("params", [None, 3, "size", ["size"]])
def test_parameters_that_are_none_are_refused(registry, params):
    with pytest.raises(ModelFileError, match="no parameters"):
        registry.find("file", {"class": name_of(Thing), "params": params})


def test_the_names_of_sknics_own_classes_are_short_and_they_are_all_there():
    assert ENCODERS.find("f", {"class": "MeanRGBEncoder", "params": {}}) is MeanRGBEncoder
    assert ESTIMATORS.find("f", {"class": "GridCNNClassifier", "params": {}}) is GridCNNClassifier
    with pytest.raises(EncoderFileError, match="unknown class 'BaseEncoder'"):
        ENCODERS.find("f", {"class": name_of(BaseEncoder), "params": {}})


class Darker(MeanRGBEncoder):
    """An encoder of a user, which enters itself."""


def test_an_encoder_class_of_a_user_is_saved_and_read_like_our_own(tmp_path):
    Darker(patch_size=32).save(tmp_path / "darker")
    again = load_encoder(tmp_path / "darker", device="cpu")
    assert type(again) is Darker and again.patch_size == 32


def test_an_encoder_file_of_another_version_names_both_versions(tmp_path, monkeypatch):
    encoder = MeanRGBEncoder()
    monkeypatch.setattr(encoder, "get_params", lambda deep=True: {"patch_size": 128, "gamma": 1})
    monkeypatch.setattr(weights, "__version__", "7.1.0")
    encoder.save(tmp_path / "later")
    with pytest.raises(EncoderFileError, match=rf"sknic 7\.1\.0.*gamma.*this is sknic {__version__}"):
        load_encoder(tmp_path / "later")
