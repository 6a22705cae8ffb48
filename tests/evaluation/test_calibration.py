"""Temperature: found where it is known, honest out of fold, and the models' spread where they disagree."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from sknic import CrossValEnsemble
from sknic.evaluation.calibration import at_temperature, calibrate_folds, temperature_of


def told(n=4000, seed=0):
    """Honest probabilities of three classes, and classes drawn from them."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet([1, 1, 1], n)
    return probabilities, (random.random(n)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found(temperature):
    probabilities, codes = told()
    too_sure = at_temperature(probabilities, 1 / temperature)
    assert temperature_of(too_sure, codes) == pytest.approx(temperature, rel=0.08)
    np.testing.assert_allclose(at_temperature(too_sure, temperature), probabilities, atol=5e-3)


def test_temperature_leaves_the_order_of_classes_and_sums_of_one():
    probabilities, _ = told(50)
    found = at_temperature(probabilities, 3.0)
    np.testing.assert_array_equal(found.argmax(axis=1), probabilities.argmax(axis=1))
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_each_fold_is_scaled_by_the_temperature_of_the_others():
    probabilities, codes = told(400)
    fold = np.arange(400) % 2
    probabilities[fold == 1] = at_temperature(probabilities[fold == 1], 0.2)
    found = calibrate_folds(probabilities, codes, fold)
    for number in (0, 1):
        of_other = temperature_of(probabilities[fold != number], codes[fold != number])
        np.testing.assert_allclose(found[fold == number], at_temperature(probabilities[fold == number], of_other))


@pytest.fixture(scope="module")
def noisy():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 30))
    return X, np.where(X[:, 0] + 2 * random.normal(size=300) > 0, "yes", "no")


def test_an_overfitted_ensemble_becomes_honest(noisy):
    X, y = noisy
    plain, calibrated = (
        CrossValEnsemble(LogisticRegression(C=100), random_state=0, calibrate=calibrate).fit(X, y)
        for calibrate in (False, True)
    )
    assert plain.temperature_ == 1
    assert calibrated.temperature_ > 1.1
    assert log_loss(y, calibrated.oof_prediction_) < log_loss(y, plain.oof_prediction_)
    np.testing.assert_array_equal(calibrated.predict(X), plain.predict(X))
    wanted = at_temperature(plain.predict_proba(X), calibrated.temperature_)
    np.testing.assert_allclose(calibrated.predict_proba(X), wanted)


def test_without_probabilities_there_is_nothing_to_calibrate(noisy):
    X, _ = noisy
    with pytest.raises(ValueError, match="calibrate=True: expected False"):
        CrossValEnsemble(Ridge(), calibrate=True).fit(X, X[:, 0])


def test_the_spread_is_that_of_the_models_and_grows_away_from_the_data(noisy):
    X, y = noisy
    ensemble = CrossValEnsemble(LogisticRegression(), random_state=0).fit(X, y)
    of_models = np.array([model.predict_proba(X)[:, 1] for model in ensemble.estimators_])
    np.testing.assert_allclose(ensemble.predict_spread(X), of_models.std(axis=0))
    ridge = CrossValEnsemble(Ridge(), random_state=0).fit(X, X[:, 0] + X[:, 1] ** 2)
    assert ridge.predict_spread(20 * X).mean() > 10 * ridge.predict_spread(X).mean()
