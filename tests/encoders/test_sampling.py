"""Batches are drawn evenly, labels are read whatever their type, and a memory map stays on disk."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from sknic.encoders.labels import encode, read_tasks, score_labels, to_frame
from sknic.encoders.sampling import EvenTasks, Patches, draw_evenly, memory_map, strata


@pytest.fixture
def random():
    return np.random.default_rng(0)


def test_strata_are_class_by_center():
    codes = np.array([0, 1, -1, 0, 1, 0])
    assert [rows.tolist() for rows in strata(codes)] == [[0, 3, 5], [1, 4]]
    centers = np.array(["b", "a", "a", "a", "a", "b"])
    assert sorted(rows.tolist() for rows in strata(codes, centers)) == [[0, 5], [1, 4], [3]]


def test_every_class_is_drawn_alike_and_rare_rows_are_repeated_alike(random):
    groups = [np.arange(0, 90), np.arange(90, 93), np.array([93])]
    rows = draw_evenly(groups, 30, random)
    assert [np.isin(rows, group).sum() for group in groups] == [10, 10, 10]
    assert len(np.unique(rows[rows < 90])) == 10
    assert sorted(np.unique(rows[(rows >= 90) & (rows < 93)], return_counts=True)[1].tolist()) == [3, 3, 4]


def test_a_large_class_is_gone_through_before_it_repeats(random):
    rows = draw_evenly([np.arange(50), np.arange(50, 60)], 100, random)
    assert sorted(rows[rows < 50].tolist()) == list(range(50))


def test_a_batch_holds_a_block_of_each_task():
    blocks = [[np.arange(10), np.arange(10, 20)], [np.arange(20, 25), np.arange(25, 40)]]
    with torch.random.fork_rng():
        batches = list(EvenTasks(blocks, 8, 5))
    assert len(batches) == 5
    for batch in batches:
        first, second = batch.reshape(2, 8)
        assert (first < 20).all() and (second >= 20).all()
        # Uniform over the epoch, and within a batch to one draw.
        assert abs((first < 10).sum() - 4) <= 1 and abs((second < 25).sum() - 4) <= 1


def test_torchs_seed_decides_the_batches():
    sampler = EvenTasks([[np.arange(50)]], 8, 3)
    drawn = []
    with torch.random.fork_rng():
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            drawn.append(np.concatenate(list(sampler)).tolist())
    assert drawn[0] == drawn[1] != drawn[2]


SCRIPT = """
import resource, sys
import numpy as np
from sknic.encoders.sampling import Patches
patches = Patches(np.load(sys.argv[1], mmap_mode="r"), np.zeros((100_000, 1), np.int64))
patches.__getitems__([0])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for rows in np.random.default_rng(0).permutation(100_000).reshape(-1, 100):
    patches.__getitems__(rows)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_reading_all_of_a_memory_map_keeps_none_of_it(tmp_path):
    # 290 MB on disk, of which at most 60 MB may ever be in the process.
    np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.uint8, (100_000, 31, 31, 3)).flush()
    command = [sys.executable, "-c", SCRIPT, tmp_path / "X.npy"]
    grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(grown) < 60_000


def test_pages_are_given_back_only_where_nothing_is_lost(tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((4, 2, 2, 3), np.uint8))
    assert memory_map(np.load(tmp_path / "X.npy")) is None
    assert memory_map(np.load(tmp_path / "X.npy", mmap_mode="c")) is None
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r+")
    mapped[1] = 7
    assert memory_map(mapped[1:]) is not None
    assert Patches(mapped, np.zeros((4, 1))).read(np.array([1])).unique().tolist() == [7]
    assert mapped[1, 0, 0, 0] == 7


def test_a_view_of_a_copy_on_write_map_keeps_its_changes(tmp_path):
    np.save(tmp_path / "X.npy", np.zeros((4, 2, 2, 3), np.uint8))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="c")
    mapped[1] = 7
    for view in (mapped[1:], np.asarray(mapped)[1:]):
        Patches(view, np.zeros((3, 1))).read(np.array([0]))
        assert view[0, 0, 0, 0] == 7


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (
            np.array(["b", "a", np.nan, "b"]),
            r"\[2\]='nan' stands for a missing value; expected None for a patch without",
        ),
        (["b", "", "a", "b"], r"\[1\]='' stands for a missing value"),
        (["b", "a", "b", "-1"], r"\[3\]='-1' stands for a missing value"),
        (["Tumor", "tumor", "stroma", None], "'Tumor' and 'tumor' differ only in case"),
        ([True, False, 1, 0], "contains bools and numbers"),
        (np.linspace(0, 1, 48), r"contains 0\.0\d+ and 47 other values: expected classes"),
        (np.ma.array([0, 1, 0, 1], mask=[0, 0, 1, 0]), r"y\[2\] is masked"),
    ],
)
def test_labels_that_would_be_classes_of_their_own_are_refused(column, message):
    with pytest.raises(ValueError, match=message):
        read_tasks(to_frame(column, len(column)))


@pytest.mark.parametrize(
    "column, classes, codes",
    [
        ([1, 0, -1, 1], [0, 1], [1, 0, -1, 1]),
        ([1.0, np.nan, 3.0, 1.0], [1, 3], [0, -1, 1, 0]),
        ([0.5, np.nan, 1.5, None], [0.5, 1.5], [0, -1, 1, -1]),
        (["b", None, "a", np.nan], ["a", "b"], [1, -1, 0, -1]),
        ([True, None, False, True], [False, True], [1, -1, 0, 1]),
        ([3, "a", None, "b"], ["3", "a", "b"], [0, 1, -1, 2]),
        (pd.Categorical(["x", None, "y", "x"]), ["x", "y"], [0, -1, 1, 0]),
        (pd.array([5, pd.NA, 4, 5], "Int64"), [4, 5], [1, -1, 0, 1]),
        (np.array(["b", "a", "b", "a"]), ["a", "b"], [1, 0, 1, 0]),
    ],
    ids=["int", "whole float", "float", "text", "bool", "mixed", "categorical", "Int64", "numpy text"],
)
def test_labels_of_any_type_become_codes(column, classes, codes):
    (task,) = read_tasks(to_frame(pd.DataFrame({"t": column}), 4))
    assert task.classes.tolist() == classes
    assert task.codes.tolist() == codes
    assert encode(pd.DataFrame({"t": column})["t"], task.classes).tolist() == codes


def test_tasks_are_named_as_the_columns_are():
    assert [t.name for t in read_tasks(to_frame([[0, 1], [1, 0]], 2))] == ["task_0", "task_1"]
    assert [t.name for t in read_tasks(to_frame(np.array([0, 1]), 2))] == ["task"]
    assert [t.name for t in read_tasks(to_frame(pd.Series([0, 1], name="grade"), 2))] == ["grade"]
    assert [t.name for t in read_tasks(to_frame(pd.DataFrame({0: [0, 1], "b": [0, 1]}), 2), ["b"])] == ["b"]


def test_a_class_that_was_never_seen_counts_as_wrong():
    truth = pd.Series(["a", "a", "b", "new", None])
    scores = score_labels(truth, np.array(["a", "b", "b", "a", "a"]), np.array(["a", "b"]))
    assert scores == {"n": 4, "accuracy": 0.5, "balanced_accuracy": 0.5}


@pytest.mark.parametrize(("labels", "classes"), [(["0", "1"], [0, 1]), ([0, 1], ["a", "b"]), (["A", "B"], ["a", "b"])])
def test_labels_of_which_fit_saw_none_are_not_all_wrong(labels, classes):
    with pytest.raises(ValueError, match=rf"y\['tone'\] contains {labels[0]!r}, .*labels of fit, {classes[0]!r}"):
        score_labels(pd.Series(labels, name="tone"), np.array(classes), np.array(classes))
