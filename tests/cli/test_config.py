"""Options in a file, and options of the training: a run is made again with the same numbers, and mistakes are named."""

import json
import tomllib
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

import sknic.report
from sknic import __version__
from sknic.cli.config import _toml
from sknic.cli.training import Training
from sknic.estimators import PAPER_RECIPE, AttentionMIL, estimator_for
from tests.cli.helpers import run, said

TASKS = ("regression", "classification", "survival")
SCORE = ("--task", "regression", "--target", "score", "--cv", 2, "--device", "cpu")


def test_a_run_is_made_again_from_its_own_options(grids, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    settings = ("--max-steps", 4, "--lr", 0.01, "--n-filters", 4, "--random-state", 3)
    assert run("evaluate", grids / "grids.csv", *SCORE, *settings, "--out", first).exit_code == 0
    kept = tomllib.loads((first / "options.toml").read_text())
    assert (kept["max_steps"], kept["lr"], kept["target"], kept["cv"]) == (4, 0.01, "score", 2)
    assert Path(kept["table"]) == grids / "grids.csv"
    assert "out" not in kept
    assert run("evaluate", "--config", first / "options.toml", "--out", second).exit_code == 0
    tables = [pd.read_csv(folder / "predictions.csv") for folder in (first, second)]
    pd.testing.assert_frame_equal(*tables)
    texts = [(folder / "options.toml").read_text() for folder in (first, second)]
    assert texts[0] == texts[1]


def test_the_command_line_goes_before_the_file(grids, tmp_path):
    (tmp_path / "my.toml").write_text('task = "regression"\ntarget = "score"\nmax-steps = 3\nrandom_state = 1\n')
    options = ("--config", tmp_path / "my.toml", "--max-steps", 2, "--out", tmp_path / "model")
    assert run("fit", grids / "grids.csv", *options).exit_code == 0
    settings = json.loads((tmp_path / "model" / "run.json").read_text())["settings"]
    assert (settings["max_steps"], settings["random_state"]) == (2, 1)


@pytest.mark.parametrize(
    "text, words",
    [
        ("max_step = 3", "my.toml: max_step is not an option of fit; did you mean 'max_steps'?"),
        ("zzz = 3", "my.toml: zzz is not an option of fit; expected some of"),
        ('max_steps = "3"', "my.toml: max_steps = '3': expected a whole number"),
        ("max_steps = 1.5", "my.toml: max_steps = 1.5: expected a whole number"),
        ("max_steps = true", "my.toml: max_steps = True: expected a whole number"),
        ("no_patient = 1", "my.toml: no_patient = 1: expected true or false"),
        ("target = 5", "my.toml: target = 5: expected a text"),
        ('classes = "tumour"', "my.toml: classes = 'tumour': expected a list"),
        ('recipe = "papr"', "'papr': expected default or paper"),
        ("max_steps = ", "my.toml is not a TOML file"),
        (None, "my.toml: No such file or directory"),
    ],
)
def test_a_mistake_in_the_file_is_named(text, words, grids, tmp_path):
    if text is not None:
        (tmp_path / "my.toml").write_text(text)
    options = ("--config", tmp_path / "my.toml", "--task", "regression", "--target", "score")
    result = run("fit", grids / "grids.csv", *options, "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert words.replace(" ", "") in said(result).replace(" ", "")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("value", ['say "hi"\\now', "Zürich 組織 🔬", "line\nbreak\ttab\x01\x7f", "a' b # c", ""])
def test_any_text_is_read_as_it_was_written(value):
    assert tomllib.loads(f"x = {_toml(value)}\ny = {_toml([value, value])}") == {"x": value, "y": [value, value]}


def test_numbers_and_answers_are_read_as_they_were_written():
    values = {"a": 1e-05, "b": 3, "c": True, "d": 0.25}
    assert tomllib.loads("\n".join(f"{name} = {_toml(value)}" for name, value in values.items())) == values


def test_the_papers_recipe_and_attention_reach_the_estimator(grids, tmp_path):
    base = (grids / "grids.csv", "--max-steps", 2, "--device", "cpu")
    paper = ("--task", "classification", "--target", "label", "--recipe", "paper", "--no-balanced")
    assert run("fit", *base, *paper, "--out", tmp_path / "paper").exit_code == 0
    settings = json.loads((tmp_path / "paper" / "run.json").read_text())["settings"]
    found = [settings[name] for name in ("schedule", "lr", "standardize", "max_steps", "balanced")]
    assert found == ["plateau", 0.01, False, 2, False]
    bag = ("--task", "survival", "--module", "attention-mil", "--ties", "breslow")
    assert run("fit", *base, *bag, "--no-hotspot-branch", "--out", tmp_path / "bag").exit_code == 0
    settings = json.loads((tmp_path / "bag" / "run.json").read_text())["settings"]
    assert "AttentionMIL" in settings["module"]
    assert not settings.keys() & {"pooled_branch", "hotspot_branch", "n_filters"}
    refused = run("fit", *base, *bag, "--hotspot-branch", "--out", tmp_path / "other")
    assert refused.exit_code == 2 and "--hotspot-branch has no meaning for --module attention-mil" in refused.output


@pytest.mark.parametrize(
    "options, words",
    [
        (("--balanced",), "--balanced has no meaning for --task regression"),
        (("--ties", "breslow"), "--ties has no meaning for --task regression"),
        (("--ties", "exact"), "'exact': expected efron or breslow"),
        (("--crop-size", "big"), "'big': expected auto or a whole number of cells"),
        (("--module", "vit"), "'vit': expected cnn or attention-mil"),
    ],
)
def test_a_training_option_without_meaning_is_refused(options, words, grids, tmp_path):
    result = run("fit", grids / "grids.csv", *SCORE[:4], *options, "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert words.replace(" ", "") in said(result).replace(" ", "")


def test_a_second_evaluation_in_a_folder_leaves_nothing_of_the_first(grids, tmp_path):
    settings = ("--max-steps", 2, "--n-filters", 4, "--no-patient")
    first = ("--save-model", "--repeats", 2)
    assert run("evaluate", grids / "grids.csv", *SCORE, *settings, *first, "--out", tmp_path).exit_code == 0
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays" / "old.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("mine")
    labels = ("--task", "classification", "--target", "label", "--cv", 2)
    assert run("evaluate", grids / "grids.csv", *labels, *settings, "--out", tmp_path).exit_code == 0
    left = {path.name for path in tmp_path.iterdir()}
    assert not {"model", "overlays", "repeats.csv"} & left
    assert {"notes.txt", "report.html", "options.toml"} <= left


def test_an_evaluation_interrupted_while_it_measures_keeps_its_folds_and_the_earlier_result(
    grids, tmp_path, monkeypatch
):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    arguments = ("evaluate", grids / "grids.csv", *SCORE, "--n-filters", 4, "--out", out)
    assert run(*arguments, "--max-steps", 2).exit_code == 0
    earlier = {path.name: path.read_bytes() for path in out.glob("*.*") if path.is_file()}
    monkeypatch.setattr(sknic.report, "run_of_ensemble", interrupt)
    log = tmp_path / "log.txt"
    assert run(*arguments, "--max-steps", 3, "--log-file", log).exit_code != 0
    told = log.read_text(encoding="utf-8")
    assert "2 finished folds are kept in" in told and "there is no new result in" in told
    assert {name: (out / name).read_bytes() for name in earlier} == earlier


def test_every_parameter_that_decides_a_result_is_an_option_of_the_training():
    parameters = set().union(*(estimator_for(kind)().get_params() for kind in TASKS))
    options = {field.name for field in fields(Training)} | {"random_state", "device"}
    # Threads, verbosity and callbacks are no part of a result that a command line could name.
    assert parameters - options == {"n_threads", "verbose", "callbacks"}


def test_options_reach_the_estimator_in_their_own_types():
    given = {"schedule": "plateau", "min_lr": 1e-4, "patience": 2, "l2": 0.1, "weight_decay": 0.0, "n_crops": 3}
    flags = {"standardize": False, "average_orientations": False, "padding": "valid"}
    params = Training(**given, **flags).estimator("regression").get_params()
    assert {name: params[name] for name in (*given, *flags)} == given | flags
    paper = Training(recipe="paper", lr=0.1).estimator("survival").get_params()
    assert paper["lr"] == 0.1 and {name: paper[name] for name in PAPER_RECIPE} == {**PAPER_RECIPE, "lr": 0.1}


def test_a_training_that_cannot_be_is_refused_before_slides_are_compressed(slides, tmp_path):
    for option, words in {
        ("--lr", -1): "lr=-1.0: expected",
        ("--patience", 2): "patience=2: expected the default",
    }.items():
        result = run("fit", slides / "good.csv", *SCORE[:4], *option, "--out", tmp_path / "model")
        assert result.exit_code == 2 and words in said(result)
    assert not (tmp_path / "model").exists()


def test_the_paper_trains_the_other_network_too():
    assert Training(recipe="paper", module="attention-mil").estimator("regression").module is AttentionMIL


def test_a_file_of_evaluate_serves_fit(grids, tmp_path):
    text = 'task = "regression"\ntarget = "score"\nmax_steps = 2\ncv = 3\nrepeats = 1\nsave_model = true\n'
    (tmp_path / "my.toml").write_text(text)
    result = run("fit", grids / "grids.csv", "--config", tmp_path / "my.toml", "--out", tmp_path / "model")
    assert result.exit_code == 0
    assert "cv, repeats, save_model: ignored, because fit has no such option" in said(result)


def test_options_of_another_version_are_not_silently_filled_with_other_defaults(grids, tmp_path):
    options = ("--task", "regression", "--target", "score", "--max-steps", 2, "--device", "cpu")
    assert run("fit", grids / "grids.csv", *options, "--out", tmp_path / "one").exit_code == 0
    file = tmp_path / "one" / "options.toml"
    again = run("fit", grids / "grids.csv", "--config", file, "--out", tmp_path / "two")
    assert again.exit_code == 0 and "was written by" not in again.output
    file.write_text(file.read_text().replace(f"sknic {__version__}", "sknic 0.0.9"))
    other = run("fit", grids / "grids.csv", "--config", file, "--out", tmp_path / "three")
    assert other.exit_code == 0 and "was written by sknic 0.0.9; this is" in " ".join(other.output.split())
    file.write_text("\n".join(line for line in file.read_text().splitlines() if "Written by" not in line))
    older = run("fit", grids / "grids.csv", "--config", file, "--out", tmp_path / "four")
    assert older.exit_code == 0 and "was written by an earlier sknic; this is" in " ".join(older.output.split())
