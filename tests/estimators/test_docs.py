"""The docstrings of the estimators agree with each other, and with the code."""

import inspect
import re

import pytest
from numpydoc.docscrape import ClassDoc

from sknic.estimators import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival, GridEstimator

KINDS = [GridEstimator, GridCNNRegressor, GridCNNClassifier, GridCoxSurvival]
# What differs on purpose: what the split is stratified by, and what a batch means to Cox's likelihood.
OWN = {"validation_fraction": r"stratified by [a-z ]+\)", "batch_size": r" The likelihood.*"}
# Survival trains several networks with a branch for hot spots, and with a number of steps that depends on the slides.
OTHERWISE = {GridCoxSurvival: {"max_steps", "n_members", "hotspot_branch"}}


def entries(kind, section):
    return {
        entry.name: (entry.type, re.sub(OWN.get(entry.name, "(?!)"), "", " ".join(entry.desc)))
        for entry in ClassDoc(kind)[section]
    }


@pytest.mark.parametrize("section", ["Parameters", "Attributes"])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_shared_entries_are_equal(kind, section):
    shared = entries(GridEstimator, section)
    shared = {name: entry for name, entry in shared.items() if name not in OTHERWISE.get(kind, ())}
    assert len(shared) > 5
    assert {name: entry for name, entry in entries(kind, section).items() if name in shared} == shared


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_has_its_default_and_a_text(kind):
    described = entries(kind, "Parameters")
    for name, parameter in inspect.signature(kind).parameters.items():
        text, default = described[name][1], described[name][0].partition("default=")[2]
        assert eval(default) == parameter.default, name
        assert len(text) > 20, name


@pytest.mark.parametrize("kind", KINDS)
def test_the_constructor_takes_the_defaults_of_the_base(kind):
    base = inspect.signature(GridEstimator).parameters
    base = {name: parameter for name, parameter in base.items() if name not in OTHERWISE.get(kind, ())}
    own = inspect.signature(kind).parameters
    assert {name: own[name].default for name in base} == {name: base[name].default for name in base}
