"""scikit-learn's callbacks follow folds, candidates and evaluations; nothing of them stays in what is fitted."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sksurv.util import Surv

from sknic import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival, MultitaskEncoder
from sknic.learning.followed import HAS_CALLBACKS

pytestmark = pytest.mark.skipif(not HAS_CALLBACKS, reason="scikit-learn's callbacks are those of 1.9")
SETTINGS = {"n_filters": 4, "max_steps": 10, "eval_every": 4, "random_state": 0, "n_threads": 1}


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)


class Recorder:
    """Writes down each task that begins and ends, and what the fitted estimator of its end predicts."""

    def __init__(self):
        self.begun, self.ended, self.predicted = [], [], []

    def setup(self, estimator, context):
        self.n_evaluations = context.max_subtasks

    def teardown(self, estimator, context):
        self.is_over = True

    def on_fit_task_begin(self, estimator, context):
        self.begun.append((context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.ended.append((context.task_name, context.task_id))
        assert len(X) == len(y)
        self.predicted.append(None if fitted_estimator is None else fitted_estimator.predict(X))


def targets(X):
    event = np.arange(len(X)) % 3 > 0
    return {
        GridCNNClassifier: np.where(X[:, 0] > 0, "a", "b"),
        GridCNNRegressor: X[:, 0].astype(float),
        GridCoxSurvival: Surv.from_arrays(event, np.exp(-X[:, 0])),
    }


@pytest.mark.parametrize("kind", [GridCNNClassifier, GridCNNRegressor, GridCoxSurvival])
@pytest.mark.filterwarnings("ignore::sknic.exceptions.NothingLearntWarning")
def test_every_evaluation_begins_and_ends_and_can_predict(kind, X):
    recorder, y = Recorder(), targets(X)[kind]
    model = kind(**SETTINGS, n_members=1).set_callbacks(recorder)
    model.fit(X, y)
    evaluations = [("evaluation", number) for number in range(3)]  # after 4, 8 and 10 steps
    assert recorder.n_evaluations == 3
    assert recorder.begun == [("fit", 0), *evaluations]
    assert recorder.ended == [*evaluations, ("fit", 0)]
    assert all(len(prediction) == len(X) for prediction in recorder.predicted)
    np.testing.assert_array_equal(recorder.predicted[-1], model.predict(X))
    alone = kind(**SETTINGS, n_members=1).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), alone.predict(X))
    assert set(vars(model)) - {"_skl_callbacks"} == set(vars(alone))


@pytest.mark.filterwarnings("ignore::sknic.exceptions.NothingLearntWarning")
def test_a_search_hands_its_progress_bar_and_monitor_on(X):
    from sklearn.callback import ProgressBar, ScoringMonitor

    monitor = ScoringMonitor(scoring="r2")
    model = GridCNNRegressor(**SETTINGS).set_callbacks(monitor)
    search = GridSearchCV(model, {"lr": [1e-3, 1e-2]}, cv=2).set_callbacks(ProgressBar(max_propagation_depth=None))
    search.fit(X, X[:, 0].astype(float))
    log = monitor.get_logs()
    names = {(row["estimator_name"], row["task_name"]) for row in log.data}
    assert ("GridCNNRegressor", "evaluation") in names
    rows = [row for row in log.data if row["task_name"] == "evaluation"]
    assert len(rows) == 3 * (2 * 2 + 1)  # evaluations of each candidate in each fold, and of the refit
    assert np.isfinite([row["r2"] for row in rows]).all()


def test_the_encoder_takes_part():
    recorder = Recorder()
    patches = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3)).astype(np.uint8)
    encoder = MultitaskEncoder(max_steps=3, eval_every=2, batch_size=4, validation_fraction=None, random_state=0)
    encoder.set_callbacks(recorder).fit(patches, np.arange(32) % 2)
    assert recorder.ended == [("evaluation", 0), ("evaluation", 1), ("fit", 0)]


def test_a_training_that_fails_tears_the_callbacks_down(X):
    recorder = Recorder()
    with pytest.raises(ValueError, match="lr=-1"):
        GridCNNRegressor(**SETTINGS, lr=-1).set_callbacks(recorder).fit(X, X[:, 0])
    assert recorder.is_over
