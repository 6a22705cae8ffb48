"""The public names: one list, each name there, nothing loaded before it is asked for."""

import ast
import inspect
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import sknic

ROOMS = ("slides", "grids", "compression", "encoders", "estimators", "evaluation", "datasets", "plotting", "saliency")
SUBPACKAGES = [f"sknic.{room}" for room in ROOMS]


@pytest.mark.parametrize("name", sorted(sknic.__all__))
def test_every_exported_name_exists(name):
    assert getattr(sknic, name) is not None


def test_the_names_are_listed_once_and_dir_shows_them():
    assert dir(sknic) == sorted(set(sknic.__all__))
    assert len(sknic.__all__) == len(set(sknic.__all__))


def test_a_subpackage_exports_the_same_object():
    homes = [sknic.slides, sknic.grids, sknic.compression, sknic.encoders, sknic.estimators, sknic.evaluation]
    for name in sknic.__all__:
        thing = getattr(sknic, name)
        if inspect.isclass(thing):
            assert any(getattr(home, name, None) is thing for home in homes), name


def test_a_public_name_of_a_subpackage_is_there_and_comes_from_sknic():
    for module in map(import_module, SUBPACKAGES):
        assert len(set(module.__all__)) == len(module.__all__), module.__name__
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                assert thing.__module__.startswith("sknic"), f"{module.__name__}.{name} is from {thing.__module__}"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        sknic.nothing  # noqa: B018


def test_import_brings_in_nothing_heavy():
    heavy = ("torch", "sklearn", "numpy", "pandas", "openslide")
    code = f"import sys, sknic; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_type_checkers_see_every_name_and_no_other():
    stub = ast.parse(Path(sknic.__file__).with_suffix(".pyi").read_text())
    aliases = [alias for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert {alias.asname for alias in aliases} | {"__version__"} == set(sknic.__all__)
    assert all(alias.name == alias.asname for alias in aliases)  # a checker takes only `X as X` for public
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


@pytest.mark.parametrize("room", ["estimators", "evaluation", "exceptions", "plotting", "datasets", "saliency"])
def test_the_api_page_names_everything_public(room):
    page = (Path(__file__).parents[1] / "docs" / "api.md").read_text(encoding="utf-8")
    module = import_module(f"sknic.{room}")
    names = getattr(module, "__all__", [name for name, thing in vars(module).items() if inspect.isclass(thing)])
    assert not [name for name in names if not re.search(rf"\b{name}\b", page)]


def test_the_public_functions_are_typed():
    untyped = set()
    for function in filter(inspect.isfunction, public_functions()):
        signature = inspect.signature(function)
        parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
        told = [signature.return_annotation, *(parameter.annotation for parameter in parameters)]
        if inspect.Signature.empty in told and function.__module__.startswith("sknic"):
            untyped.add(f"{function.__module__}.{function.__qualname__}")
    assert not untyped
