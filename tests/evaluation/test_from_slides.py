"""From slides to predictions: an ensemble around a pipeline with a compressor, for all three kinds of target."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline

from sknic import GridCNNClassifier, GridCNNRegressor, GridCoxSurvival, MeanRGBEncoder, SlideCompressor
from sknic.datasets import make_histology_cohort
from sknic.evaluation import CrossValEnsemble, split_by_risk
from sknic.saliency import grad_cam

QUICK = {"max_steps": 2, "eval_every": 2, "n_filters": 8, "random_state": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return make_histology_cohort(8, tmp_path_factory.mktemp("slides"), shape=(20, 20), score="hotspot", random_state=0)


@pytest.fixture(scope="module")
def compressor(tmp_path_factory):
    return SlideCompressor(MeanRGBEncoder(), cache_dir=tmp_path_factory.mktemp("grids"))


def targets(cohort):
    survival = cohort.survival
    survival["event"] = True  # the few patients would else not do for an interval
    return {
        GridCNNRegressor: cohort.score,
        GridCNNClassifier: cohort.table["pattern"].to_numpy(str),
        GridCoxSurvival: survival,
    }


@pytest.mark.parametrize("estimator", [GridCNNRegressor, GridCNNClassifier, GridCoxSurvival])
def test_an_ensemble_of_pipelines_predicts_slides(cohort, compressor, estimator):
    y = targets(cohort)[estimator]
    pipeline = make_pipeline(compressor, estimator(**QUICK, validation_fraction=None))
    ensemble = CrossValEnsemble(pipeline, cv=2, random_state=0).fit(cohort.paths, y, groups=cohort.patients)
    assert len(ensemble.oof_prediction_) == len(cohort)
    assert np.isfinite(ensemble.oof_score(n_resamples=20).value)
    again = pickle.loads(pickle.dumps(ensemble))
    np.testing.assert_array_equal(again.predict(cohort.paths[:2]), ensemble.predict(cohort.paths[:2]))
    (grid,) = compressor.transform(cohort.paths[:1])
    assert grad_cam(ensemble, grid).shape == grid.shape
    if estimator is GridCoxSurvival:
        groups = split_by_risk(y, ensemble.oof_prediction_, groups=cohort.patients)
        assert groups.low.n + groups.high.n == len(set(cohort.patients))


def test_cross_validation_gives_the_same_scores_in_two_processes(cohort, compressor):
    # Bit for bit only with as many threads as a process of joblib has.
    pipeline = make_pipeline(compressor, GridCNNRegressor(**QUICK, validation_fraction=None, n_threads=1))
    options = {"groups": cohort.patients, "cv": GroupKFold(2), "error_score": "raise"}
    one, two = (cross_val_score(pipeline, cohort.paths, cohort.score, n_jobs=n, **options) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
