"""Several targets in one network: the loss leaves missing labels out, and everything around `fit` takes them."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight

from sknic import CrossValEnsemble, GridCNNClassifier, GridCNNRegressor
from sknic.estimators import load_estimator
from sknic.estimators.masked import LabelLoss, masked_mse, weighted_masked_mse
from sknic.estimators.outputs import OUTPUTS
from sknic.estimators.weights import SlideWeights, weighted_mse
from sknic.evaluation import SlideAndTable, arrangement_test, by_patient
from sknic.exceptions import DegenerateDataError
from sknic.report.from_ensemble import run_of_ensemble
from sknic.saliency import grad_cam, integrated_gradients

RNG = np.random.default_rng(0)
N = 32
# The first channel carries the first target, the second the second.
LEVELS = RNG.normal(size=(N, 2))
GRIDS = [(RNG.normal(size=(3, 5, 5)) * 0.3 + np.r_[level, 0][:, None, None]).astype(np.float32) for level in LEVELS]
MISSING = RNG.random((N, 2)) < 0.3
MISSING[MISSING.all(axis=1), 0] = False
SCORES = np.where(MISSING, np.nan, LEVELS * [1, 100] + [5, 0])
LABELS = np.where(MISSING, np.nan, LEVELS > 0)
PATIENTS = np.arange(N) // 2
QUICK = {"n_filters": 8, "max_steps": 20, "device": "cpu", "random_state": 0}
LONG = {**QUICK, "max_steps": 150}
EACH = [(GridCNNRegressor, SCORES), (GridCNNClassifier, LABELS)]
each_kind = pytest.mark.parametrize("kind, y", EACH, ids=["scores", "labels"])


def predicted(model):
    return getattr(model, "predict_proba", model.predict)(GRIDS)


def test_the_masked_loss_is_the_mean_over_what_is_known():
    output, known = RNG.normal(size=(N, 2)), ~MISSING
    wanted = np.mean([(output[row, k] - SCORES[row, k]) ** 2 for row, k in np.argwhere(known)])
    assert masked_mse(torch.tensor(output), torch.tensor(SCORES)).item() == pytest.approx(wanted)
    weights = RNG.uniform(1, 2, N)
    wanted = np.sum([weights[row] * (output[row, k] - SCORES[row, k]) ** 2 for row, k in np.argwhere(known)])
    targets = torch.tensor(np.c_[SCORES, weights])
    assert weighted_masked_mse(torch.tensor(output), targets).item() == pytest.approx(wanted / known.sum())


def test_a_missing_label_has_no_gradient():
    output = torch.zeros((N, 2), requires_grad=True)
    masked_mse(output, torch.tensor(SCORES).float()).backward()
    assert torch.equal(output.grad == 0, torch.tensor(MISSING)) and output.grad.isfinite().all()
    output = torch.zeros((N, 2), requires_grad=True)
    LabelLoss.of(np.full(2, 0.3), True).plain(output, torch.tensor(LABELS).float()).backward()
    assert torch.equal(output.grad == 0, torch.tensor(MISSING)) and output.grad.isfinite().all()


def test_without_missing_labels_the_loss_is_the_mean_of_two_single_ones():
    output, y, weights = RNG.normal(size=(N, 2)), RNG.normal(size=(N, 2)), torch.tensor(RNG.uniform(1, 2, N))[:, None]
    alone = [mean_squared_error(y[:, k], output[:, k]) for k in range(2)]
    output, y = torch.tensor(output), torch.tensor(y)
    assert masked_mse(output, y).item() == pytest.approx(np.mean(alone))
    targets = torch.cat([y, weights], 1)
    assert weighted_masked_mse(output, targets).item() == pytest.approx(weighted_mse(output, targets).item())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("balanced", [False, True])
def test_the_loss_of_labels_is_scikit_learns_log_loss_of_each(balanced, weighted):
    given = RNG.uniform(1, 2, N) if weighted else None
    lesson = OUTPUTS["labels"].lesson(LABELS, SlideWeights.read(given, N), balanced=balanced, class_weight=None)
    logits = RNG.normal(size=(N, 2))
    probabilities = 1 / (1 + np.exp(-logits))
    weights = np.ones(N) if given is None else given / given.mean()
    total = 0.0
    for k in range(2):
        rows = ~MISSING[:, k]
        true, of_rows = LABELS[rows, k], weights[rows]
        if balanced:
            share = np.average(true, weights=of_rows)
            of_rows = of_rows * np.where(true == 1, 0.5 / share, 0.5 / (1 - share))
        total += log_loss(true, probabilities[rows, k], sample_weight=of_rows) * of_rows.sum()
    assert lesson.loss(torch.tensor(logits), lesson.targets).item() == pytest.approx(total / (~MISSING).sum(), rel=1e-5)
    assert lesson.balanced is False and len(lesson.classes) == 2


def test_balanced_labels_are_weighted_as_scikit_learn_weights_classes():
    share = np.array([0.25])
    loss = LabelLoss.of(share, balanced=True)
    wanted = compute_sample_weight("balanced", [1, 0, 0, 0])
    np.testing.assert_allclose([loss.present.item(), loss.absent.item()], wanted[:2], rtol=1e-6)


def test_the_constant_prediction_of_labels_is_the_best_one():
    lesson = OUTPUTS["labels"].lesson(LABELS, SlideWeights.read(None, N), balanced=False, class_weight=None)
    at_best = lesson.loss(lesson.constant.expand(N, 2), lesson.targets)
    for change in np.eye(2)[[0, 1]] * 0.05:
        for sign in (-1, 1):
            assert lesson.loss((lesson.constant + torch.tensor(sign * change)).expand(N, 2), lesson.targets) > at_best


def test_each_target_is_standardized_on_its_known_values():
    weights = RNG.uniform(1, 2, N)
    model = GridCNNRegressor(**{**QUICK, "max_steps": 1}).fit(GRIDS, SCORES, sample_weight=weights)
    for k in range(2):
        rows = ~MISSING[:, k]
        mean = np.average(SCORES[rows, k], weights=weights[rows])
        assert model.target_mean_[k] == pytest.approx(mean)
        spread = np.average((SCORES[rows, k] - mean) ** 2, weights=weights[rows]) ** 0.5
        assert model.target_scale_[k] == pytest.approx(spread)


def test_what_is_learnt_of_two_scores_with_missing_labels():
    model = GridCNNRegressor(**{**LONG, "max_steps": 400}).fit(GRIDS, SCORES)
    found = model.predict(GRIDS)
    assert found.shape == (N, 2)
    for k in range(2):  # also on the slides whose label was not known
        assert np.corrcoef(found[MISSING[:, k], k], LEVELS[MISSING[:, k], k])[0, 1] > 0.75
    truth = LEVELS * [1, 100] + [5, 0]
    assert model.score(GRIDS, truth) == pytest.approx(r2_score(truth, found))
    by_hand = [r2_score(SCORES[~MISSING[:, k], k], found[~MISSING[:, k], k]) for k in range(2)]
    assert model.score(GRIDS, SCORES) == pytest.approx(np.mean(by_hand))


def test_what_is_learnt_of_two_labels_with_missing_ones():
    model = GridCNNClassifier(**LONG).fit(GRIDS, LABELS)
    probabilities, found = model.predict_proba(GRIDS), model.predict(GRIDS)
    assert model.classes_.tolist() == [0, 1] and found.dtype == int
    np.testing.assert_array_equal(found, probabilities > 0.5)
    truth = (LEVELS > 0).astype(int)
    assert (found == truth)[MISSING].mean() > 0.75
    assert model.score(GRIDS, truth) == accuracy_score(truth, found)
    right = ((found == truth) | MISSING).all(axis=1)
    assert model.score(GRIDS, LABELS) == pytest.approx(right.mean())


@each_kind
def test_a_missing_label_of_any_writing_gives_the_same_model(kind, y):
    model = kind(**QUICK).fit(GRIDS, y)
    for other in (pd.DataFrame(y), [[None if np.isnan(value) else value for value in row] for row in y]):
        np.testing.assert_array_equal(predicted(kind(**QUICK).fit(GRIDS, other)), predicted(model))


@each_kind
def test_weights_of_0_and_equal_ones_are_exact(kind, y):
    weights = np.ones(N)
    weights[[2, 9]] = 0
    kept = np.flatnonzero(weights)
    without = kind(**QUICK).fit([GRIDS[row] for row in kept], y[kept])
    weighted = kind(**QUICK).fit(GRIDS, y, sample_weight=weights)
    np.testing.assert_array_equal(predicted(weighted), predicted(without))
    other = kind(**QUICK).fit(GRIDS, y, sample_weight=np.arange(1, N + 1))
    assert np.abs(predicted(other) - predicted(kind(**QUICK).fit(GRIDS, y))).max() > 1e-3


@each_kind
def test_it_is_kept_in_a_file(kind, y, tmp_path):
    model = kind(**QUICK, n_members=2).fit(GRIDS, y)
    model.save(tmp_path / "model.safetensors")
    again = load_estimator(tmp_path / "model.safetensors", device="cpu")
    np.testing.assert_array_equal(predicted(again), predicted(model))
    assert again.score(GRIDS, y) == model.score(GRIDS, y)
    members = [predicted_by(net, model) for net in model.nets_]
    np.testing.assert_allclose(again.predict_spread(GRIDS), np.std(members, axis=0).mean(axis=1), rtol=1e-6)


def predicted_by(net, model):
    alone = clone(model)
    vars(alone).update({**vars(model), "nets_": [net]})
    return predicted(alone)


@each_kind
def test_patients_and_validation(kind, y):
    model = kind(**LONG, validation_fraction=0.25).fit(GRIDS, y, groups=PATIENTS)
    assert np.isfinite([row["valid_loss"] for row in model.history_]).all()


def test_the_validation_loss_is_that_of_all_known_labels():
    settings = {**QUICK, "validation_fraction": 0.4, "max_steps": 32, "eval_every": 32, "batch_size": 2}
    model = GridCNNRegressor(**settings).fit(GRIDS, SCORES)
    rows = _validation_rows(settings)
    standardized = (SCORES[rows] - model.target_mean_) / model.target_scale_
    alone = clone(model).set_params(average_orientations=False)
    vars(alone).update({key: value for key, value in vars(model).items() if key.endswith("_")})
    found = (alone.predict([GRIDS[row] for row in rows]) - model.target_mean_) / model.target_scale_
    wanted = np.nanmean((found - standardized) ** 2)
    assert model.history_[-1]["valid_loss"] == pytest.approx(wanted, rel=1e-3)


def _validation_rows(settings):
    from sknic.learning.randomness import make_random
    from sknic.learning.split import quantile_bins

    scale = np.nanstd(SCORES, axis=0)
    strata = quantile_bins(np.nanmean((SCORES - np.nanmean(SCORES, axis=0)) / scale, axis=1))
    model = GridCNNRegressor(**settings)
    return model._split(N, None, strata, make_random(0))[1]


@each_kind
def test_pipelines_searches_and_cross_validation(kind, y):
    pipeline = make_pipeline(FunctionTransformer(), kind(**QUICK))
    folds = KFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(pipeline, GRIDS, y, cv=folds)
    by_hand = []
    for train, test in folds.split(GRIDS):
        model = kind(**QUICK).fit([GRIDS[row] for row in train], y[train])
        by_hand.append(model.score([GRIDS[row] for row in test], y[test]))
    np.testing.assert_allclose(scores, by_hand)
    search = GridSearchCV(pipeline, {f"{kind.__name__.lower()}__lr": [1e-3, 3e-3]}, cv=folds).fit(GRIDS, y)
    assert np.isfinite(search.best_score_) and search.predict(GRIDS).shape == (N, 2)


def test_out_of_fold_predictions_are_scored_for_each_target():
    ensemble = CrossValEnsemble(GridCNNRegressor(**LONG), cv=3, random_state=0).fit(GRIDS, SCORES, groups=PATIENTS)
    assert ensemble.target_kind_ == "scores" and ensemble.oof_prediction_.shape == (N, 2)
    alone = []
    for k in range(2):
        rows = ~MISSING[:, k]
        pair = SCORES[rows, k], ensemble.oof_prediction_[rows, k]
        alone.append(ensemble.oof_score("r2", target=k, n_resamples=100))
        assert alone[k].value == pytest.approx(r2_score(*pair))
        assert alone[k].n == len(set(PATIENTS[rows]))
        verdict = ensemble.oof_verdict(target=k, n_resamples=100)
        assert verdict.score.value > 0.4 and verdict.comparison is not None and len(verdict.fold_scores) == 3
    assert ensemble.oof_score(n_resamples=100).value == pytest.approx(np.mean([found.value for found in alone]))
    assert "out of fold" in ensemble._repr_html_().lower()
    np.testing.assert_allclose(
        ensemble.predict(GRIDS), np.mean([m.predict(GRIDS) for m in ensemble.estimators_], axis=0)
    )
    with pytest.raises(ValueError, match="target=2: expected the number of a column of y, 0 to 1"):
        ensemble.oof_score(target=2)


def test_out_of_fold_probabilities_of_labels():
    ensemble = CrossValEnsemble(GridCNNClassifier(**LONG), cv=3, random_state=0).fit(GRIDS, LABELS, groups=PATIENTS)
    aucs = [ensemble.oof_score("auc", target=k, n_resamples=100).value for k in range(2)]
    assert min(aucs) > 0.7
    assert ensemble.oof_score("auc", n_resamples=100).value == pytest.approx(np.mean(aucs))
    rows = ~MISSING[:, 1]
    said = ensemble.oof_prediction_[rows, 1] > 0.5
    assert ensemble.oof_score("accuracy", target=1, n_resamples=100).value == (said == LABELS[rows, 1]).mean()
    mean = np.mean([model.predict_proba(GRIDS) for model in ensemble.estimators_], axis=0)
    np.testing.assert_allclose(ensemble.predict_proba(GRIDS), mean)
    np.testing.assert_array_equal(ensemble.predict(GRIDS), mean > 0.5)
    assert ensemble.score(GRIDS, LABELS) == (((mean > 0.5) == LABELS) | MISSING).all(axis=1).mean()
    assert ensemble.predict_spread(GRIDS).shape == (N,)


def test_the_baseline_of_each_target_learns_from_its_known_labels():
    ensemble = CrossValEnsemble(GridCNNRegressor(**QUICK), cv=2, random_state=0).fit(GRIDS, SCORES)
    for k in range(2):
        rows = np.flatnonzero(~MISSING[:, k])
        folds = [
            (np.flatnonzero(ensemble.fold_[rows] != fold), np.flatnonzero(ensemble.fold_[rows] == fold))
            for fold in (0, 1)
        ]
        single = CrossValEnsemble(GridCNNRegressor(**{**QUICK, "max_steps": 1}), cv=folds)
        single.fit([GRIDS[row] for row in rows], SCORES[rows, k])
        # Not the same to the last bit, because the scaler before it sees the slides without this label as well.
        np.testing.assert_allclose(
            single.baseline_prediction_, ensemble.baseline_prediction_[rows, k], atol=0.02 * np.ptp(SCORES[rows, k])
        )


def test_saliency_of_one_of_several_labels():
    model = GridCNNClassifier(**LONG, average_orientations=False).fit(GRIDS, LABELS)
    whole = integrated_gradients(model, GRIDS[0], 1, n_steps=64).sum()
    p = model.predict_proba([GRIDS[0], GRIDS[0] * 0])[:, 1]
    log_odds = np.log(p / (1 - p))
    assert whole == pytest.approx(log_odds[0] - log_odds[1], rel=0.1, abs=0.05)
    assert not np.allclose(grad_cam(model, GRIDS[0], 0), grad_cam(model, GRIDS[0], 1))
    with pytest.raises(ValueError, match="target=2 is not a class"):
        grad_cam(model, GRIDS[0], 2)


@each_kind
def test_arrangement_and_patients_take_several_targets(kind, y):
    test = arrangement_test(kind(**QUICK), GRIDS, y, cv=2, n_resamples=50, random_state=0)
    assert np.isfinite(test.shuffled.difference.value)
    of_patient = y[np.arange(N) // 2 * 2]  # the slides of a patient have the targets of the first
    X, targets, patients = by_patient(GRIDS, PATIENTS, of_patient)
    np.testing.assert_array_equal(targets, y[::2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda e: CrossValEnsemble(e, cv=2, calibrate=True).fit(GRIDS, LABELS), "calibrate=True takes one target"),
        (
            lambda e: SlideAndTable(e).fit(pd.DataFrame({"grid": GRIDS, "age": range(N)}), LABELS),
            "SlideAndTable takes one target",
        ),
        (
            lambda e: run_of_ensemble(CrossValEnsemble(e, cv=2).fit(GRIDS, LABELS), list("ab"), record={}),
            "a report takes one target",
        ),
        (lambda e: e.set_params(class_weight="balanced").fit(GRIDS, LABELS), "class_weight='balanced': expected None"),
        (
            lambda e: CrossValEnsemble(e, cv=2).fit(GRIDS, LABELS[:, 0] > 0).oof_score(target=0),
            "target=0: expected None",
        ),
    ],
)
def test_what_takes_one_target_says_so(make, message):
    with pytest.raises(ValueError, match=message):
        make(GridCNNClassifier(**{**QUICK, "max_steps": 2}))


def test_a_label_of_one_value_is_named_in_fit_and_in_folds():
    y = LABELS.copy()
    y[:, 1] = np.where(np.arange(N) == 5, 1, 0)
    with pytest.raises(DegenerateDataError, match="training part of a fold: target 1 is 0 on all"):
        CrossValEnsemble(GridCNNClassifier(**QUICK), cv=2).fit(GRIDS, y)
    y[5, 1] = 0
    for kind in (GridCNNClassifier, GridCNNRegressor):
        with pytest.raises(DegenerateDataError, match="target 1 of y is 0 on all 32 slides"):
            kind(**QUICK).fit(GRIDS, y)


def test_a_row_without_labels_is_named():
    y = SCORES.copy()
    y[7] = np.nan
    for model in (GridCNNRegressor(**QUICK), CrossValEnsemble(GridCNNRegressor(**QUICK))):
        with pytest.raises(ValueError, match=r"y\[7\]: all 2 labels are missing"):
            model.fit(GRIDS, y)


def test_multilabel_classifiers_of_scikit_learn_in_an_ensemble():
    X, y = LEVELS, (LEVELS > 0).astype(int)
    ensemble = CrossValEnsemble(OneVsRestClassifier(LogisticRegression()), cv=3, random_state=0).fit(X, y)
    assert ensemble.oof_score("auc", n_resamples=50).value > 0.95
    with pytest.raises(TypeError, match="KNeighborsClassifier.predict_proba returns a list with one array per label"):
        CrossValEnsemble(KNeighborsClassifier(), cv=3).fit(X, y)
