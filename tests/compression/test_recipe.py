"""What the cache key of a slide holds, and a manifest that is not ours."""

import functools
import json

import numpy as np
import pytest

from sknic import SlideCompressor
from sknic.compression.identity import callable_identity
from sknic.compression.recipe import Recipe
from sknic.exceptions import CacheWarning

THRESHOLD = 1


def uses_global(slide):
    return THRESHOLD


def with_level(slide, level):
    return level


class Mask:
    def __init__(self, level):
        self.level = level

    def mask(self, slide):
        return self.level


def recipe(**settings):
    return Recipe(mpp=0.5, patch_size=32, stride=32, **settings)


@pytest.mark.parametrize("slide_mpp", [float("nan"), np.float32("nan"), {"a": float("nan")}, {"b": 0.5}, {}])
def test_a_um_per_px_that_states_nothing_leaves_the_metadata(slide_mpp):
    assert recipe(slide_mpp=slide_mpp).mpp_of("a.tiff") is None


def test_numpy_scalars_give_the_key_of_pythons(tmp_path):
    given = recipe(slide_mpp=np.float32(0.5), min_tissue=np.float64(0.6), orientations=np.int64(1))
    assert json.dumps(given.settings("a")) == json.dumps(recipe(slide_mpp=0.5).settings("a"))


def test_a_changed_global_changes_the_identity(monkeypatch):
    before = callable_identity(uses_global)
    assert callable_identity(uses_global) == before
    monkeypatch.setitem(uses_global.__globals__, "THRESHOLD", 2)
    assert callable_identity(uses_global) != before


@pytest.mark.parametrize("make", [lambda n: functools.partial(with_level, level=n), lambda n: Mask(n).mask])
def test_the_state_of_partials_and_bound_methods_is_in_the_identity(make):
    assert callable_identity(make(20)) == callable_identity(make(20))
    assert callable_identity(make(20)) != callable_identity(make(60))


@pytest.mark.parametrize("theirs", [b"patient,age\n1,60\n", "name\nM\u00fcller\n".encode("latin-1")])
def test_a_manifest_of_the_user_is_not_touched(slides, tmp_path, encoder, theirs):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.csv").write_bytes(theirs)
    with pytest.warns(CacheWarning, match="is not a manifest of sknic and is left alone"):
        SlideCompressor(encoder, cache_dir=tmp_path / "out").transform(slides[:1])
    assert (tmp_path / "out" / "manifest.csv").read_bytes() == theirs
    assert slides[0] in (tmp_path / "out" / "sknic-manifest.csv").read_text()


def test_an_empty_manifest_is_replaced(slides, tmp_path, encoder):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "manifest.csv").touch()
    SlideCompressor(encoder, cache_dir=tmp_path / "out").transform(slides[:1])
    assert slides[0] in (tmp_path / "out" / "manifest.csv").read_text()
