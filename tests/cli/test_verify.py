"""A model's folder can be audited: any change is found, and external tests are added to its card, below the rest."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from sknic.cli.model_folder import is_of_model, load_model
from sknic.exceptions import ModelFileError
from sknic.files.digests import changed_files, read_digests, renew_digest, seal_of, write_digests
from sknic.report import RunFolder
from sknic.report.tripod import ITEMS
from sknic.report.verification import check_metrics, check_predictions, check_splits, measure
from tests.cli.helpers import run, said

QUICK = ("--max-steps", 12, "--n-filters", 4, "--device", "cpu")
TASKS = {
    "classification": ("--task", "classification", "--target", "label"),
    "regression": ("--task", "regression", "--target", "score"),
    "survival": ("--task", "survival"),
}


@pytest.fixture(scope="module")
def results(grids, tmp_path_factory):
    """The folder of an evaluation for each kind of target, with its models."""
    folder = tmp_path_factory.mktemp("results")
    for task, options in TASKS.items():
        arguments = (*options, *QUICK, "--cv", 3, "--save-model", "--out", folder / task)
        assert run("evaluate", grids / "grids.csv", *arguments).exit_code == 0
    return folder


@pytest.fixture
def model(results, tmp_path):
    """A copy of a model's folder, to be changed."""
    return shutil.copytree(results / "regression" / "model", tmp_path / "model")


def test_slides_are_found_from_another_folder(grids, tmp_path, monkeypatch):
    monkeypatch.chdir(grids)
    out = tmp_path / "result"
    arguments = (*TASKS["regression"], *QUICK, "--max-steps", 2, "--cv", 2, "--save-model", "--out", out)
    assert run("evaluate", "grids.csv", *arguments).exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert "12 of 12 computed again by the model of their fold" in run("verify", out).output


@pytest.mark.parametrize("task", TASKS)
def test_a_folder_that_nobody_touched_is_right(results, task):
    result = run("verify", results / task)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == [
        "ok    files",
        "ok    splits",
        "ok    metrics",
        "ok    predictions",
    ]
    assert "12 of 12 computed again by the model of their fold, and the same" in lines[3]
    assert lines[4] == f"seal {seal_of(results / task / 'model')}"
    evaluation = RunFolder.read(results / task / "model" / "evaluation")
    assert measure(evaluation).keys() == evaluation.metrics.keys()


def test_intervals_of_other_resamples_are_verified_with_as_many(grids, tmp_path):
    arguments = (*TASKS["regression"], *QUICK, "--cv", 3, "--bootstrap", 100, "--save-model", "--out", tmp_path / "out")
    assert run("evaluate", grids / "grids.csv", *arguments).exit_code == 0
    result = run("verify", tmp_path / "out")
    assert result.exit_code == 0, result.output


def files_of(results):
    return sorted(read_digests(results / "regression" / "model"))


def test_a_change_of_any_file_is_found(results, model):
    for name in files_of(results):
        path = model / name
        before = path.read_bytes()
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        assert changed_files(model, is_of_model) == {name: "is not as it was written"}
        path.unlink()
        assert changed_files(model, is_of_model) == {name: "is missing"}
        path.write_bytes(before)
    assert changed_files(model, is_of_model) == {}


@pytest.mark.parametrize("name", ["fold_1.safetensors", "evaluation/predictions.csv", "run.json"])
def test_the_command_names_what_is_damaged_even_where_nothing_can_be_read(model, name):
    (model / name).write_bytes((model / name).read_bytes()[:-9])
    result = run("verify", model)
    assert result.exit_code == 1
    assert f"WRONG files: {name} is not as it was written" in said(result)


def test_files_that_were_added_to_the_model_are_found_and_others_are_not_its(model):
    (model / "notes.txt").write_text("mine")
    assert run("verify", model).exit_code == 0
    shutil.copy(model / "fold_0.safetensors", model / "fold_3.safetensors")
    result = run("verify", model)
    assert result.exit_code == 1
    assert "fold_3.safetensors was added" in result.output


def edit(model, name, change):
    """Change a file of a model and its digest, as one who knows how."""
    path = model / name
    path.write_text(change(path.read_text()))
    renew_digest(model, name)


def test_a_metric_that_was_made_better_with_its_digest_is_found(model):
    def better(text):
        metrics = json.loads(text)
        metrics["r2"]["value"] = 0.9
        return json.dumps(metrics)

    edit(model, "evaluation/metrics.json", better)
    result = run("verify", model)
    assert result.exit_code == 1
    assert "ok    files" in result.output and "WRONG metrics: r2 is 0.900" in result.output


def test_predictions_that_were_made_better_with_everything_that_follows_are_found(model):
    path = model / "evaluation" / "predictions.csv"
    table = pd.read_csv(path, dtype=str)
    table.loc[4, "prediction"] = table.loc[4, "target"]
    edit(model, "evaluation/predictions.csv", lambda _: table.to_csv(index=False))
    metrics = {name: found.__dict__ for name, found in measure(RunFolder.read(model / "evaluation")).items()}
    edit(model, "evaluation/metrics.json", lambda _: json.dumps(metrics))
    result = run("verify", model)
    assert result.exit_code == 1
    assert "ok    metrics" in result.output
    assert "WRONG predictions: 1 of 12 differ, for instance that of" in said(result) and "grid4.h5" in said(result)


def test_models_that_traded_places_are_found(model):
    first, second = (model / f"fold_{fold}.safetensors" for fold in (0, 1))
    content = first.read_bytes()
    shutil.copy(second, first)
    second.write_bytes(content)
    write_digests(model)
    assert "WRONG predictions" in run("verify", model).output


def test_a_patient_or_a_slide_in_two_folds_is_found(model):
    evaluation = RunFolder.read(model / "evaluation")
    assert check_splits(evaluation).is_right
    evaluation.predictions.loc[1, "fold"] += 1  # the other slide of its patient stays
    found = check_splits(evaluation)
    assert found.is_right is False and "1 in two folds, by patient, for instance 'p0'" in found.text
    table = evaluation.predictions.drop(columns="patient").assign(digest=["a", "b", "c", "a", *"efghijkl"])
    table["fold"] = np.arange(12) % 3 == 0
    found = check_splits(RunFolder("regression", table.astype({"fold": int}), evaluation.metrics))
    assert "by digest" not in found.text and found.is_right
    table["fold"] = np.arange(12) % 2
    assert "by digest, for instance 'a'" in check_splits(RunFolder("regression", table, {})).text


def test_a_metric_that_is_missing_is_found(model):
    evaluation = RunFolder.read(model / "evaluation")
    evaluation.metrics.pop("spearman")
    assert "spearman is missing, but the predictions give " in check_metrics(evaluation).text


def test_the_seal_shows_whether_anything_has_changed_since(model):
    seal = seal_of(model)
    assert "ok    seal: the one that was given" in run("verify", model, "--seal", seal).output
    edit(model, "run.json", lambda text: text + "\n")
    result = run("verify", model, "--seal", seal)
    assert result.exit_code == 1
    assert f"WRONG seal: {seal} was given" in said(result)
    assert seal_of(model) != seal


def test_without_grids_the_predictions_are_not_computed_again(model):
    estimator, _ = load_model(model)
    evaluation = RunFolder.read(model / "evaluation")
    found = check_predictions(evaluation, estimator, np.full(12, None))
    assert found.is_right is None and "no grid of these slides is available" in found.text


def test_what_was_never_sealed_cannot_be_verified(model):
    (model / "digests.json").unlink()
    with pytest.raises(ModelFileError, match=r"digests.json: no such file; models of earlier versions have none"):
        run("verify", model)


def test_a_model_of_fit_has_a_card_and_digests_and_no_folds(grids, tmp_path):
    out = tmp_path / "model"
    assert run("fit", grids / "grids.csv", *TASKS["survival"], *QUICK, "--out", out).exit_code == 0
    result = run("verify", out)
    assert result.exit_code == 0, result.output
    assert "n/a   evaluation: the model learnt from all slides, and has no folds" in result.output
    card = (out / "model_card.md").read_text()
    assert "| none | the model learnt from all slides; nothing was held out to measure it |" in card
    assert "| Slides with event | 8 |" in card


@pytest.mark.parametrize("task", TASKS)
def test_the_card_says_what_was_measured_and_answers_every_item_of_tripod(results, task):
    card = (results / task / "model" / "model_card.md").read_text()
    evaluation = RunFolder.read(results / task)
    first = evaluation.metrics[evaluation.kind.metrics[0]]
    assert f"| {first.value:.3f} | {first.low:.3f} to {first.high:.3f} (95%) | 6 patients |" in card
    assert "| patients | 6, each tested in one fold; in two folds: 0 |" in card
    assert "| license | to be written by the authors |" in card  # grids do not say whose encoder it was
    for number, topic in ITEMS.items():
        assert f"\n| {number} | {topic} | " in card
    assert "| 17 | Ethical approval | to be written by the authors |" in card
    assert "Ethical approval" in (results / task / "report.html").read_text()


def test_external_tests_are_added_below_and_the_card_stays(model, grids, tmp_path):
    table = pd.read_csv(grids / "grids.csv")
    for name in table["path"]:
        shutil.copy(grids / name, tmp_path / f"new-{name}")
    table.assign(path="new-" + table["path"], patient="q" + table["patient"]).to_csv(tmp_path / "new.csv", index=False)
    before = (model / "model_card.md").read_text()
    arguments = ("predict", tmp_path / "new.csv", "--model", model, "--out", tmp_path / "out.csv", "--to-card")
    assert "added the external test to" in run(*arguments).output
    once = (model / "model_card.md").read_text()
    assert once.startswith(before) and "## External test 1" in once[len(before) :]
    value = json.loads((tmp_path / "out.metrics.json").read_text())["spearman"]["value"]
    assert f"| spearman | {value:.3f} [" in once[len(before) :]
    assert "| slides | 12 |" in once[len(before) :] and "| patients | 6 |" in once[len(before) :]
    run(*arguments)
    twice = (model / "model_card.md").read_text()
    assert twice.startswith(once) and "## External test 2" in twice[len(once) :]
    assert run("verify", model).exit_code == 0
    (model / "model_card.md").write_text(twice.replace("External test 1", "External test 0"))
    assert "model_card.md is not as it was written" in run("verify", model).output
    with pytest.raises(ModelFileError, match="was changed after sknic wrote it, so nothing is added to it"):
        run(*arguments)


def test_slides_without_a_target_add_nothing_and_it_is_said(model, grids, tmp_path):
    before = (model / "model_card.md").read_bytes()
    result = run("predict", grids / "grid0.h5", "--model", model, "--out", tmp_path / "one.csv", "--to-card")
    assert "nothing is added to the model card, because no prediction could be scored" in said(result)
    assert (model / "model_card.md").read_bytes() == before
