"""Weights of slides: 0 is as if the slide were not there, and those of the losses are those of other tools."""

import lifelines
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import config_context
from sklearn.linear_model import Ridge
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight
from sksurv.linear_model.coxph import BreslowEstimator
from sksurv.util import Surv

from sknic import CrossValEnsemble, GridCNNClassifier, GridCNNRegressor, GridCoxSurvival
from sknic.estimators import load_estimator
from sknic.estimators.cox import cox_loss
from sknic.estimators.hazard import breslow
from sknic.estimators.weights import (
    SlideWeights,
    balanced_cross_entropy,
    weighted_balanced_cross_entropy,
    weighted_cross_entropy,
    weighted_mse,
)
from sknic.exceptions import DegenerateDataError

RNG = np.random.default_rng(0)
GRIDS = [RNG.normal(size=(3, 4, 4)).astype(np.float32) + i % 2 for i in range(16)]
EVEN = np.arange(16) % 2
TIMES = Surv.from_arrays(np.arange(16) % 4 > 0, np.arange(16) % 7 + 1.0)
QUICK = {"n_filters": 4, "max_steps": 20, "device": "cpu", "random_state": 0}
EACH = [(GridCNNRegressor, EVEN + 0.5), (GridCNNClassifier, EVEN), (GridCoxSurvival, TIMES)]
each_kind = pytest.mark.parametrize("kind, y", EACH, ids=["regressor", "classifier", "survival"])


@each_kind
def test_a_slide_of_weight_0_is_as_if_it_were_not_there(kind, y):
    weights = np.ones(16)
    weights[[2, 9, 13]] = 0
    kept = np.flatnonzero(weights)
    without = kind(**QUICK).fit([GRIDS[row] for row in kept], y[kept])
    weighted = kind(**QUICK).fit(GRIDS, y, sample_weight=weights)
    np.testing.assert_array_equal(weighted.predict(GRIDS), without.predict(GRIDS))
    if kind is GridCoxSurvival:
        np.testing.assert_array_equal(weighted.baseline_hazard_, without.baseline_hazard_)


@each_kind
def test_equal_weights_change_nothing_and_others_do(kind, y):
    plain = kind(**QUICK).fit(GRIDS, y)
    np.testing.assert_array_equal(
        kind(**QUICK).fit(GRIDS, y, sample_weight=[3] * 16).predict(GRIDS), plain.predict(GRIDS)
    )
    other = kind(**QUICK).fit(GRIDS, y, sample_weight=np.arange(1, 17))
    method = "predict_proba" if kind is GridCNNClassifier else "predict"
    assert np.abs(getattr(other, method)(GRIDS) - getattr(plain, method)(GRIDS)).max() > 1e-3


def test_a_model_follows_the_slides_that_weigh_more():
    """Each grid is there twice, with opposite targets; the weights say which to believe."""
    X, y = GRIDS + GRIDS, np.r_[EVEN, 1 - EVEN]
    believed = np.r_[np.full(16, 9.0), np.ones(16)]
    settings = {**QUICK, "max_steps": 150, "n_filters": 8}
    model = GridCNNRegressor(**settings).fit(X, y.astype(float), sample_weight=believed)
    assert np.corrcoef(model.predict(GRIDS), EVEN)[0, 1] > 0.8
    model = GridCNNClassifier(**settings).fit(X, y, sample_weight=believed[::-1])
    assert (model.predict(GRIDS) != EVEN).mean() > 0.8


def test_losses_are_those_of_scikit_learn():
    weights = torch.tensor(RNG.uniform(0.2, 3, 12)).float()
    logits, codes = torch.tensor(RNG.normal(size=(12, 3))).float(), torch.tensor(RNG.permutation(np.arange(12) % 3))
    targets = torch.stack([codes.float(), weights], dim=1)
    wanted = log_loss(codes, logits.softmax(1).numpy(), sample_weight=weights) * weights.mean()
    assert weighted_cross_entropy(logits, targets) == pytest.approx(float(wanted), rel=1e-5)
    of_classes = [
        log_loss(
            codes[codes == k],
            logits.softmax(1).numpy()[codes == k],
            sample_weight=weights[codes == k],
            labels=[0, 1, 2],
        )
        for k in range(3)
    ]
    assert weighted_balanced_cross_entropy(logits, targets) == pytest.approx(np.mean(of_classes), rel=1e-5)
    even = torch.stack([codes.float(), torch.ones(12)], dim=1)
    assert weighted_balanced_cross_entropy(logits, even) == pytest.approx(float(balanced_cross_entropy(logits, codes)))
    numbers = torch.tensor(RNG.normal(size=(12, 3))).float()
    wanted = mean_squared_error(numbers, logits, sample_weight=weights) * weights.mean()
    assert weighted_mse(logits, torch.cat([numbers, weights[:, None]], 1)) == pytest.approx(float(wanted), rel=1e-5)


def test_the_weighted_likelihood_has_its_best_coefficients_where_lifelines_has_them():
    X, weights = RNG.normal(size=(60, 2)), RNG.integers(1, 4, 60).astype(float)
    time = np.ceil(RNG.exponential(6 * np.exp(-X[:, 0])))  # with ties
    event = RNG.random(60) < 0.7
    table = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "time": time, "event": event, "w": weights})
    fitted = lifelines.CoxPHFitter().fit(table, "time", "event", weights_col="w", robust=True)
    beta = torch.tensor(fitted.params_.to_numpy(), requires_grad=True)
    loss = cox_loss(torch.tensor(X) @ beta, torch.tensor(event), torch.tensor(time), weight=torch.tensor(weights))
    loss.backward()
    assert loss.item() == pytest.approx(-fitted.log_likelihood_ / (weights * event).sum(), rel=1e-6)
    np.testing.assert_allclose(beta.grad, 0, atol=1e-5)


def test_breslow_is_that_of_scikit_survival_and_weights_count_slides():
    risk, event, time = RNG.normal(size=30), RNG.random(30) < 0.6, RNG.integers(1, 9, 30).astype(float)
    wanted = BreslowEstimator().fit(risk, event, time)
    times, hazard = breslow(risk, event, time)
    np.testing.assert_array_equal(times, wanted.unique_times_)
    np.testing.assert_allclose(hazard, wanted.cum_baseline_hazard_.y)
    repeats = RNG.integers(1, 4, 30)
    _, repeated = breslow(*(values.repeat(repeats) for values in (risk, event, time)))
    np.testing.assert_allclose(breslow(risk, event, time, repeats)[1], repeated)


def test_weights_count_slides_in_the_scale_of_the_target():
    y, repeats = RNG.normal(size=16), np.arange(16) % 3 + 1
    model = GridCNNRegressor(**{**QUICK, "max_steps": 1}).fit(GRIDS, y, sample_weight=repeats)
    assert model.target_mean_ == pytest.approx(y.repeat(repeats).mean())
    assert model.target_scale_ == pytest.approx(y.repeat(repeats).std())


@pytest.mark.parametrize("class_weight", ["balanced", {0: 1.0, 1: 5.0}])
@pytest.mark.parametrize("given", [None, np.arange(1, 17)])
def test_class_weights_are_weights_of_slides_and_batches_are_not_balanced(class_weight, given, tmp_path):
    labels = (np.arange(16) % 5 == 0).astype(int)
    model = GridCNNClassifier(**QUICK, class_weight=class_weight).fit(GRIDS, labels, sample_weight=given)
    weights = compute_sample_weight(class_weight, labels) * (1 if given is None else given)
    other = GridCNNClassifier(**QUICK, balanced=False).fit(GRIDS, labels, sample_weight=weights)
    np.testing.assert_allclose(model.predict_proba(GRIDS), other.predict_proba(GRIDS), rtol=1e-5)
    model.save(tmp_path / "model.safetensors")
    again = load_estimator(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict_proba(GRIDS), model.predict_proba(GRIDS))


def test_weights_that_are_none_are_refused_with_the_reason():
    with pytest.raises(DegenerateDataError, match="above zero for 1 of 16 slides; expected two or more"):
        GridCNNRegressor(**QUICK).fit(GRIDS, EVEN, sample_weight=np.arange(16) == 3)
    with pytest.raises(ValueError, match="Negative values in data passed to sample_weight"):
        GridCNNRegressor(**QUICK).fit(GRIDS, EVEN, sample_weight=-np.ones(16))
    with pytest.raises(ValueError, match=r"sample_weight.shape == \(3,\)"):
        GridCNNRegressor(**QUICK).fit(GRIDS, EVEN, sample_weight=[1, 2, 3])
    with pytest.raises(ValueError, match="class_weight='even': expected 'balanced', a dict or None"):
        GridCNNClassifier(**QUICK, class_weight="even").fit(GRIDS, EVEN)


class Remembers(Ridge):
    """A regressor that keeps what weights it was given."""

    def fit(self, X, y, sample_weight=None):
        self.seen_ = sample_weight
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("wrap", ["alone", "pipeline", "search"])
def test_weights_reach_the_model_of_each_fold(wrap):
    X, weights = RNG.normal(size=(24, 2)), RNG.uniform(1, 2, 24)
    model = Remembers()
    if wrap != "alone":
        model = make_pipeline(FunctionTransformer(), model)
    if wrap == "search":
        model = GridSearchCV(model, {"remembers__alpha": [1.0]}, cv=2)
    ensemble = CrossValEnsemble(model, cv=3, random_state=0).fit(X, X[:, 0], sample_weight=weights)
    for fold, fitted in enumerate(ensemble.estimators_):
        inner = getattr(fitted, "best_estimator_", fitted)
        seen = inner.seen_ if wrap == "alone" else inner[-1].seen_
        np.testing.assert_array_equal(seen, weights[ensemble.fold_ != fold])


def test_weights_are_routed_as_metadata():
    weights = np.r_[np.ones(8), np.full(8, 2.0)]
    model = GridCNNRegressor(**QUICK)
    wanted = model.fit(GRIDS, EVEN, sample_weight=weights).predict(GRIDS)
    with config_context(enable_metadata_routing=True):
        asked = GridCNNRegressor(**QUICK).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(FunctionTransformer(), asked).fit(GRIDS, EVEN, sample_weight=weights)
        ensemble = CrossValEnsemble(asked, cv=2, random_state=0, baseline=False).fit(GRIDS, EVEN, sample_weight=weights)
    np.testing.assert_array_equal(pipeline.predict(GRIDS), wanted)
    plain = CrossValEnsemble(model, cv=2, random_state=0, baseline=False).fit(GRIDS, EVEN, sample_weight=weights)
    np.testing.assert_array_equal(ensemble.oof_prediction_, plain.oof_prediction_)


def test_weights_that_nobody_takes_are_refused():
    from sklearn.neighbors import KNeighborsRegressor

    with pytest.raises(
        TypeError, match="sample_weight: expected None, because KNeighborsRegressor.fit takes no weights"
    ):
        CrossValEnsemble(KNeighborsRegressor()).fit(np.eye(12), np.arange(12), sample_weight=np.ones(12))


def test_targets_without_weights_stay_as_they_are():
    targets = torch.arange(4)
    assert SlideWeights.read(None, 4).targets(targets) is targets
    np.testing.assert_array_equal(SlideWeights.read([1, 0, 3, 2], 4).rows, [0, 2, 3])
    np.testing.assert_allclose(SlideWeights.read([1, 0, 3, 2], 4).values, [0.5, 1.5, 1])
