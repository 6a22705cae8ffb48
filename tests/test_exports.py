import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

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


def test_type_checkers_are_told_the_same_names():
    stub = ast.parse(Path(sknic.__file__).with_suffix(".pyi").read_text())
    names = {alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert names | {"__version__"} == EXPORTED
    assert Path(sknic.__file__).with_name("py.typed").exists()


def public_functions():
    """Functions and methods, with what is inherited inside sknic, that the API page names."""
    for module in ("sknic", "sknic.estimators", "sknic.evaluation", "sknic.plotting", "sknic.datasets"):
        for name in import_module(module).__all__:
            thing = getattr(import_module(module), name)
            if inspect.isfunction(thing):
                yield thing
            for owner in thing.__mro__ if inspect.isclass(thing) else ():
                if owner.__module__.startswith("sknic"):
                    public = (member for key, member in vars(owner).items() if key == "__init__" or key[0] != "_")
                    yield from (getattr(member, "__func__", member) for member in public)


def test_the_public_functions_are_typed():
    untyped = set()
    for function in filter(inspect.isfunction, public_functions()):
        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
        told = [signature.return_annotation, *(parameter.annotation for parameter in parameters)]
        if inspect.Signature.empty in told and function.__module__.startswith("sknic"):
            untyped.add(f"{function.__module__}.{function.__qualname__}")
    assert not untyped
