import subprocess
import sys

import pytest

import sknic

EXPORTED = {
    "BiGANEncoder", "ContrastiveEncoder", "CrossValEnsemble", "Grid", "GridCNNClassifier", "GridCNNRegressor",
    "GridCoxSurvival", "MeanRGBEncoder", "MultitaskEncoder", "Slide", "SlideCompressor", "TaskSelector", "TorchEncoder",
    "VAEEncoder", "__version__", "datasets", "evaluation", "exceptions", "load_encoder", "plotting", "saliency",
}  # fmt: skip


def test_the_exported_names_are_these():
    assert set(sknic.__all__) == EXPORTED
    assert set(dir(sknic)) == EXPORTED


@pytest.mark.parametrize("name", sorted(EXPORTED))
def test_every_exported_name_exists(name):
    assert getattr(sknic, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        sknic.nothing  # noqa: B018


def test_import_brings_in_nothing_heavy():
    heavy = ("torch", "sklearn", "numpy", "pandas", "openslide")
    code = f"import sys, sknic; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
