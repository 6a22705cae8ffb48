"""What a fitted ensemble shows of itself in a notebook."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from sknic import CrossValEnsemble

RNG = np.random.RandomState(0)
LABEL = np.array(["a", "b"] * 20)
X = RNG.normal(size=(40, 3)) + 2.0 * (LABEL == "b")[:, None]


def test_before_it_is_fitted_an_ensemble_shows_its_parameters_only():
    assert "Out of fold" not in CrossValEnsemble(LogisticRegression())._repr_html_()


def test_a_fitted_ensemble_shows_its_score_its_folds_and_what_they_say():
    ensemble = CrossValEnsemble(LogisticRegression(), cv=4, random_state=0)
    ensemble.fit(X, LABEL, groups=np.repeat(np.arange(20), 2))
    shown = ensemble._repr_mimebundle_()["text/html"]
    verdict = ensemble.oof_verdict()
    assert "40 of 20 patients" in shown and str(verdict.score) in shown and str(verdict) in shown
    assert ", ".join(f"{score:.3f}" for score in verdict.fold_scores) in shown
    assert "LogisticRegression" in shown  # scikit-learn's diagram stands below


def test_an_ensemble_whose_predictions_cannot_be_measured_is_shown_with_the_reason():
    ensemble = CrossValEnsemble(LogisticRegression(), cv=2, random_state=0, baseline=False).fit(X, LABEL)
    ensemble.y_ = np.array(["a"] * 40)
    assert "nan" in ensemble._repr_html_() and str(ensemble.oof_verdict()) in ensemble._repr_html_()
