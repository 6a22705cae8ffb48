"""The models of the folds are kept and predict together; new slides with a target are an external test; repeats."""

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from sknic import Grid
from sknic.cli.external import fault_of_header
from sknic.cli.model_folder import grids_of, load_model
from sknic.evaluation import estimate, external_survival_scores
from sknic.exceptions import DatasetError, TimeUnitWarning
from sknic.targets import survival_array
from tests.cli.helpers import run, said

QUICK = ("--max-steps", 12, "--n-filters", 4, "--device", "cpu", "--cv", 3)
TASKS = {
    "classification": ("--task", "classification", "--target", "label"),
    "regression": ("--task", "regression", "--target", "score"),
    "survival": ("--task", "survival"),
}


@pytest.fixture(scope="module", params=TASKS)
def kept(request, grids, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "result"
    result = run("evaluate", grids / "grids.csv", *TASKS[request.param], *QUICK, "--save-model", "--out", out)
    assert result.exit_code == 0, result.output
    return request.param, out / "model"


@pytest.fixture
def others(grids, tmp_path):
    """The same grids under other names, of other patients: nobody can tell that they are the same."""
    table = pd.read_csv(grids / "grids.csv")
    for name in table["path"]:
        shutil.copy(grids / name, tmp_path / f"new-{name}")
    table = table.assign(path="new-" + table["path"], patient="q" + table["patient"])
    table.to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


def test_the_mean_of_the_folds_predicts_and_is_measured_against_the_target(kept, others, tmp_path):
    task, model = kept
    out = tmp_path / "predictions.csv"
    result = run("predict", others, "--model", model, "--out", out)
    assert result.exit_code == 0, result.output
    ensemble, _ = load_model(model)
    assert len(ensemble.estimators_) == 3
    table = pd.read_csv(out)
    wanted = ensemble.predict([Grid.read(path) for path in table["slide"]])
    if task == "classification":
        np.testing.assert_array_equal(table["prediction"], wanted)
    else:
        np.testing.assert_allclose(table["prediction"], wanted, rtol=1e-5)
    found = json.loads((tmp_path / "predictions.metrics.json").read_text())
    name = {"classification": "accuracy", "regression": "spearman", "survival": "concordance"}[task]
    truth = {"classification": "label", "regression": "score"}.get(task)
    if truth:
        by_hand = estimate(name, table[truth], table["prediction"], groups=table["patient"])
        assert found[name]["value"] == pytest.approx(by_hand.value)
        assert (found[name]["low"], found[name]["n"]) == (pytest.approx(by_hand.low), 6)
    else:
        y = survival_array(table["event"] == 1, table["time"])
        options = {"groups": table["patient"]}
        loaded = [Grid.read(path) for path in table["slide"]]
        wanted = external_survival_scores(ensemble, loaded, y, ensemble.predict(loaded), **options)
        assert set(wanted) < set(found)
        for name_, by_hand in wanted.items():
            value = np.nan if found[name_]["value"] is None else found[name_]["value"]
            assert value == pytest.approx(by_hand.value, nan_ok=True)
            assert found[name_]["reason"] == by_hand.reason
        assert found["integrated_brier"]["value"] > 0
    assert f"{name:18s}" in result.output
    assert "external test on" in result.output and "12 slides" in result.output
    assert "not scored" not in result.output and "warning" not in result.output


def test_the_number_of_resamples_may_be_chosen_and_is_written_down(grids, others, tmp_path):
    out, predictions = tmp_path / "result", tmp_path / "p.csv"
    arguments = ("evaluate", grids / "grids.csv", *TASKS["regression"], *QUICK, "--save-model", "--bootstrap", 150)
    assert run(*arguments, "--out", out).exit_code == 0
    assert run("predict", others, "--model", out, "--out", predictions, "--bootstrap", 120).exit_code == 0
    options = {"groups": pd.read_csv(grids / "grids.csv")["patient"], "n_resamples": 150}
    found, table = json.loads((out / "metrics.json").read_text())["r2"], pd.read_csv(out / "predictions.csv")
    by_hand = estimate("r2", table["target"], table["prediction"], **options)
    assert (found["low"], found["high"]) == (pytest.approx(by_hand.low), pytest.approx(by_hand.high))
    table = pd.read_csv(predictions)
    by_hand = estimate("r2", table["score"], table["prediction"], groups=table["patient"], n_resamples=120)
    found = json.loads((tmp_path / "p.metrics.json").read_text())["r2"]
    assert (found["low"], found["high"]) == (pytest.approx(by_hand.low), pytest.approx(by_hand.high))
    assert json.loads((tmp_path / "p.run.json").read_text())["settings"]["bootstrap"] == 120
    assert "bootstrap = 150" in (out / "options.toml").read_text()
    assert "intervals by 150 resamples of the patients" in (out / "report.html").read_text()


def test_slides_that_the_model_has_learnt_from_are_no_test_of_it(kept, grids, others, tmp_path):
    task, model = kept
    result = run("predict", grids / "grids.csv", "--model", model, "--out", tmp_path / "seen.csv")
    assert "12 of 12 slides are not scored: the model was trained on them" in result.output
    assert "external test" not in result.output and not (tmp_path / "seen.metrics.json").exists()
    table = pd.read_csv(others)
    table.loc[:3, "path"] = [str(grids / f"grid{i}.h5") for i in range(4)]
    table.loc[4:, "patient"] = pd.read_csv(grids / "grids.csv")["patient"][4:]
    table.to_csv(others, index=False)
    result = run("predict", others, "--model", model, "--out", tmp_path / "some.csv")
    assert "4 of 12 slides are not scored" in result.output and "8 slides" in result.output
    assert "4 of 4 patients, such as 'p2', have the same name as patients that the model was trained on" in said(result)


def test_slides_without_a_target_are_predicted_and_not_measured(kept, grids, tmp_path):
    _, model = kept
    result = run("predict", grids / "grid0.h5", "--model", model, "--out", tmp_path / "one.csv")
    assert result.exit_code == 0
    assert "external test" not in result.output
    assert not (tmp_path / "one.metrics.json").exists()


@pytest.mark.parametrize("empty", ["", "NA", "#REF!"])
def test_rows_without_a_target_are_left_out_of_the_external_test(kept, others, tmp_path, empty):
    task, model = kept
    column = {"regression": "score", "classification": "label", "survival": "event"}[task]
    table = pd.read_csv(others).astype({column: object})
    table.loc[2, column] = empty
    table.to_csv(others, index=False)
    result = run("predict", others, "--model", model, "--out", tmp_path / "p.csv")
    assert "external test on" in result.output and "11 slides" in result.output


def test_one_of_two_columns_of_the_target_is_not_chosen(kept, others, tmp_path):
    task, model = kept
    column = {"regression": "score", "classification": "label", "survival": "event"}[task]
    table = pd.read_csv(others)
    table.insert(len(table.columns), column, table[column], allow_duplicates=True)
    table.to_csv(others, index=False)
    result = run("predict", others, "--model", model, "--out", tmp_path / "p.csv")
    assert f"there are several columns {column!r}" in said(result) and not (tmp_path / "p.metrics.json").exists()


def test_a_target_column_of_another_spelling_is_pointed_out(kept, others, tmp_path):
    task, model = kept
    column = {"regression": "score", "classification": "label", "survival": "event"}[task]
    table = pd.read_csv(others)
    table.rename(columns={column: column.title()}).to_csv(others, index=False)
    result = run("predict", others, "--model", model, "--out", tmp_path / "p.csv")
    assert f"the table calls it {column.title()!r}" in said(result)
    assert result.exit_code == 0 and not (tmp_path / "p.metrics.json").exists()


def test_half_an_outcome_is_pointed_out():
    assert fault_of_header(["path", "event"], ["event", "time"]) == "the table has no column 'time'"
    assert fault_of_header(["path", "time"], ["event", "time"]) == "the table has no column 'event'"
    assert fault_of_header(["path"], ["event", "time"]) == ""  # slides to predict, of which nothing is known
    assert fault_of_header(["path", "time", "event"], ["event", "time"]) is None


@pytest.mark.parametrize("unknown", ["[Not Available]", "Unknown", "#REF!", "-"])
def test_an_unknown_patient_is_not_the_name_of_one(kept, grids, others, tmp_path, unknown):
    _, model = kept
    table = pd.read_csv(others)
    table.loc[4:6, "patient"] = unknown
    table.to_csv(others, index=False)
    result = run("predict", others, "--model", model, "--out", tmp_path / "p.csv")
    assert f"column 'patient' is empty in row 6 and 2 more ({unknown!r} stands for a missing value)" in said(result)
    shutil.copy(others, grids / "unknown.csv")
    with pytest.raises(DatasetError, match=re.escape(f"({unknown!r} stands for a missing value)")):
        run("evaluate", grids / "unknown.csv", *TASKS["regression"], *QUICK, "--out", tmp_path / "result")


def test_a_target_that_cannot_be_read_costs_no_prediction(grids, others, tmp_path):
    model = tmp_path / "model"
    run("fit", grids / "grids.csv", *TASKS["regression"], *QUICK[:6], "--out", model)
    table = pd.read_csv(others).astype({"score": object})
    table.loc[2, "score"] = "high"
    table.loc[3, "score"] = ""
    table.to_csv(tmp_path / "new.csv", index=False)
    result = run("predict", tmp_path / "new.csv", "--model", model, "--out", tmp_path / "predictions.csv")
    assert result.exit_code == 0
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 12
    assert "not scored against 'score'" in said(result) and "'high'" in said(result) and "row 4" in said(result)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"a": "B", "b": "A"},
            "the target contains 'B', 'A' (12 of 12 slides): expected the classes of the model, 'a', 'b'",
        ),
        ({"a": "a", "b": "c"}, "the target contains 'c' (6 of 12 slides): expected the classes of the model, 'a', 'b'"),
    ],
)
def test_classes_of_another_spelling_are_not_taken_in_their_order(words, message, grids, others, tmp_path):
    model = tmp_path / "model"
    run("fit", grids / "grids.csv", *TASKS["classification"], *QUICK[:6], "--out", model)
    table = pd.read_csv(others)
    table.assign(label=table["label"].map(words)).to_csv(others, index=False)
    result = run("predict", others, "--model", model, "--out", tmp_path / "p.csv")
    assert result.exit_code == 0 and message in said(result) and "not scored against 'label'" in said(result)
    assert len(pd.read_csv(tmp_path / "p.csv")) == 12 and not (tmp_path / "p.metrics.json").exists()


def test_the_models_explain_together(kept, grids, tmp_path):
    _, model = kept
    assert run("explain", grids / "grid1.h5", "--model", model, "--out", tmp_path / "maps").exit_code == 0
    assert (tmp_path / "maps" / "grid1.geojson").is_file()


def test_a_result_without_models_says_so(grids, tmp_path):
    run("evaluate", grids / "grids.csv", *TASKS["regression"], *QUICK, "--out", tmp_path / "result")
    with pytest.raises(Exception, match="has no model.safetensors; `sknic evaluate --save-model` keeps models"):
        run("predict", grids / "grid0.h5", "--model", tmp_path / "result", "--out", tmp_path / "one.csv")


def test_the_grids_of_the_evaluation_serve_the_models_that_it_kept(kept, tmp_path):
    _, model = kept
    assert grids_of(model) == model / "grids"
    (model.parent / "grids").mkdir()
    assert grids_of(model) == model.parent / "grids"
    (tmp_path / "grids").mkdir()
    (tmp_path / "model").mkdir()
    assert grids_of(tmp_path / "model") == tmp_path / "model" / "grids"  # that of `sknic fit`


def test_the_grids_that_the_options_of_a_run_name_serve_its_model(tmp_path):
    elsewhere, model, fold = tmp_path / "grids", tmp_path / "model", tmp_path / "result" / "model"
    for folder in (model, fold):
        folder.mkdir(parents=True)
    (fold / "fold_0.safetensors").write_text("")
    for run_folder, of in ((model, model), (fold.parent, fold)):
        (run_folder / "options.toml").write_text(f'grids = "{elsewhere}"')
        assert grids_of(of) == of / "grids"  # it is not there
    elsewhere.mkdir()
    assert grids_of(model) == grids_of(fold) == elsewhere
    (fold.parent / "options.toml").write_text("damaged")
    assert grids_of(fold) == fold / "grids"


def test_repeats_are_other_seeds(grids, tmp_path):
    options = (*TASKS["regression"], *QUICK, "--random-state", 4)
    result = run("evaluate", grids / "grids.csv", *options, "--repeats", 3, "--out", tmp_path / "three")
    assert result.exit_code == 0, result.output
    rows = pd.read_csv(tmp_path / "three" / "repeats.csv")
    assert list(rows["random_state"]) == [4, 5, 6]
    run("evaluate", grids / "grids.csv", *options[:-1], 5, "--out", tmp_path / "one")
    alone = json.loads((tmp_path / "one" / "metrics.json").read_text())["spearman"]["value"]
    assert rows["value"][1] == pytest.approx(alone)
    assert "of 3 repeats" in result.output


def test_the_folder_of_the_result_is_as_good_as_that_of_its_models(kept, grids, tmp_path):
    _, model = kept
    for name, folder in (("inner", model), ("result", model.parent)):
        result = run("predict", grids / "grids.csv", "--model", folder, "--out", tmp_path / f"{name}.csv")
        assert result.exit_code == 0, result.output
    assert (tmp_path / "inner.csv").read_bytes() == (tmp_path / "result.csv").read_bytes()


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_an_event_is_in_the_external_test_what_it_was_in_the_training(command, grids, others, tmp_path):
    reversed_ = {}
    for name, path in (("learnt", grids / "grids.csv"), ("new", others)):
        table = pd.read_csv(path)
        table["path"] = [str(path.parent / each) for each in table["path"]]
        reversed_[name] = tmp_path / f"{name}-reversed.csv"
        table.assign(event=1 - table["event"]).to_csv(reversed_[name], index=False)
    if command == "fit":
        model, options = tmp_path / "result", ("--max-steps", 12, "--n-filters", 4, "--device", "cpu")
    else:
        model, options = tmp_path / "result" / "model", (*QUICK, "--save-model")
    arguments = (reversed_["learnt"], *TASKS["survival"], "--event-value", 0, *options, "--out", tmp_path / "result")
    assert run(command, *arguments).exit_code == 0
    result = run("predict", reversed_["new"], "--model", model, "--out", tmp_path / "p.csv")
    assert "event: 0 = event (8), 1 = no event (4)" in result.output
    found = json.loads((tmp_path / "p.metrics.json").read_text())["concordance"]
    risk, table = pd.read_csv(tmp_path / "p.csv")["prediction"], pd.read_csv(others)
    by_hand = estimate("concordance", survival_array(table["event"] == 1, table["time"]), risk, groups=table["patient"])
    assert found["value"] == pytest.approx(by_hand.value)


def test_an_external_test_in_months_of_a_model_of_days_is_doubted(grids, others, tmp_path):
    table = pd.read_csv(grids / "grids.csv")
    days = table.assign(path=[str(grids / path) for path in table["path"]], time=30.4 * table["time"])
    days.to_csv(tmp_path / "days.csv", index=False)
    options = (*TASKS["survival"], "--max-steps", 12, "--n-filters", 4, "--device", "cpu")
    assert run("fit", tmp_path / "days.csv", *options, "--out", tmp_path / "model").exit_code == 0
    with pytest.warns(TimeUnitWarning, match="the median time is 3.5 here and 106.4 in the training of the model"):
        run("predict", others, "--model", tmp_path / "model", "--out", tmp_path / "p.csv")
    assert "concordance" in json.loads((tmp_path / "p.metrics.json").read_text())


@pytest.fixture
def regressor(grids, tmp_path):
    """A model whose patients are in a column that nobody would take for patients."""
    table = pd.read_csv(grids / "grids.csv")
    table = table.assign(path=[str(grids / path) for path in table["path"]]).rename(columns={"patient": "drawer"})
    table.to_csv(tmp_path / "learnt.csv", index=False)
    model, options = tmp_path / "model", (*TASKS["regression"], *QUICK[:6], "--patient", "drawer")
    assert run("fit", tmp_path / "learnt.csv", *options, "--out", model).exit_code == 0
    return model


def scored(model, table, path):
    """What `predict` says of a table, and the interval of its correlation (None if it was not scored)."""
    table.to_csv(path, index=False)
    result = run("predict", path, "--model", model, "--out", path.with_name("p.csv"))
    assert result.exit_code == 0 and len(pd.read_csv(path.with_name("p.csv"))) == len(table)
    metrics = path.with_name("p.metrics.json")
    return said(result), json.loads(metrics.read_text())["spearman"] if metrics.exists() else None


def test_the_external_test_resamples_the_patients_of_the_training(regressor, others):
    table = pd.read_csv(others).rename(columns={"patient": "drawer"})
    message, found = scored(regressor, table, others)
    assert "intervals resample 'drawer'" in message and found["n"] == 6


def test_patients_of_an_external_test_may_be_named_by_the_files(regressor, others):
    table = pd.read_csv(others).drop(columns="patient")
    names = [f"TCGA-AA-00{i // 2:02d}-01Z-00-DX{i % 2 + 1}.h5" for i in range(12)]
    for old, new in zip(table["path"], names):
        (others.parent / old).rename(others.parent / new)
    message, found = scored(regressor, table.assign(path=names), others)
    assert "intervals resample the TCGA patients in the file names" in message and found["n"] == 6


def test_metrics_of_earlier_predictions_do_not_stay_beside_new_ones(regressor, others):
    table = pd.read_csv(others)
    assert scored(regressor, table, others)[1] is not None
    assert scored(regressor, table.drop(columns="score"), others)[1] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patient": ["q1"] * 11 + [""]}, "the table: column 'patient' is empty in row 13"),
        ({"path": ["new-grid0.h5"] * 2 + [f"new-grid{i}.h5" for i in range(2, 12)]}, "rows 2, 3 are one slide"),
    ],
)
def test_an_external_test_that_cannot_be_right_is_not_made(change, message, regressor, others):
    said_, found = scored(regressor, pd.read_csv(others).assign(**change), others)
    assert "not scored against 'score'" in said_ and message in said_ and found is None
