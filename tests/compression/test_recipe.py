"""What the cache key of a slide holds, and a manifest that is not ours."""

import functools
import json
import pickle
import subprocess
import sys
import types

import numpy as np
import pandas as pd
import pytest

from sknic import SlideCompressor
from sknic.compression.recipe import Recipe
from sknic.compression.slide_mpp import by_slide
from sknic.exceptions import CacheWarning, TissueMaskError
from sknic.files.callables import callable_identity
from sknic.slides import Annotations

THRESHOLD = 1


def identity_of(function):
    return callable_identity(function, "tissue", "cache_dir")


def uses_global(slide):
    return THRESHOLD


def uses_module(slide):
    return helpers.find(slide)  # noqa: F821  set by a test


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


def test_slides_of_one_name_do_not_share_a_mask(tmp_path):
    slides = [str(tmp_path / patient / "HE.tiff") for patient in ("P1", "P2")]
    for pattern in (f"{tmp_path}/{{stem}}.png", Annotations(f"{tmp_path}/{{stem}}.geojson")):
        with pytest.raises(TissueMaskError, match="would be the mask of both .*P1/HE.tiff and .*P2/HE.tiff; put"):
            recipe(tissue=pattern).check_slides(slides)
    recipe(tissue="masks/{stem}.png").check_slides(slides)  # P1/masks and P2/masks
    for tissue in (None, "density", "otsu", max):
        recipe(tissue=tissue).check_slides(slides)
    for folder in ("P1", "P2"):
        (tmp_path / folder).symlink_to(tmp_path, target_is_directory=True)
    recipe(tissue=f"{tmp_path}/{{stem}}.png").check_slides(slides)  # one slide under two paths


def test_slides_of_one_name_do_not_share_their_um_per_px(tmp_path):
    slides = [f"{tmp_path}/P1/HE.tiff", f"{tmp_path}/P2/HE.tiff"]
    for name in ("HE", "HE.tiff"):
        with pytest.raises(ValueError, match=f"slide_mpp: '{name}' is the name of both .*P1/HE.tiff and .*P2/HE.tiff"):
            recipe(slide_mpp={name: 0.25}).check_slides(slides)
    recipe(slide_mpp=dict.fromkeys(slides, 0.25)).check_slides(slides)


def test_two_um_per_px_of_one_slide_are_refused(tmp_path):
    for stated in (pd.Series([0.25, 0.5], index=["x.svs"] * 2), {"a/x.svs": 0.25, "./a/x.svs": 0.5}):
        with pytest.raises(ValueError, match=r"x\.svs has 0\.25 and 0\.5 um/px: expected one number"):
            by_slide(stated)
    assert by_slide(pd.Series([0.25, 0.25, np.nan], index=["x", "x", "y"]))["x"] == 0.25


def test_numpy_scalars_give_the_key_of_pythons(tmp_path):
    given = recipe(slide_mpp=np.float32(0.5), min_tissue=np.float64(0.6), orientations=np.int64(1))
    assert json.dumps(given.settings("a")) == json.dumps(recipe(slide_mpp=0.5).settings("a"))


def test_a_changed_global_changes_the_identity(monkeypatch):
    before = identity_of(uses_global)
    assert identity_of(uses_global) == before
    monkeypatch.setitem(uses_global.__globals__, "THRESHOLD", 2)
    assert identity_of(uses_global) != before


@pytest.mark.parametrize("make", [lambda n: functools.partial(with_level, level=n), lambda n: Mask(n).mask])
def test_the_state_of_partials_and_bound_methods_is_in_the_identity(make):
    assert identity_of(make(20)) == identity_of(make(20))
    assert identity_of(make(20)) != identity_of(make(60))


MODULE = """
import enum, functools
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple

class Base(ABC):
    level = 20
    @abstractmethod
    def find(self): ...
    def below(self): return 20
class Mask(Base):
    __slots__ = ("size",)
    def __init__(self): self.size, self.box = 3, Box()
    def __call__(self, slide): return self.find()
    def find(self): return self.level
    def method(self, slide): return self.below()
    @staticmethod
    def static(slide): return 20
    @classmethod
    def of_class(cls, slide): return cls.level
@dataclass
class Box:
    side: int = 20
    parts: list = field(default_factory=list)
class Kind(enum.Enum):
    LARGE = 20
class Pair(NamedTuple):
    first: int = 20
@functools.cache
def cached(slide): return 20
def by_class(slide): return Mask().find()
def by_enum(slide): return Kind.LARGE
def by_pair(slide): return Pair()
call, method, static, of_class = Mask(), Mask().method, Mask.static, Mask.of_class
"""


def module_of(text, name):
    module = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
    return module


USES = ["call", "method", "static", "of_class", "cached", "by_class", "by_enum", "by_pair"]


@pytest.mark.parametrize("use", USES)
def test_the_code_of_the_users_classes_is_in_the_identity(use, monkeypatch):
    def identity(text):
        module = module_of(text, "users")
        monkeypatch.setitem(sys.modules, "users", module)
        return identity_of(getattr(module, use))

    before = identity(MODULE)
    assert identity(MODULE) == before
    assert identity(MODULE.replace("20", "30")) != before
    pickle.dumps(sys.modules["users"].Box())  # leaves its marks on the class
    assert identity_of(getattr(sys.modules["users"], use)) == identity(MODULE.replace("20", "30"))


def test_the_code_of_a_module_of_the_users_is_in_the_identity_where_it_is_used(monkeypatch):
    def identity(text):
        monkeypatch.setitem(uses_module.__globals__, "helpers", module_of(text, "helpers"))
        return identity_of(uses_module)

    text = "def find(slide): return 20\ndef other(slide): return 1"
    before = identity(text)
    assert identity(text.replace("20", "30")) != before
    assert identity(text.replace("return 1", "return 2")) == before


def test_neither_order_nor_case_of_classes_is_in_the_key(tmp_path):
    (tmp_path / "a.geojson").write_text("[]")

    def key(**choice):
        return recipe(tissue=Annotations(tmp_path / "a.geojson", **choice)).settings("a.tiff")

    assert key(classes=["Tumor", "Stroma"]) == key(classes={"stroma", "tumor"}) != key(classes=["Tumor"])
    assert key() == recipe(tissue=str(tmp_path / "a.geojson")).settings("a.tiff") != key(exclude=["Tumor"])


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


SCRIPT = """
import sys
import numpy as np
from sknic import MeanRGBEncoder, SlideCompressor

class Mask:
    def __init__(self, level): self.level = level
    def __call__(self, slide): return self.find(slide)
    def find(self, slide): return slide.thumbnail(256)[0].min(axis=2) < self.level

for n_jobs in (2, 1):
    compressor = SlideCompressor(MeanRGBEncoder(), cache_dir=sys.argv[1], tissue=Mask(230), n_jobs=n_jobs)
    print([outcome.status for outcome in compressor.compress(sys.argv[2:])])
"""


def test_an_object_of_a_script_is_the_same_in_workers_and_in_the_script(slides, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, tmp_path / "script.py", tmp_path / "grids", *slides[:2]]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["['done', 'done']", "['cached', 'cached']"]


HELPER = """
def over(limit):
    return limit > 20
"""
THROUGH = {
    "a list": "steps = [over]\ndef use(slide):\n    return [step(slide) for step in steps]",
    "a dict in a closure": "def make(steps):\n    return lambda slide: steps['a'](slide)\nuse = make({'a': over})",
    "a default": "def use(slide, step=over):\n    return step(slide)",
    "a keyword": "def use(slide, *, step=over):\n    return step(slide)",
    "a partial in a list": "import functools\ns = [functools.partial(over)]\ndef use(slide):\n    return s[0](slide)",
    "numpy": "import numpy as np\nstep = np.vectorize(over)\ndef use(slide):\n    return step(slide)",
    "scikit-learn": (
        "from sklearn.preprocessing import FunctionTransformer\nstep = FunctionTransformer(over)\n"
        "def use(slide):\n    return step.transform(slide)"
    ),
}


@pytest.mark.parametrize("text", THROUGH.values(), ids=THROUGH)
def test_a_helper_counts_however_a_function_comes_by_it(text, monkeypatch):
    def identity(helper):
        module = types.ModuleType("users")
        monkeypatch.setitem(sys.modules, "users", module)
        exec(helper + text, module.__dict__)
        return identity_of(module.use)

    before = identity(HELPER)
    assert identity(HELPER) == before
    assert identity(HELPER.replace("20", "30")) != before


def test_a_module_that_a_function_imports_when_it_is_called_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "limits_of_mine", raising=False)

    def use(slide):
        from limits_of_mine import over

        return over(slide)

    def identity(helper):
        sys.modules.pop("limits_of_mine", None)
        module = types.ModuleType("limits_of_mine")
        exec(helper, module.__dict__)
        monkeypatch.setitem(sys.modules, "limits_of_mine", module)
        return identity_of(use)

    before = identity(HELPER)
    assert identity(HELPER) == before
    assert identity(HELPER.replace("20", "30")) != before
