"""Scorers for `cross_val_score` and `GridSearchCV` that scikit-learn does not have."""

from sklearn.metrics import make_scorer

from sknic.evaluation.metrics import auc, concordance, spearman

spearman_scorer = make_scorer(spearman)
concordance_scorer = make_scorer(concordance)
auc_scorer = make_scorer(auc, response_method=("decision_function", "predict_proba"))
