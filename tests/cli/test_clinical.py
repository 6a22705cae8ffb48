"""evaluate --clinical: the columns as they were understood, and what the slide adds to them."""

import json

import numpy as np
import pandas as pd
import pytest
import typer

from sknic.cli.clinical import clinical_columns
from tests.cli.helpers import run, said

QUICK = ("--task", "regression", "--target", "score", "--max-steps", 4, "--n-filters", 4, "--device", "cpu", "--cv", 3)


@pytest.fixture
def table(grids, tmp_path):
    """The score is known to the table, and not to the grids."""
    frame = pd.read_csv(grids / "grids.csv")
    frame["path"] = [str(grids / name) for name in frame["path"]]
    frame["age"] = 40 + 30 * frame["score"] + np.arange(len(frame)) % 2  # nearly the target, which would be refused
    frame["stage"] = np.where(frame["score"] > 0.5, "III", "I")
    frame.loc[3, "stage"] = "[Not Available]"
    frame.to_csv(tmp_path / "clinic.csv", index=False)
    return tmp_path / "clinic.csv"


def test_the_three_are_compared_and_written(table, tmp_path):
    result = run("evaluate", table, *QUICK, "--clinical", "age, stage", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "'age', numbers, 0 missing" in result.output and "'stage', 2 words, 1 missing" in result.output
    found = json.loads((tmp_path / "out" / "added_value.json").read_text())
    scores = {name: score["value"] for name, score in found["scores"].items()}
    assert scores["clinical data alone"] > 0.9
    gain = scores["both"] - scores["clinical data alone"]
    assert found["differences"]["the slide adds"]["value"] == pytest.approx(gain)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "What the slide adds to clinical data" in page and found["sentence"].split(":")[0] in page
    assert found["sentence"] in said(result)
    assert len(pd.read_csv(tmp_path / "out" / "added_value.csv")) == 12


def test_the_arrangement_is_tested_on_request_and_stands_in_the_report(table, tmp_path):
    result = run("evaluate", table, *QUICK, "--arrangement", "--out", tmp_path / "out", "--bootstrap", 100)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "arrangement.json").read_text())
    scores = {name: score["value"] for name, score in found["scores"].items()}
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert scores["cells in place"] == pytest.approx(metrics["spearman"]["value"])
    lost = scores["cells in place"] - scores["attention over the bag"]
    assert found["differences"]["in place, less attention"]["value"] == pytest.approx(lost)
    assert found["sentence"] in said(result)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Whether the arrangement of tissue is used" in page
    (tmp_path / "out" / "report.html").unlink()
    assert run("report", tmp_path / "out").exit_code == 0
    assert (tmp_path / "out" / "report.html").read_text() == page
    assert run("evaluate", table, *QUICK, "--out", tmp_path / "out").exit_code == 0
    assert not (tmp_path / "out" / "arrangement.json").exists()  # of the earlier evaluation


@pytest.mark.parametrize(
    "names, words",
    [
        ("age,score", "'score' is the path, the patient or the target"),
        (" , ", "names no column"),
        ("Age", "'Age'"),
    ],
)
def test_a_column_that_is_not_clinical_data_is_named_before_anything_is_trained(names, words, table, tmp_path):
    result = run("evaluate", table, *QUICK, "--clinical", names, "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert words in said(result)
    assert not (tmp_path / "out" / "predictions.csv").exists()


def test_an_id_among_clinical_data_is_doubted(table, capsys):
    frame = pd.read_csv(table, dtype=str).assign(sample=[f"S{i}" for i in range(12)])
    frame.to_csv(table, index=False)
    columns = clinical_columns(table, "sample,age", ["score"])
    assert "'sample' has a different word in most rows" in capsys.readouterr().err
    assert columns["age"].dtype == float


def test_codes_among_clinical_numbers_are_pointed_out_and_spellings_refused(table, capsys):
    frame = pd.read_csv(table)
    frame["age"] = [-9, *range(50, 49 + len(frame))]
    frame["sex"] = ["F", "f", *["M"] * (len(frame) - 2)]
    frame.to_csv(table, index=False)
    clinical_columns(table, "age", ["path"])
    assert "warning: age: -9 (1) counts as a number" in capsys.readouterr().err
    with pytest.raises(typer.BadParameter, match="'F' and 'f' differ only in case"):
        clinical_columns(table, "sex", ["path"])
