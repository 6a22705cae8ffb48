"""What an encoder is worth on patches that it was not trained on: a linear probe per task, on the fifth held out."""

import numpy as np


def probe_table(data, encoder, tasks=None):
    """Balanced accuracy of each task on its held-out patches, with an interval that resamples sources.

    The probe is a logistic regression (C = 0.05) on standardized embeddings, fitted on the other patches of the task.

    Parameters
    ----------
    data : PatchData
        Patches, with fold 0 held out.
    encoder : fitted encoder
        What is judged.
    tasks : sequence of str, default=None
        Tasks to judge by; all by default.

    Returns
    -------
    dict of str to dict
        By task: value, low and high of the 95 % interval, n, number of sources.
    """
    tasks = sorted(data.table["task"].unique()) if tasks is None else tasks
    return {task: _probed(data, encoder, task) for task in tasks}


def _probed(data, encoder, task):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from sknic.evaluation import estimate

    train, test = data.rows([task], held_out=False), data.rows([task], held_out=True)
    labels, groups = data.table["label"].to_numpy(str), data.table["group"].to_numpy(str)[test]
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=2000))
    probe.fit(encoder.transform(data.patches[train]), labels[train])
    guess = probe.predict(encoder.transform(data.patches[test]))
    result = estimate("balanced_accuracy", labels[test], guess, groups=groups, random_state=0)
    numbers = {"value": result.value, "low": result.low, "high": result.high}
    counts = {"n": len(test), "sources": len(np.unique(groups))}
    return {name: round(float(value), 4) for name, value in numbers.items()} | counts
