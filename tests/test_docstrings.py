"""Docstrings of the public API follow numpydoc: every parameter is there, none is made up, what is returned is said.

`make lint` runs this. Rooms that do not pass yet are listed in pyproject.toml, under `tool.sknic.docstrings`.
"""

import dataclasses
import importlib
import inspect
import pkgutil
import sys
import tomllib
from pathlib import Path

import pytest
from numpydoc.docscrape import ClassDoc
from numpydoc.validate import validate

import sknic

# A parameter without a text, a text without its parameter, a return value without one, a summary without a full stop.
CHECKS = {"PR01", "PR02", "RT01", "SS03"}
UNFINISHED = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["tool"]["sknic"]["docstrings"]
# What `sknic` itself exports is written in these.
ROOMS = [f"sknic.{room.name}" for room in pkgutil.iter_modules(sknic.__path__) if room.ispkg]


def public_names(room):
    """Full names of what a room exports, and of the public members that are written in sknic."""
    module = importlib.import_module(room)
    names = set()
    for exported in getattr(module, "__all__", []):
        item = getattr(module, exported)
        if inspect.ismodule(item) or not callable(item) or not getattr(item, "__module__", "").startswith("sknic"):
            continue
        # Where it is written, for numpydoc cannot see through a lazy export.
        name = f"{item.__module__}.{item.__qualname__}"
        names.add(name)
        members = vars(item).items() if inspect.isclass(item) else ()
        names |= {
            f"{name}.{member}" for member, value in members if not member.startswith("_") and is_written_out(value)
        }
    return sorted(names)


def fields_are_attributes(name):
    """A data class may describe its fields as attributes instead of parameters."""
    module, _, qualified = name.rpartition(".")
    item = getattr(sys.modules.get(module), qualified, None)
    if not dataclasses.is_dataclass(item):
        return False
    described = {
        part for base in item.__mro__ for entry in ClassDoc(base)["Attributes"] for part in entry.name.split(", ")
    }
    return {field.name for field in dataclasses.fields(item)} <= described


def keeps_a_contract(name):
    """An override whose contract is written where a class of sknic declares the method."""
    owner, _, member = name.rpartition(".")
    module, _, qualified = owner.rpartition(".")
    item = getattr(sys.modules.get(module), qualified, None)
    bases = item.__mro__[1:] if inspect.isclass(item) else ()
    return any(member in vars(base) and base.__module__.startswith("sknic.targets") for base in bases)


def is_written_out(member):
    """A method or property with a body; numpydoc cannot read a property of a lambda."""
    if isinstance(member, property):
        return member.fget.__name__ != "<lambda>"
    return (callable(member) and not hasattr(member, "forward")) or isinstance(member, classmethod | staticmethod)


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in UNFINISHED["unfinished"]])
def test_the_docstrings_of_a_room_are_complete(room):
    found = [
        f"{name}: {code} {message}"
        for name in public_names(room)
        for code, message in validate(name)["errors"]
        if code in CHECKS and not (code == "PR01" and fields_are_attributes(name))
        if not (code in ("PR01", "RT01") and keeps_a_contract(name))
    ]
    assert not found, "\n" + "\n".join(found)


def test_a_room_that_passes_is_not_listed_as_unfinished():
    assert set(UNFINISHED["unfinished"]) <= set(ROOMS)
