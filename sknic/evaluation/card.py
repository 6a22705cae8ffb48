"""How a fitted ensemble is displayed in a notebook: the score, what it means, and its folds."""

from sknic.files.notebook import card


def ensemble_card(ensemble):
    """HTML summary of the out-of-fold predictions.

    Parameters
    ----------
    ensemble : fitted CrossValEnsemble

    Returns
    -------
    str
    """
    groups = ensemble.groups_
    patients = "" if groups is None else f" of {len(set(groups.tolist()))} patients"
    rows = {"slides": f"{len(ensemble.y_)}{patients}", "folds": len(ensemble.estimators_)}
    verdict = ensemble.oof_verdict()
    measured = {
        verdict.metric: verdict.score,
        "each fold": ", ".join(f"{score:.3f}" for score in verdict.fold_scores),
        "chance": verdict.chance,
        "baseline": _rival(verdict),
        "what it says": verdict,
    }
    return card("Out of fold", {**rows, **measured})


def _rival(verdict):
    return verdict.reason or None if verdict.comparison is None else verdict.comparison.b
