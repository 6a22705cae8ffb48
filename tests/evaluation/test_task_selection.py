"""The search over task subsets finds the best one and tries what its strategy says."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import Ridge

from sknic import MultitaskEncoder
from sknic.evaluation import TaskSelector, by_task_count, task_inclusion
from sknic.exceptions import DegenerateDataError

TASKS = ["a", "b", "c", "d"]
WORTH = {"a": 1.0, "b": -2.0, "c": 3.0, "d": 0.5}
X = np.zeros((3, 4, 4, 3), np.uint8)
Y = pd.DataFrame(0, index=range(3), columns=TASKS)


class FakeEncoder(BaseEstimator):
    """An encoder that only remembers what it was given."""

    def __init__(self, tasks=None):
        self.tasks = tasks

    def fit(self, X, y, groups=None, centers=None):
        self.fitted_ = (len(X), list(y.columns), groups, centers)
        return self

    def transform(self, X):
        return np.full((len(X), 1), len(self.tasks))


def worth(encoder):
    return sum(WORTH[task] for task in encoder.tasks)


def search(strategy, scoring=worth, **settings):
    return TaskSelector(FakeEncoder(), scoring=scoring, strategy=strategy, **settings).fit(
        X, Y, groups=[1, 2, 3], centers=[4, 5, 6]
    )


@pytest.mark.parametrize("strategy, n_tried", [("exhaustive", 15), ("forward", 4 + 3 + 2 + 1), ("backward", 1 + 4 + 3)])
def test_every_strategy_finds_tasks_that_add_up(strategy, n_tried):
    selector = search(strategy)
    assert selector.best_tasks_ == ["a", "c", "d"]
    assert selector.best_score_ == 4.5
    assert len(selector.results_) == n_tried
    assert selector.best_encoder_.fitted_ == (3, TASKS, [1, 2, 3], [4, 5, 6])
    assert selector.transform(X).tolist() == [[3]] * 3


def test_forward_stops_when_nothing_helps():
    selector = search("forward", lambda encoder: -len(encoder.tasks))
    assert len(selector.best_tasks_) == 1 and len(selector.results_) == 4 + 3


def test_the_results_go_into_the_papers_analysis():
    results = search("exhaustive").results_
    inclusion = task_inclusion(results[TASKS], results["score"])
    assert inclusion.idxmax() == "c" and inclusion["b"] < 0
    assert by_task_count(results[TASKS], results["score"])["n"].tolist() == [4, 6, 4, 1]
    assert results["n_tasks"].tolist() == [1] * 4 + [2] * 6 + [3] * 4 + [4]


def test_candidates_may_be_named():
    assert search("exhaustive", tasks=["b", "d"]).best_tasks_ == ["d"]


def test_the_encoder_given_stays_as_it_is():
    encoder = FakeEncoder()
    TaskSelector(encoder, scoring=worth).fit(X, Y)
    assert encoder.tasks is None and not hasattr(encoder, "fitted_")


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"encoder": "sknic-he-1"}, "encoder='sknic-he-1': expected an encoder with a parameter tasks"),
        ({"strategy": "random"}, "strategy='random': expected 'forward', 'backward' or 'exhaustive'"),
        ({"tasks": ["z"]}, r"tasks=\['z'\]: expected one or more different columns of y, a, b, c, d"),
        ({"tasks": []}, r"tasks=\[\]: expected one or more different columns of y"),
        ({"tasks": ["a", "a"]}, r"tasks=\['a', 'a'\]: expected one or more different columns of y"),
        ({"tasks": "abc"}, "tasks='abc': expected a list of names"),
        ({"scoring": "r2"}, "scoring='r2': expected a function of the fitted encoder"),
        ({"n_jobs": 0}, "n_jobs=0: expected an integer of at least 1"),
        ({"verbose": -1}, "verbose=-1: expected an integer of at least 0"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings, words):
    with pytest.raises(ValueError, match=words):
        TaskSelector(**{"encoder": FakeEncoder(), "scoring": worth, **settings}).fit(X, Y)


@pytest.mark.parametrize("strategy", ["forward", "backward", "exhaustive"])
def test_no_subset_is_the_best_of_scores_that_are_not_numbers(strategy):
    with pytest.raises(DegenerateDataError, match="scoring returned NaN for all [0-9]+ subsets of tasks"):
        search(strategy, scoring=lambda encoder: np.nan)


def test_a_line_per_subset_when_verbose(capsys):
    search("forward", verbose=1, tasks=["a", "c"])
    assert capsys.readouterr().out.splitlines() == ["1.0000  a", "3.0000  c", "4.0000  a, c"]


def test_subsets_may_run_in_parallel():
    assert search("exhaustive", n_jobs=2).best_tasks_ == ["a", "c", "d"]


def test_parameters_after_the_first_are_given_by_name():
    with pytest.raises(TypeError, match="positional"):
        TaskSelector(FakeEncoder(), worth)


def test_the_first_round_of_backward_ranks_tasks_as_leaving_each_out_by_hand_does():
    random = np.random.RandomState(0)
    patches = random.randint(0, 256, (60, 31, 31, 3), dtype=np.uint8)
    shade = patches.mean(axis=(1, 2, 3)) > np.median(patches.mean(axis=(1, 2, 3)))
    labels = pd.DataFrame(
        {"shade": shade, "red": patches[..., 0].mean(axis=(1, 2)) > 127.5, "noise": np.arange(60) % 2}
    )
    settings = {"code_size": 4, "filters": (4, 4), "max_steps": 3, "batch_size": 12, "augmentation": None}
    encoder = MultitaskEncoder(**settings, validation_fraction=None, device="cpu", n_threads=1, random_state=0)

    def probe(fitted):
        return Ridge().fit(fitted.transform(patches[:40]), shade[:40]).score(fitted.transform(patches[40:]), shade[40:])

    found = TaskSelector(encoder, scoring=probe, strategy="backward").fit(patches, labels).results_
    first_round = found[found["n_tasks"] == 2]
    left_out = first_round[["shade", "red", "noise"]].idxmin(axis=1)
    by_hand = {
        task: probe(clone(encoder).fit(patches, labels.drop(columns=task))) for task in ("shade", "red", "noise")
    }
    assert dict(zip(left_out, first_round["score"])) == by_hand
    assert len(set(by_hand.values())) == 3
