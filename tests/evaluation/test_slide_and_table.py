"""Clinical data beside the slide: the fused model against its parts put together by hand, and what each side adds."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sksurv.linear_model import CoxPHSurvivalAnalysis

from sknic.evaluation import CrossValEnsemble, SlideAndTable, added_value
from sknic.exceptions import UnseenWordWarning
from sknic.targets import survival_array

N = 240


def of_vectors(model):
    """A slide model where a slide is a vector."""
    return make_pipeline(FunctionTransformer(np.stack), model)


def half_and_half(seed=0, noise=0.3):
    """A table whose slide (three numbers) and age each hold half of the target."""
    random = np.random.RandomState(seed)
    slides, age = random.normal(size=(N, 3)), random.normal(size=N)
    X = pd.DataFrame({"grid": list(slides), "age": age * 12 + 60, "sex": random.choice(["female", "male"], N)})
    return X, slides[:, 0] + age + noise * random.normal(size=N), np.arange(N) // 2


def test_the_score_of_the_slide_is_out_of_fold_in_fit_and_the_mean_of_the_models_after_it():
    X, y, groups = half_and_half()
    model = SlideAndTable(of_vectors(Ridge()), LinearRegression(), cv=3, random_state=0).fit(
        X.drop(columns="sex"), y, groups=groups
    )
    slides = np.stack(X["grid"])
    ensemble = CrossValEnsemble(Ridge(), 3, random_state=0, baseline=False).fit(slides, y, groups=groups)
    by_hand = LinearRegression().fit(np.column_stack([X["age"], ensemble.oof_prediction_]), y)
    wanted = by_hand.predict(np.column_stack([X["age"], ensemble.predict(slides)]))
    np.testing.assert_allclose(model.predict(X), wanted, rtol=1e-6)
    assert model.score(X, y) > 0.9


def test_classes_come_as_log_odds_and_probabilities_go_out():
    slides, labels = make_classification(N, 4, n_informative=3, n_redundant=0, n_classes=3, n_clusters_per_class=1)
    X, y = pd.DataFrame({"grid": list(slides), "age": np.arange(N)}), np.array(["a", "b", "c"])[labels]
    model = SlideAndTable(of_vectors(LogisticRegression()), random_state=0).fit(X, y)
    assert list(model.to_table(X).columns) == ["age", "slide score b", "slide score c"]
    probabilities = model.ensemble_.estimators_[0].predict_proba(slides)
    of_first = np.log(np.clip(probabilities, 1e-4, None))
    assert abs(np.corrcoef(model.to_table(X)["slide score b"], of_first[:, 1] - of_first[:, 0])[0, 1]) > 0.95
    assert model.predict_proba(X).shape == (N, 3)
    assert list(model.classes_) == ["a", "b", "c"]
    with pytest.raises(
        ValueError, match=r"the target contains '[ABC]', .* \(240 of 240 slides\): expected the classes"
    ):
        model.score(X, np.char.upper(y))


def test_risks_of_different_models_are_brought_to_one_scale():
    """Ten times the risk in two of four folds changes nothing: each fold's models are standardized."""
    X, log_hazard, groups = half_and_half(noise=0)
    random = np.random.RandomState(1)
    y = survival_array(np.ones(N), random.exponential(np.exp(-log_hazard)))
    plain = SlideAndTable(of_vectors(CoxPHSurvivalAnalysis(alpha=0.1)), random_state=0).fit(X, y, groups=groups)
    louder = SlideAndTable(of_vectors(Louder(alpha=0.1)), random_state=0).fit(X, y, groups=groups)
    np.testing.assert_allclose(louder.predict(X), plain.predict(X), rtol=1e-6)
    assert plain.score(X, y) > 0.75
    assert plain.predict_survival_function(X.iloc[:2]).shape == (2,)


class Louder(CoxPHSurvivalAnalysis):
    """Risks on a scale that no two fits share."""

    def fit(self, X, y):
        self.factor_ = 10.0 if np.asarray(X)[0, 0] > 0 else 0.1
        return super().fit(np.asarray(X), y)

    def predict(self, X):
        return super().predict(np.asarray(X)) * self.factor_ + self.factor_


def test_what_each_side_adds_is_found_where_each_holds_half():
    X, y, groups = half_and_half()
    found = added_value(SlideAndTable(of_vectors(Ridge())), X, y, groups=groups, metric="r2")
    assert found.shown
    assert "The slide adds to clinical data: r2" in str(found)
    assert found.scores["both"].value > 0.9
    assert 0.3 < found.scores["table"].value < 0.7
    assert 0.3 < found.scores["slide"].value < 0.7
    assert found.of_slide.difference.n == N // 2
    assert list(found.predictions.columns) == ["table", "slide", "both"]


def test_being_better_than_clinical_data_below_chance_shows_nothing():
    X, y, groups = half_and_half()
    found = added_value(SlideAndTable(of_vectors(Ridge())), X, y, groups=groups)
    assert found.chance == 0 and found.shown  # Spearman
    assert dataclasses.replace(found, chance=found.scores["both"].low).shown is False


def test_a_slide_that_knows_nothing_adds_nothing():
    X, y, groups = half_and_half()
    X["grid"] = list(np.random.RandomState(5).normal(size=(N, 3)))
    found = added_value(SlideAndTable(of_vectors(Ridge())), X, y, groups=groups)
    assert not found.shown
    assert "not shown" in str(found)


def test_the_target_may_be_a_survival_time():
    X, log_hazard, groups = half_and_half(noise=0)
    y = survival_array(np.ones(N), np.random.RandomState(1).exponential(np.exp(-log_hazard)))
    found = added_value(SlideAndTable(of_vectors(CoxPHSurvivalAnalysis(alpha=0.1))), X, y, groups=groups)
    assert found.metric == "concordance"
    assert found.shown


def test_gaps_and_new_words_are_no_obstacle():
    X, y, groups = half_and_half()
    X.loc[::7, "age"] = np.nan
    X.loc[::5, "sex"] = None
    model = SlideAndTable(of_vectors(Ridge()), random_state=0).fit(X, y, groups=groups)
    new = X.iloc[:4].assign(sex=["other", "male", None, "female"])
    with pytest.warns(UnseenWordWarning, match="column 'sex' of X contains 'other', .* in fit .'female', 'male'.:"):
        assert np.isfinite(model.predict(new)).all()


def test_a_missing_word_is_missing_and_not_a_word():
    X, y, _ = half_and_half()
    X.loc[::5, "sex"] = None
    model = SlideAndTable(of_vectors(Ridge())).fit(X, y)
    assert model.to_table(X)["sex"].isna().sum() == N // 5
    without = X.iloc[:10].assign(sex=np.nan)  # a column of numbers to pandas
    wanted = model.predict(X.iloc[:10].assign(sex=None))
    np.testing.assert_array_equal(model.predict(without), wanted)


def test_bools_with_gaps_are_the_bools_of_a_table_without():
    X, y, _ = half_and_half()
    smoker = pd.Series(np.arange(N) % 2 == 0).astype(object)
    model = SlideAndTable(of_vectors(Ridge())).fit(X.assign(smoker=smoker.where(X.index != 1, None)), y + 3 * smoker)
    predicted = model.predict(X.assign(smoker=smoker.astype(bool)))
    np.testing.assert_array_equal(predicted, model.predict(X.assign(smoker=smoker)))
    np.testing.assert_allclose(predicted - model.predict(X.assign(smoker=False)), 3 * smoker.astype(float), atol=0.4)


def test_numbers_do_not_stand_for_the_words_of_fit():
    X, y, _ = half_and_half()
    X = X.assign(grade=np.array(["1", "2"])[np.arange(N) % 2])
    model = SlideAndTable(of_vectors(Ridge())).fit(X, y)
    with pytest.raises(ValueError, match="column 'grade' of X contains numbers such as 1, and contained words in fit"):
        model.predict(X.assign(grade=X["grade"].astype(int)))


def test_it_is_an_estimator_of_scikit_learn():
    X, y, _ = half_and_half()
    assert cross_val_score(SlideAndTable(of_vectors(Ridge())), X, y, cv=3, scoring="r2").min() > 0.8


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda X: X.to_numpy(), TypeError, "X is a ndarray; expected a DataFrame with the column 'grid'"),
        (lambda X: X.rename(columns={"grid": "Grid"}), ValueError, "did you mean 'Grid'"),
        (lambda X: X[["grid"]], ValueError, "no column except 'grid'"),
        (lambda X: X[["grid", "age", "sex", "sex"]], ValueError, "two columns 'sex': expected different names"),
        (lambda X: X.assign(age=1j), ValueError, "column 'age' of X contains complex numbers"),
        (lambda X: X.assign(age=np.inf), ValueError, "'age' of X contains an infinite number in row 0"),
        (
            lambda X: X.assign(seen=pd.Timestamp("2020-01-01")),
            ValueError,
            "'seen' of X contains .*expected num",
        ),
        (lambda X: X.assign(**{"slide score": 1.0}), ValueError, "rename it"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(change, error, words):
    X, y, _ = half_and_half()
    with pytest.raises(error, match=words):
        SlideAndTable(of_vectors(Ridge()), random_state=0).fit(change(X), y)


def test_a_column_that_is_missing_later_is_named():
    X, y, _ = half_and_half()
    model = SlideAndTable(of_vectors(Ridge()), random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="X has no 'sex'"):
        model.predict(X.drop(columns="sex"))


def test_only_a_model_of_both_can_be_asked_what_each_adds():
    X, y, _ = half_and_half()
    with pytest.raises(TypeError, match="Ridge: expected a SlideAndTable"):
        added_value(Ridge(), X, y)
