"""How good an encoder is on patches that it was not trained on: a linear probe per task, on the held-out fifth."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Answer:
    """Labels of held-out patches, what a probe said, and the source of each; arrays of str (n,)."""

    truth: np.ndarray
    guess: np.ndarray
    groups: np.ndarray


def guesses(data, encoder, tasks):
    """Fit a probe for each task, and ask it about the patches held out; dict of task to Answer.

    The probe is a logistic regression (C = 0.05) on standardized embeddings of the other patches of the task.
    """
    return {task: _guess(data, encoder, task) for task in tasks}


def score(answer):
    """Balanced accuracy with its 95 % interval, which resamples sources, and the numbers of patches and sources."""
    from sknic.evaluation import estimate

    found = estimate("balanced_accuracy", answer.truth, answer.guess, groups=answer.groups, random_state=0)
    numbers = {"value": found.value, "low": found.low, "high": found.high}
    counts = {"n": len(answer.truth), "sources": len(np.unique(answer.groups))}
    return {name: round(float(value), 4) for name, value in numbers.items()} | counts


def probe_table(data, encoder):
    """Scores of all tasks, as they stand on the card of an encoder."""
    tasks = sorted(data.table["task"].unique())
    return {task: score(answer) for task, answer in guesses(data, encoder, tasks).items()}


def _guess(data, encoder, task):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = data.rows([task], held_out=False), data.rows([task], held_out=True)
    labels, groups = data.table["label"].to_numpy(str), data.table["group"].to_numpy(str)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000))
    probe.fit(encoder.transform(data.patches[train]), labels[train])
    return Answer(labels[test], probe.predict(encoder.transform(data.patches[test])), groups[test])
