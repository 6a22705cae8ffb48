"""How much do the encoders see in real patches that none of them was trained on?

2,643 patches of four tasks, four folds by source image. An encoder is trained on three folds and judged on the fourth:
by its own heads, or by a linear probe fitted on the embeddings of the three (C by an inner search, classes weighed
alike, the same for all). Two colorectal classes with patches of a single image cannot be measured by group and are left
out. Intervals resample images. The settings were chosen by `--choose`, on the training part of the first fold alone.
Each encoder of each fold is kept as soon as it is there, so that a run that was stopped goes on.
"""

import argparse
import json
import os
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.common import linear_probe, report, test_data, work_dir
from benchmarks.labelled import N_FOLDS, read_data

PUBLISHED = "encoder_multitask-4.h5"
RIVAL = "published multitask-4"
# The best by --choose; the gentle way was tried before that and stays in the table.
TUNED = {"augmentation": "mild", "max_epochs": 30, "lr": 3e-4}
GENTLE = {
    "augmentation": "mild",
    "init_lr": 3e-5,
    "batch_size": 64,
    "max_epochs": 10,
    "validation_fraction": None,
    "patience": None,
}
SCRATCH = {"augmentation": "mild", "batch_size": 64, "max_epochs": 20, "patience": 6}
SINGLE = {**SCRATCH, "max_epochs": 6}
SHORT = {"max_epochs": 4}


@dataclass(frozen=True)
class Way:
    """How to come by an encoder; whether it has heads, and whether it is trained here."""

    make: object
    heads: bool = False
    trained: bool = True


def multitask(data, rows, **settings):
    from sknic import MultitaskEncoder

    encoder = MultitaskEncoder(random_state=0, device="cpu", **settings)
    return encoder.fit(data.patches[rows], data.labels.iloc[rows], groups=data.groups[rows])


def fine_tuned(data, rows, **settings):
    return multitask(data, rows, init=test_data("encoders", PUBLISHED), **settings)


def with_unlabelled(data, rows, **settings):
    """The test patches serve too, without their labels: what a group has of its own slides before it labels any."""
    from sknic import MultitaskEncoder

    labels = data.labels.copy()
    labels.loc[~np.isin(np.arange(len(labels)), rows)] = None
    encoder = MultitaskEncoder(random_state=0, device="cpu", init=test_data("encoders", PUBLISHED), **settings)
    return encoder.fit(data.patches, labels, groups=data.groups)


def single_tasks(data, rows, start, **settings):
    """One encoder per task."""
    return {task: start(data, rows, tasks=[task], **settings) for task in data.labels.columns}


def unsupervised(data, rows, name, **settings):
    import sknic

    encoder = getattr(sknic, name)(random_state=0, device="cpu", **settings)
    return encoder.fit(data.patches[rows], groups=data.groups[rows])


def published(data, rows, name):
    from sknic import load_encoder

    return load_encoder(test_data("encoders", name), "cpu")


def mean_rgb(data, rows):
    from sknic import MeanRGBEncoder

    return MeanRGBEncoder(device="cpu")


WAYS = {
    "multitask, fine-tuned": Way(partial(fine_tuned, **TUNED), heads=True),
    "multitask, fine-tuned gently": Way(partial(fine_tuned, **GENTLE), heads=True),
    "gently, uncertainty weights": Way(partial(fine_tuned, **GENTLE, task_weights="uncertainty"), heads=True),
    "gently, GradNorm": Way(partial(fine_tuned, **GENTLE, task_weights="gradnorm"), heads=True),
    "gently, unlabelled patches too": Way(partial(with_unlabelled, **GENTLE, unlabelled_weight=0.1), heads=True),
    "multitask, from scratch": Way(partial(multitask, **SCRATCH), heads=True),
    "published multitask-4": Way(partial(published, name=PUBLISHED), trained=False),
    "published bigan": Way(partial(published, name="encoder_bigan.h5"), trained=False),
    "mean RGB": Way(mean_rgb, trained=False),
    "single tasks, from scratch": Way(partial(single_tasks, start=multitask, **SINGLE), heads=True),
    "ContrastiveEncoder": Way(partial(unsupervised, name="ContrastiveEncoder", **SHORT)),
    "VAEEncoder": Way(partial(unsupervised, name="VAEEncoder", **SHORT)),
    "BiGANEncoder": Way(partial(unsupervised, name="BiGANEncoder", **SHORT)),
}


def candidates():
    """Settings to choose from, by name; the first two hold out a fifth, the others train on all."""
    settings = {
        "tuned, light, 3e-4, 240 steps": {**TUNED, "augmentation": "light"},
        "tuned, mild, 3e-4, 240 steps": TUNED,
        "tuned, mild, init_lr 3e-5, all": GENTLE,
        "tuned, mild, init_lr 1e-4, all": {**GENTLE, "init_lr": 1e-4},
    }
    ways = {name: Way(partial(fine_tuned, **values), heads=True) for name, values in settings.items()}
    return {"published": WAYS[RIVAL], **ways}


def predict(reader, encoder, data, train, test):
    """Labels (n_test, n_tasks) of the test rows, by heads or probe; None where a patch has no label for the task."""
    predicted = np.full((len(test), data.labels.shape[1]), None, object)
    for column, task in enumerate(data.labels.columns):
        truth = data.labels[task]
        learn, ask = (rows[truth.iloc[rows].notna().to_numpy()] for rows in (train, test))
        places = np.searchsorted(test, ask)
        own = encoder[task] if isinstance(encoder, dict) else encoder
        if reader == "heads":
            answers = np.asarray(own.predict(data.patches[ask]), object).reshape(len(ask), -1)
            predicted[places, column] = answers[:, own.task_names_.index(task)]
        else:
            embed = own.transform
            predicted[places, column] = probe(
                embed(data.patches[learn]), truth.iloc[learn].to_numpy(str), data.groups[learn]
            ).predict(embed(data.patches[ask]))
    return predicted


def probe(embeddings, labels, groups):
    """Logistic regression on standardised embeddings, every class weighing alike, C by groups of the training part."""
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold

    inner = list(StratifiedGroupKFold(3, shuffle=True, random_state=0).split(embeddings, labels, groups))
    grid = {"logisticregression__C": [0.001, 0.01, 0.1, 1.0]}
    return GridSearchCV(linear_probe(), grid, cv=inner, scoring=_recall).fit(embeddings, labels)


def _recall(model, X, y):
    from sknic.evaluation import balanced_accuracy

    return balanced_accuracy(y, model.predict(X))


def run(way, data, train, test, path, **settings):
    """Train, predict and keep the predictions with what the training says about itself."""
    start = time.perf_counter()
    encoder = way.make(data, train, **settings)
    seconds = time.perf_counter() - start
    parts = list(encoder.values()) if isinstance(encoder, dict) else [encoder]
    histories = [getattr(part, "history_", []) for part in parts]
    about = {
        "seconds": seconds,
        "steps": sum(row.get("train_batch_count", 0) for history in histories for row in history),
        "epochs": sum(map(len, histories)),
        "evidence": {k: v for part in parts for k, v in vars(part).items() if k.endswith("_") and isinstance(v, float)},
        "history": histories,
    }
    own = ["heads"] if way.heads else []
    predicted = {reader: predict(reader, encoder, data, train, test) for reader in [*own, "probe"]}
    temporary = path.with_suffix(".tmp")
    with open(temporary, "wb") as file:
        answers = {reader: labels.astype(str) for reader, labels in predicted.items()}
        np.savez(file, rows=test, about=json.dumps(about), **answers)
    os.replace(temporary, path)
    scores = {reader: round(mean_recall(*coded(data, test, labels)), 3) for reader, labels in predicted.items()}
    print(f"{path.stem}: {scores}, {about['steps']} steps, {seconds:.0f} s, {about['evidence']}", flush=True)


def readers(path):
    with np.load(path) as file:
        return [name for name in ("heads", "probe") if name in file]


def kept(path, reader):
    """Test rows, predictions by that reader, and what the training said of itself."""
    with np.load(path) as file:
        return file["rows"], file[reader].astype(object), json.loads(str(file["about"]))


def coded(data, rows, predicted):
    """Truth and prediction of every label as whole numbers, 100 * task + class; -1 for a class that is none."""
    truth, answer = np.full(len(rows), -1), np.full(len(rows), -1)
    for column, task in enumerate(data.labels.columns):
        labels = data.labels[task].iloc[rows]
        has = labels.notna().to_numpy()
        classes, codes = np.unique(labels[has].to_numpy(str), return_inverse=True)
        places = {name: 100 * column + code for code, name in enumerate(classes)}
        truth[has] = 100 * column + codes
        answer[has] = [places.get(name, -1) for name in predicted[has, column]]
    return truth, answer


def mean_recall(truth, answer):
    """Mean over the four tasks of the balanced accuracy."""
    return float(np.mean([task_recall(truth, answer, task) for task in np.unique(truth // 100)]))


def task_recall(truth, answer, task):
    from sknic.evaluation import balanced_accuracy

    here = truth // 100 == task
    return balanced_accuracy(truth[here], answer[here])


def row_of(name, reader, data, results):
    """One row of the table from the results of all folds that were run."""
    rows = np.concatenate([result[0] for result in results])
    truth, answer = coded(data, rows, np.concatenate([result[1] for result in results]))
    groups, about = data.groups[rows], [result[2] for result in results]
    row = {"encoder": name, "read by": reader}
    for column, task in enumerate(data.labels.columns):
        here = truth // 100 == column
        row[task] = interval("balanced_accuracy", truth[here], answer[here], groups[here])
    row["mean"] = interval(mean_recall, truth, answer, groups)
    row["steps a fold"] = int(np.mean([part["steps"] for part in about]))
    row["s a fold"] = round(float(np.mean([part["seconds"] for part in about])))
    return row, (truth, answer, groups)


def interval(metric, truth, answer, groups):
    """The figure with its interval, without one where a single fold holds patches of one image."""
    from sknic.evaluation import estimate
    from sknic.evaluation.metrics import get_metric

    if len(np.unique(groups)) < 2:
        return f"{get_metric(metric)(truth, answer):.3f}"
    return str(estimate(metric, truth, answer, groups=groups))


def compared(mine, other):
    """Difference of the mean to another way's, with its interval of paired resamples."""
    from sknic.evaluation import compare

    return str(compare(mean_recall, mine[0], mine[1], other[1], groups=mine[2]).difference)


def chosen_from(data, ways, only):
    """Run the candidates that are not kept on an inner split of the first fold's training part; print their means."""
    inner = data.only(data.split(0)[0])
    train, test = inner.split(0)
    for name, way in ways.items():
        path = work_dir("encoders") / f"choose-{slug(name)}.npz"
        if not path.exists() and (not only or any(part in name for part in only)):
            run(way, inner, train, test, path)
    paths = {name: work_dir("encoders") / f"choose-{slug(name)}.npz" for name in ways}
    rows = []
    known = [(name, reader) for name in ways if paths[name].exists() for reader in readers(paths[name])]
    for name, reader in known:
        test, predicted, about = kept(paths[name], reader)
        codes = coded(inner, test, predicted)
        tasks = {task: task_recall(*codes, column) for column, task in enumerate(inner.labels.columns)}
        means = {"mean": mean_recall(*codes), "steps": about["steps"], "s": about["seconds"]}
        rows.append({"candidate": name, "read by": reader, **tasks, **means})
    report("encoders_settings", rows, "Candidates on one inner split of the first fold's training part")


def slug(name):
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def table(data, folds, prefix):
    """Rows of all ways whose folds are all there."""
    results, rows = {}, []
    for name in WAYS:
        paths = [work_dir("encoders") / f"{prefix}{slug(name)}-fold{fold}.npz" for fold in folds]
        for reader in readers(paths[0]) if all(path.exists() for path in paths) else ():
            row, results[name, reader] = row_of(name, reader, data, [kept(path, reader) for path in paths])
            rows.append(row)
    for row in rows:
        mine, rival = results[row["encoder"], row["read by"]], results.get((RIVAL, "probe"))
        row["less published"] = "" if rival is None or row["encoder"] == RIVAL else compared(mine, rival)
    return rows


def main():
    options = parse_options()
    data = read_data()
    if options.choose:
        chosen_from(data, candidates(), options.only)
        return
    names = [name for name in WAYS if not options.only or any(part in name for part in options.only)]
    prefix = "quick-" if options.quick else ""
    for name in names:
        for fold in options.folds:
            path = work_dir("encoders") / f"{prefix}{slug(name)}-fold{fold}.npz"
            settings = {"max_epochs": 1} if options.quick and WAYS[name].trained else {}
            if not path.exists():
                run(WAYS[name], data, *data.split(fold), path, **settings)
    rows = table(data, options.folds, prefix)
    report(f"{prefix}encoders".replace("-", "_"), rows, f"Balanced accuracy on unseen images, {N_FOLDS} folds")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folds", type=int, nargs="+", default=range(N_FOLDS), help="run these folds only")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run the encoders whose name contains one of these")
    parser.add_argument("--quick", action="store_true", help="one epoch each: does it run?")
    parser.add_argument("--choose", action="store_true", help="run the candidates for the settings instead")
    return parser.parse_args()


if __name__ == "__main__":
    main()
