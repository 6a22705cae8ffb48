"""What comes in at the command line is understood, or named for what it is, whatever its letters and its words."""

import os

import pandas as pd
import pytest

from sknic import Grid

from .helpers import failing, program, run, said

ONE_STEP = ("--max-steps", "1")


@pytest.fixture
def table(grids, tmp_path):
    """Write grids.csv with some columns changed, and whole paths."""

    def write(**columns):
        frame = pd.read_csv(grids / "grids.csv", dtype=str)
        frame["path"] = [str(grids / path) for path in frame["path"]]
        path = tmp_path / "table.csv"
        frame.assign(**columns).to_csv(path, index=False)
        return path

    return write


@pytest.mark.parametrize("column", ["censored", "alive"])
def test_a_column_of_the_opposite_of_events_needs_the_value_of_an_event(column, table, tmp_path):
    path = table(**{column: ["1", "0"] * 6})
    arguments = ("fit", path, "--task", "survival", "--event", column, "--out", tmp_path / "model", *ONE_STEP)
    result = failing(*arguments)
    assert result.returncode == 1 and "no event" in result.stderr and "--event-value" in result.stderr
    result = run(*arguments, "--event-value", "0", "--no-patient")
    assert f"{column}: 0 = event (6), 1 = no event (6)" in result.output and result.exit_code == 0


def test_survival_that_differs_within_a_patient_is_said_and_loses_nothing(table, tmp_path):
    path = table(time=[str(i + 1) for i in range(12)])
    result = run("evaluate", path, "--task", "survival", "--cv", "2", "--out", tmp_path / "result", *ONE_STEP)
    assert result.exit_code == 0, result.output
    assert "6 of 6 patients in 'patient' have slides with different targets" in result.output
    assert len(pd.read_csv(tmp_path / "result" / "predictions.csv")) == 12
    assert (tmp_path / "result" / "report.html").exists()


@pytest.mark.parametrize("seed", range(4))
def test_two_events_of_twelve_are_enough_for_folds(seed, table, tmp_path):
    path = table(event=["1" if i in (0, 7) else "0" for i in range(12)], time=[str(i // 2 + 1) for i in range(12)])
    options = ("--cv", "2", "--random-state", seed, "--no-patient", "--out", tmp_path / "result")
    result = run("evaluate", path, "--task", "survival", *options, *ONE_STEP)
    assert result.exit_code == 0, result.output
    assert "12 slides of 12 patients; 2 slides with an event, 10 censored" in result.output


def test_patients_that_are_named_and_denied_are_refused(table, tmp_path):
    arguments = ("--task", "classification", "--target", "label", "--patient", "patient", "--no-patient")
    result = run("fit", table(), *arguments, "--out", tmp_path / "m", *ONE_STEP)
    assert result.exit_code == 2 and "--patient patient and --no-patient contradict each other" in said(result)


def test_two_columns_of_patients_are_not_overlooked(table, tmp_path):
    path = table()
    path.write_text(path.read_text().replace("score", "patient", 1))
    result = failing("fit", path, "--task", "classification", "--target", "label", "--out", tmp_path / "m", *ONE_STEP)
    assert result.returncode == 1 and "2 columns named 'patient'; rename all but one" in result.stderr


def test_a_patient_column_that_divides_patients_is_doubted(grids, table, tmp_path):
    path = table(slide=[f"slide{i}" for i in range(12)])
    task = ("--task", "classification", "--target", "label", "--out", tmp_path / "out", *ONE_STEP)
    result = run("fit", path, *task, "--patient", "slide")
    assert "warning: --patient slide divides 6 of 6 values of 'patient'" in said(result)
    assert "divides" not in said(run("fit", path, *task, "--patient", "patient"))


def test_two_grids_of_one_slide_are_not_two_slides(grids, table, tmp_path):
    first = Grid.read(grids / "grid0.h5")
    for name, stride in (("a", 64), ("b", 64)):
        header = {"mpp": 0.5, "patch_size": 64, "stride": stride, "slide_mpp": 0.25, "slide": "/slides/case.svs"}
        Grid(first.embeddings + ord(name), first.cells, first.shape, **header).write(tmp_path / f"{name}.h5")
    frame = pd.read_csv(table(), dtype=str)
    frame.loc[:1, "path"] = ["a.h5", "b.h5"]
    frame.to_csv(tmp_path / "table.csv", index=False)
    for command in ("fit", "evaluate"):
        options = ("--task", "classification", "--target", "label", "--out", tmp_path / command, *ONE_STEP)
        result = failing(command, tmp_path / "table.csv", *options)
        assert result.returncode == 1 and "a.h5 and " in result.stderr
        assert "b.h5 are grids of the same slide; keep one row per slide" in result.stderr


@pytest.mark.parametrize(
    ("command", "out", "message"),
    [
        ("fit", "file", "is a file; expected the name of a folder"),
        ("evaluate", "file", "is a file; expected the name of a folder"),
        ("predict", "folder", "is a folder; expected the name of a file"),
        ("predict", "file/p.csv", "cannot be written: Not a directory"),
        ("compress", "file", "is a file; expected the name of a folder"),
        ("explain", "file", "is a file; expected the name of a folder"),
    ],
)
def test_where_a_result_cannot_be_written_no_work_is_begun(command, out, message, grids, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    task = ("--task", "regression", "--target", "score") if command in ("fit", "evaluate") else ()
    model = ("--model", tmp_path / "no-model") if command in ("predict", "explain") else ()
    result = run(command, grids / "grids.csv", *task, *model, "--out", tmp_path / out)
    assert result.exit_code == 2 and message in said(result).replace("- ", "-")


def test_one_column_is_not_two_things(table, tmp_path):
    options = ("--target", "label", "--patient", "label", "--out", tmp_path / "model")
    result = run("fit", table(), "--task", "classification", *options)
    assert result.exit_code == 2 and "--patient and --target name the same column" in said(result)


def test_a_kind_that_is_nearly_right_is_named(table, tmp_path):
    result = run("fit", table(), "--task", "classifcation", "--target", "label", "--out", tmp_path / "model")
    assert result.exit_code == 2 and "did you mean 'classification'?" in said(result)


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        pytest.param({"PYTHONIOENCODING": "ascii"}, marks=pytest.mark.slow),
        pytest.param({"LC_ALL": "xx_YY.UTF-8"}, marks=pytest.mark.slow),
    ],
)
def test_letters_that_the_locale_lacks_do_no_harm(environment, grids, tmp_path):
    folder = os.fsencode(tmp_path)
    rows = [b"path,case,label"]
    for i in range(6):
        name = b"M\xfcller.h5" if i == 0 else f"łódź {i}.h5".encode()  # one of a Latin-1 disk
        with open(folder + b"/" + name, "wb") as file:
            file.write((grids / f"grid{i}.h5").read_bytes())
        rows.append(b"%s,%d,%s" % (name, i, "äb"[i % 2].encode()))
    (tmp_path / "t.csv").write_bytes(b"\n".join(rows))
    options = ("--task", "classification", "--target", "label", "--out", "model", *ONE_STEP)
    env = {**os.environ, **environment}
    result = program("fit", "t.csv", *options, cwd=tmp_path, env=env)
    assert result.returncode == 0, result.stderr
    result = program("predict", "t.csv", "--model", "model", "--out", "p.csv", cwd=tmp_path, env=env)
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "p.csv").read_bytes().splitlines()
    assert "probability ä".encode() in lines[0] and b"M\xfcller.h5" in lines[1] and "łódź 5".encode() in lines[6]
