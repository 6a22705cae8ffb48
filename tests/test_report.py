import dataclasses
import json
import re
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sksurv.nonparametric import kaplan_meier_estimator
from typer.testing import CliRunner

from sknic import CrossValEnsemble, Grid, GridCNNClassifier
from sknic.cli.app import app
from sknic.estimators import AttentionMIL, GridCNN
from sknic.evaluation import CensoredScores, Comparison, Estimate, Verdict, net_benefit
from sknic.exceptions import RunFolderError
from sknic.report import Card, Report, RunFolder, best_and_worst, report_of_run, run_of_ensemble
from sknic.report.classes import calibration_table, class_table, confusion_table
from sknic.report.model_card import card_of_run
from sknic.report.over_time import calibration_at
from sknic.report.run_report import _settings
from sknic.report.slides import fit_of_slides
from sknic.report.tables import cohort_table, interval_of
from sknic.report.tripod import UNKNOWN
from sknic.report.verification import check_metrics, check_predictions
from sknic.targets import survival_array

TASKS = ("regression", "classification", "survival")


def make_run(task, n=24, n_classes=2, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {"slide": [f"slides/s{i}.tiff" for i in range(n)], "patient": [f"p{i // 2}" for i in range(n)]}
    )
    table["fold"] = np.arange(n) // 2 % 4
    truth = rng.normal(size=n)
    noisy = truth + 0.4 * rng.normal(size=n)
    if task == "regression":
        table = table.assign(target=truth, prediction=noisy)
    elif task == "survival":
        owner = np.arange(n) // 2 * 2  # both slides of a patient share one fate
        table = table.assign(event=(rng.random(n) < 0.7)[owner], time=100 * np.exp(-truth)[owner], prediction=noisy)
    else:
        labels = np.array(["a", "b", "c"][:n_classes])
        target = labels[np.arange(n) % n_classes]
        share = np.exp(2 * (target[:, None] == labels) + rng.normal(size=(n, n_classes)))
        share /= share.sum(axis=1, keepdims=True)
        table = table.assign(target=target, prediction=labels[share.argmax(axis=1)])
        table[[f"probability {name}" for name in labels]] = share
    metric = {"regression": "spearman", "classification": "auc", "survival": "concordance"}[task]
    epochs = [{"fold": f, "epoch": e, "train_loss": 1 / e, "valid_loss": 1.2 / e, "lr": 0.01, "event_best": e == 5}
              for f in range(4) for e in range(1, 6)]  # fmt: skip
    record = {"command": "evaluate", "when": "2026-01-01T10:00:00+00:00", "versions": {"sknic": "0.1"}}
    record["settings"] = {"task": task, "target": "score", "estimator": {"lr": 0.01, "module": None}}
    stems = ("s0", "s1", "s2")
    overlays = {stem: np.full((30, 40, 3), 200, np.uint8) for stem in stems}
    return RunFolder(
        task, table, {metric: Estimate(0.8123, 0.6, 0.91, 0.95, 12)}, pd.DataFrame(epochs), record, overlays
    )


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module", params=TASKS)
def page(request):
    return Page(report_of_run(make_run(request.param)).to_html())


def test_a_report_refers_to_nothing_outside_itself(page):
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:image/"))
    assert not page.all("script")
    assert not page.all("link")


def test_every_picture_has_words(page):
    assert page.all("img")
    assert all(len(image["alt"]) > 20 for image in page.all("img"))


def test_every_section_can_be_reached_by_a_link(page):
    headings = {attributes["id"] for attributes in page.all("h2")}
    assert {a["href"][1:] for a in page.all("a")} >= headings


def test_every_table_that_scrolls_can_be_reached_by_keyboard(page):
    regions = [a for a in page.all("div") if a.get("class") == "scroll"]
    assert regions
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in regions)


def test_a_report_shows_metrics_intervals_settings_and_versions(page):
    for words in ("0.812", "0.600 to 0.910", "12 patients", "estimator.lr", "0.01", "Versions"):
        assert words in page.text
    assert any(image["alt"].startswith("Learning curves") for image in page.all("img"))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_are_shown_one_by_one(n_classes):
    page = Page(report_of_run(make_run("classification", n_classes=n_classes)).to_html())
    for words in ("sensitivity", "F1", "the predicted class is the one with the highest probability"):
        assert words in page.text
    assert ("or 'a' if both are 0.5" in page.text) == (n_classes == 2)
    assert ("The positive class is 'b'" in page.text) == (n_classes == 2)
    alts = [image["alt"] for image in page.all("img")]
    (roc,) = [alt for alt in alts if alt.startswith("ROC curve of class")]
    assert roc.count("against the rest, area") == (1 if n_classes == 2 else 3)
    (confusion,) = [alt for alt in alts if alt.startswith("Confusion matrix")]
    counts = confusion_table(make_run("classification", n_classes=n_classes))
    assert f"true class a: {counts.loc[0, 'a']} predicted a, {counts.loc[0, 'b']} predicted b" in confusion
    assert sum(alt.startswith("Calibration of the probability of") for alt in alts) == 1


def test_the_numbers_of_a_class_are_those_of_its_confusion_table():
    run = make_run("classification", n_classes=3)
    run.predictions["prediction"] = list("aabbcc") * 4
    run.predictions["target"] = list("aaabbc") * 4
    table = class_table(run).set_index("class")
    assert table.loc["a", ["slides", "sensitivity", "specificity"]].tolist() == [12, pytest.approx(0.667), 1.0]
    assert table.loc["a", "F1"] == 0.8 and table.loc["c", "specificity"] == pytest.approx(0.8)
    assert confusion_table(run).iloc[0].tolist() == ["a", 8, 4, 0]


@pytest.mark.parametrize("labels", [[2, 10], ["2", "10"], [2, 10, 100]])
def test_classes_stand_in_the_order_of_those_of_the_model(labels, tmp_path):
    y, rng = np.array(labels * 6), np.random.default_rng(0)
    grids = np.empty(len(y), object)
    grids[:] = [Grid.from_dense(rng.normal(size=(4, 5, 5)).astype(np.float32)) for _ in y]
    model = GridCNNClassifier(n_filters=4, max_steps=2, device="cpu", random_state=0)
    ensemble = CrossValEnsemble(model, cv=2, baseline=False, random_state=0).fit(grids, y)
    record = {"settings": {"task": "classification", "bootstrap": 20}}
    run = run_of_ensemble(ensemble, [f"s{i}.svs" for i in range(len(y))], record=record, n_resamples=20)
    run = dataclasses.replace(run, predictions=run.predictions.assign(spread=np.linspace(0, 1, len(y))))
    run.write(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(record))
    wanted = list(map(str, ensemble.classes_))
    assert wanted == (["10", "2"] if labels == ["2", "10"] else list(map(str, labels)))
    for of in (run, RunFolder.read(tmp_path)):
        assert of.classes == wanted == confusion_table(of)["true class"].tolist()
        assert check_metrics(of).is_right and check_predictions(of, ensemble, grids).is_right
        page = Page(report_of_run(of).to_html())
        assert (f"The positive class is {wanted[1]!r}" in page.text) == (len(labels) == 2)
        (alt,) = [image["alt"] for image in page.all("img") if image["alt"].startswith("Rejection curve, auc")]
        assert alt.endswith(f"{run.metrics['auc'].value:.3f} of 100%")


def test_calibration_sets_what_came_true_beside_what_was_said():
    run = make_run("classification", n=40)
    run.predictions["probability b"] = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 8)
    run.predictions["target"] = np.tile(list("aaaaaaab"), 5)
    table = calibration_table(run)
    assert table["mean probability"].tolist() == [0.1, 0.3, 0.5, 0.7, 0.9]
    assert table["observed share"].tolist() == [0.125] * 5
    run.predictions.drop(columns="probability a", inplace=True)
    assert calibration_table(run) is None


def test_slides_of_equal_probability_are_in_one_group_of_the_calibration_and_the_caption_says_so():
    run = make_run("classification", n=20)
    run.predictions["target"] = list("ab") * 10
    run.predictions["probability b"] = [0.1] * 16 + [0.9, 0.8, 0.7, 0.6]
    run.predictions["probability a"] = 1 - run.predictions["probability b"]
    table = calibration_table(run)
    assert table["mean probability"].tolist() == [0.1, 0.75]  # of 16 and of 4
    assert table["observed share"].tolist() == [0.5, 0.5]
    text = Page(report_of_run(run).to_html()).text
    assert "slides of equal probability are in one group, so groups may be of unequal size" in text
    assert "of equal size" not in text


def test_the_class_of_two_equal_probabilities_is_the_one_that_the_report_says():
    run = make_run("classification")
    half = np.full((1, 2), 0.5)
    predicted = run.kind.predicted(half, np.array(run.classes))["prediction"][0]
    text = Page(report_of_run(run).to_html()).text
    assert f"the one with the highest probability, or {str(predicted)!r} if both are 0.5" in text


@pytest.mark.parametrize("level, said", [(0.95, "95%"), (0.975, "97.5%"), (0.995, "99.5%"), (0.07, "7%")])
def test_the_level_of_an_interval_is_not_rounded(level, said):
    assert interval_of(Estimate(0.8, 0.6, 0.9, level, 12))["interval"] == f"0.600 to 0.900 ({said})"


def verdict(difference=-0.1):
    score, baseline = Estimate(0.8, 0.6, 0.9, 0.95, 12), Estimate(0.7, 0.5, 0.8, 0.95, 12)
    comparison = Comparison(score, baseline, Estimate(0.1, difference, 0.3, 0.95, 12), 0.2, "paired bootstrap")
    return Verdict("auc", score, 0.5, comparison, fold_scores=(0.75, float("nan"), 0.85))


def test_a_report_says_what_the_score_means_beside_chance_and_baseline():
    run = make_run("classification")
    text = Page(report_of_run(dataclasses.replace(run, verdict=verdict())).to_html()).text
    result, folds = text.split("Cohort and folds")[-2:]
    for words in ("0.800", "0.600 to 0.900 (95%)", "chance", "0.5", "0.700 (0.500 to 0.800)", "difference"):
        assert words in result
    assert "No better than the baseline: on unseen slides, the model predicts better" in result
    assert "and better than a linear model" in report_of_run(dataclasses.replace(run, verdict=verdict(0.05))).to_html()
    alone = dataclasses.replace(verdict(), comparison=None)
    assert "not compared with a simpler model" in report_of_run(dataclasses.replace(run, verdict=alone)).to_html()


def test_the_result_is_the_first_thing_on_the_page():
    html = report_of_run(dataclasses.replace(make_run("classification"), verdict=verdict())).to_html()
    assert html.index("Area under the ROC curve") < html.index("<strong>0.800</strong>") < html.index("<table")


def test_each_fold_stands_beside_its_score():
    run = make_run("classification")
    scores = (0.75, float("nan"), 0.85, 0.8)
    judged = dataclasses.replace(run, verdict=dataclasses.replace(verdict(), fold_scores=scores))
    text = Page(report_of_run(judged).to_html()).text
    assert "mean of the folds' scores is 0.800" in text
    table = cohort_table(judged).assign(score=["0.800", "0.750", "n/a", "0.850", "0.800"])
    for row in table.itertuples(index=False):
        assert "".join(map(str, row)) in text


def test_survival_is_named_by_time_and_event():
    run = make_run("survival")
    run.record["settings"]["columns"] = {"event": "died", "time": "months"}
    assert "<h1>Predicting survival (months, died)</h1>" in report_of_run(run).to_html()


def test_a_class_is_marked_right_or_wrong_and_a_legend_says_so():
    run = make_run("classification")
    best, worst = best_and_worst(run)
    rows = [*best, *worst]
    shown = [f"s{row}" for row in rows]
    pictures = {name: np.full((30, 40, 3), 200, np.uint8) for name in shown}
    page = Page(report_of_run(dataclasses.replace(run, overlays=pictures)).to_html())
    marks = [a["aria-label"] for a in page.all("span") if a.get("role") == "img"]
    hits = run.predictions["target"] == run.predictions["prediction"]
    assert marks == ["right", "wrong", *("right" if hits[row] else "wrong" for row in rows)]
    assert "the predicted class is the true one" in page.text
    scores = Page(report_of_run(make_run("regression")).to_html())
    assert not [a for a in scores.all("span") if a.get("role") == "img"]
    assert "strong evidence" in scores.text


def test_a_verdict_is_read_as_it_was_written(tmp_path):
    run = dataclasses.replace(make_run("classification"), verdict=verdict())
    (tmp_path / "run.json").write_text(json.dumps(run.record))
    run.write(tmp_path)
    again = RunFolder.read(tmp_path).verdict
    assert repr(again) == repr(run.verdict)
    (tmp_path / "verdict.json").write_text('{"metric": "auc"}')
    with pytest.raises(RunFolderError):
        RunFolder.read(tmp_path)


def test_a_slide_without_overlay_still_gets_its_numbers():
    run = make_run("regression")
    bare = RunFolder(run.task, run.predictions, run.metrics)
    text = Page(report_of_run(bare).to_html()).text
    assert "Predicted worst" in text
    assert run.predictions["slide"][best_and_worst(bare)[1][0]].split("/")[1].removesuffix(".tiff") in text


def test_an_interval_without_width_is_explained():
    run = make_run("regression")
    assert "of zero width" not in report_of_run(run).to_html()
    run.metrics["r2"] = Estimate(1.0, 1.0, 1.0, 0.95, 12)
    assert "of zero width" in report_of_run(run).to_html()


def test_a_chart_that_cannot_be_drawn_leaves_its_reason():
    run = make_run("regression")
    constant = RunFolder(run.task, run.predictions.assign(prediction=1.0), run.metrics)
    assert "There is no chart: all 24 values" in Page(report_of_run(constant).to_html()).text


@pytest.mark.parametrize("task", TASKS)
def test_no_slide_is_both_best_and_worst(task):
    best, worst = best_and_worst(make_run(task, n=12), n_slides=50)
    assert len(best) == len(worst) > 0
    assert not set(best) & set(worst)


CNN = ("a convolutional network on grids", "tissue, with their positions; no clinical data")
BAG = ("attention over a bag of embeddings", "tissue, without their positions; no clinical data")


@pytest.mark.parametrize("settings, network, predictors", [
    ({"module": None}, *CNN),
    ({"module": GridCNN}, *CNN),
    ({"module": AttentionMIL}, *BAG),
    ({"module": str(AttentionMIL)}, *BAG),  # as run.json has it
    ({"module": "<class 'my.AttentionMIL'>"}, UNKNOWN, UNKNOWN),
    ({}, UNKNOWN, UNKNOWN),
])  # fmt: skip
def test_a_card_describes_the_network_that_was_trained(settings, network, predictors):
    run = make_run("regression")
    run.record["settings"] |= settings
    said = card_of_run(run).tables["TRIPOD+AI"].set_index("Item")["What is known"]
    assert said["12c"] == (network if network == UNKNOWN else f"{network}; every parameter under Training")
    assert said["9b"] == (
        predictors if predictors == UNKNOWN else f"the encoder's embeddings of a slide's {predictors}"
    )


def test_survival_is_drawn_over_time_where_there_are_curves():
    run = make_run("survival", n=80)
    assert "Brier" not in report_of_run(run).to_html()
    table = run.predictions.assign(**{f"survival at {time}": 0.5 for time in (40, 62.5, 90)})
    alts = [
        image["alt"] for image in Page(report_of_run(dataclasses.replace(run, predictions=table)).to_html()).all("img")
    ]
    y = survival_array(table["event"], table["time"])
    scores = CensoredScores(y, table["prediction"], table["fold"], np.full((80, 3), 0.5), [40, 62.5, 90])
    auc, brier = (measure(np.arange(80)) for measure in (scores.auc, scores.brier))
    (area,) = [alt for alt in alts if alt.startswith("Area under the time-dependent ROC curve")]
    assert f"{auc[1]:.3f} at 62.5" in area
    (error,) = [alt for alt in alts if alt.startswith("Brier score")]
    assert f"{brier[0]:.3f} at 40" in error
    assert "of Kaplan-Meier" in error
    (calibration,) = [alt for alt in alts if alt.startswith("Calibration of survival at time 62.5: 0.50 predicted")]


def test_observed_survival_is_that_of_scikit_survival_in_each_group_of_predictions():
    rng = np.random.default_rng(0)
    said, time = rng.uniform(size=48), 5.0
    y = survival_array(rng.random(48) < 0.7, rng.exponential(10 * said))
    mean, seen, low, high = calibration_at(y, np.column_stack([said**0.5, said]), [2.0, time], time)
    groups = np.array_split(np.argsort(said), 4)
    for number, rows in enumerate(groups):
        times, survival = kaplan_meier_estimator(y["event"][rows], y["time"][rows])
        assert seen[number] == pytest.approx(survival[times <= time][-1])
        assert mean[number] == pytest.approx(said[rows].mean())
    assert (low <= seen).all() and (seen <= high).all()
    early = survival_array(np.ones(48, bool), np.full(48, 9.0))
    assert calibration_at(early, said[:, None], [time], time)[1].tolist() == [1.0] * 4  # nobody has left yet


def test_several_slides_of_a_patient_do_not_narrow_the_observed_survival():
    rng = np.random.default_rng(0)
    y, said = survival_array(rng.random(40) < 0.6, rng.exponential(1000, 40)), 0.3 + rng.uniform(size=40) / 2
    alone = calibration_at(y, said[:, None], [700.0], 700.0)
    slides = rng.permutation(np.repeat(np.arange(40), 3))
    around = said[slides]
    for number in range(40):  # the mean of a patient's slides is what was said of one
        around[slides == number] += [-0.1, 0.0, 0.1]
    several = calibration_at(y[slides], around[:, None], [700.0], 700.0, slides)
    np.testing.assert_allclose(several, alone)


def test_survival_is_not_observed_beyond_the_time_that_a_group_was_followed():
    # Twenty patients who left at 100 to 119, and twenty who died at 300 to 1500.
    y = survival_array(np.repeat([False, True], 20), np.r_[100.0 + np.arange(20), np.linspace(300, 1500, 20)])
    said = np.r_[np.linspace(0.86, 0.95, 20), np.linspace(0.01, 0.4, 20)]
    mean, *observed = calibration_at(y, said[:, None], [1000.0], 1000.0)
    assert mean == pytest.approx([said[20:30].mean(), said[30:].mean(), said[:10].mean(), said[10:20].mean()])
    assert observed[0][:2].tolist() == [0, pytest.approx(0.8)]  # of the first group, all have died
    assert np.isnan(observed)[:, 2:].all()
    seen = calibration_at(y, said[:, None], [119.0], 119.0)[1]
    np.testing.assert_array_equal(seen, [1, 1, np.nan, 1])  # the third was followed until 109


def test_a_group_that_was_not_followed_so_long_is_left_out_of_the_calibration_of_survival():
    run = make_run("survival", n=80)
    table = run.predictions.assign(
        patient=[f"p{i}" for i in range(80)], event=1, time=np.tile(np.linspace(50, 200, 40), 2)
    )
    table.loc[40:, ["event", "time"]] = [0, 40.0]
    said = np.r_[np.linspace(0.1, 0.4, 40), np.linspace(0.6, 0.9, 40)]
    run = dataclasses.replace(run, predictions=table.assign(**{f"survival at {t}": said for t in (30, 100, 150)}))
    page = Page(report_of_run(run).to_html())
    (alt,) = [i["alt"] for i in page.all("img") if i["alt"].startswith("Calibration of survival at time 100")]
    assert alt.count("observed") == 2 and "nan" not in alt
    assert "In 2 of 4 groups, nobody was under observation for so long." in page.text


@pytest.mark.parametrize("task", TASKS)
def test_a_rejection_curve_is_drawn_where_the_members_of_models_are_apart(task):
    run = make_run(task)
    assert "Rejection curve" not in report_of_run(run).to_html()
    run = dataclasses.replace(run, predictions=run.predictions.assign(spread=np.linspace(0, 1, 24)))
    (alt,) = [i["alt"] for i in Page(report_of_run(run).to_html()).all("img") if i["alt"].startswith("Rejection")]
    assert run.kind.metrics[0] in alt
    assert "of 100%" in alt


def test_two_classes_have_a_decision_curve():
    run = make_run("classification")
    alts = [image["alt"] for image in Page(report_of_run(run).to_html()).all("img")]
    (alt,) = [alt for alt in alts if alt.startswith("Decision curve")]
    benefit = net_benefit(run.predictions["target"], run.predictions["probability b"], [0.3])[0]
    assert f"{benefit:.3f} at 0.3" in alt
    assert "Decision curve" not in report_of_run(make_run("classification", n_classes=3)).to_html()


def test_survival_counts_each_comparable_pair_once_for_both_slides():
    table = pd.DataFrame({"slide": list("abc"), "event": [1, 0, 0], "time": [1.0, 2.0, 3.0], "prediction": [2.0, 1, 3]})
    np.testing.assert_allclose(fit_of_slides(RunFolder("survival", table, {})), [0.5, 1, 0])
    alone = RunFolder("survival", table.assign(event=0), {})
    assert np.isnan(fit_of_slides(alone)).all()


@pytest.mark.parametrize("task", TASKS)
def test_a_run_folder_reads_as_it_was_written(task, tmp_path):
    run = make_run(task)
    run.write(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(run.record))
    again = RunFolder.read(tmp_path)
    pd.testing.assert_frame_equal(again.predictions, run.predictions, check_dtype=False)
    assert again.metrics == run.metrics
    assert again.record == run.record
    np.testing.assert_array_equal(again.overlays["s1"], run.overlays["s1"])


@pytest.mark.parametrize("damage", ["run.json", "predictions.csv", "metrics.json", "column"])
def test_a_folder_that_is_no_run_is_refused_by_name(damage, tmp_path):
    run = make_run("regression")
    run.write(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(run.record))
    if damage == "column":
        run.predictions.drop(columns="prediction").to_csv(tmp_path / "predictions.csv")
    else:
        (tmp_path / damage).unlink()
    with pytest.raises(RunFolderError, match="prediction" if damage == "column" else re.escape(str(tmp_path))):
        RunFolder.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("run.json", lambda data: data[: len(data) // 2], "run.json is damaged or cut off: it is not JSON at line 1"),
        ("run.json", lambda data: b"[]", "run.json is damaged: it contains no JSON object"),
        ("run.json", lambda data: b"{}", "one of its files has no 'settings'"),
        ("metrics.json", lambda data: data.decode().encode("utf-16"), "metrics.json is damaged: byte 0 is not text"),
        ("predictions.csv", lambda data: data[:-20], r"predictions.csv: row \d+ has \d cells, but the"),
        (
            "predictions.csv",
            lambda data: b"\n".join(data.splitlines()[:-2]) + b"\n",
            "run.json says .*cut off or edited",
        ),
        ("history.csv", lambda data: data.replace(b"train_", b"tr_"), "history.csv has no column 'train_loss'"),
        ("history.csv", lambda data: data.replace(b"0.", b"x."), "history.csv is damaged: its losses"),
        ("verdict.json", lambda data: b"\0" * 100, "verdict.json is damaged or cut off"),
    ],
)
def test_a_damaged_file_of_a_run_is_named(name, damage, message, tmp_path):
    run = make_run("regression")
    run.write(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps({**run.record, "n_slides": len(run.predictions)}))
    RunFolder.read(tmp_path)
    file = tmp_path / name
    file.write_bytes(damage(file.read_bytes() if file.exists() else b"{}"))
    with pytest.raises(RunFolderError, match=message):
        RunFolder.read(tmp_path)


def test_what_users_wrote_is_text_not_markup():
    report = Report("<script>alert(1)</script>")
    section = report.add_section("a < b").add_text("<b>bold</b>")
    section.add_table(pd.DataFrame({"<i>": ["<img src=x>"]}), caption="<u>")
    section.add_cards([Card("<s>", np.zeros((4, 4, 3), np.uint8), '" onload="x', {"<q>": "<k>"})], title="<em>")
    page = Page(report.to_html())
    assert not {"script", "b", "i", "u", "s", "q", "k", "em"} & {tag for tag, _ in page.tags}
    assert "onload" not in page.all("img")[0]


def test_numbers_are_rounded_and_missing_ones_are_empty():
    table = pd.DataFrame({"name": ["x", "y"], "value": [0.123456, np.nan]})
    html = Report("t").add_section("s").add_table(table, caption="c")
    assert html.blocks[0]["rows"] == [["x", "0.1235"], ["y", ""]]


def test_a_figure_is_drawn_when_it_is_added():
    figure, ax = plt.subplots()
    section = Report("t").add_section("s").add_figure(ax, alt="nothing")
    plt.close(figure)
    assert section.blocks[0]["uri"].startswith("data:image/svg+xml;base64,")


def test_the_same_report_has_the_same_bytes(tmp_path):
    paths = [report_of_run(make_run("regression")).write(tmp_path / name) for name in ("a.html", "b.html")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_the_command_makes_the_report_of_a_folder_again(tmp_path):
    run = make_run("regression")
    run.write(tmp_path)
    (tmp_path / "run.json").write_text(json.dumps(run.record))
    answer = CliRunner().invoke(app, ["report", str(tmp_path), "--title", "Pilot"])
    assert answer.exit_code == 0, answer.output
    assert "<h1>Pilot</h1>" in (tmp_path / "report.html").read_text()


def test_settings_of_the_compression_are_listed_once():
    settings = {"mpp": 0.5, "tissue": "otsu", "compression": {"mpp": 0.5, "tissue": "otsu"}}
    assert _settings(settings) == {"mpp": 0.5, "tissue": "otsu"}
    others = {"mpp": 1.0, "compression": {"mpp": 0.5}}
    assert _settings(others) == others
