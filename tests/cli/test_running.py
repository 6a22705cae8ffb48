"""Long commands: a log of what is printed, and Ctrl-C that says what is kept and how to go on."""

import os
import re
import shutil
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image

from .helpers import program, run, said

LONG = ("demo", "make-cohort", "train-encoder", "compress", "fit", "evaluate", "predict", "explain")


@pytest.mark.parametrize("command", LONG)
def test_every_long_command_takes_a_log(command):
    assert "--log-file" in said(run(command, "--help"))


def test_what_is_printed_is_appended_with_the_time(slides, tmp_path):
    log, options = tmp_path / "new" / "log.txt", ("--encoder", slides / "encoder.safetensors")
    arguments = ["compress", slides / "good.csv", "--out", tmp_path / "grids", *options, "--log-file", log]
    first = program(*arguments)
    assert first.returncode == 0, first.stderr
    lines = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  \S", line) for line in lines)
    words = [line[21:] for line in lines]
    assert words[0].startswith("$ python -m sknic.cli compress ")
    assert sorted(words[1:]) == sorted([*first.stdout.splitlines(), *first.stderr.splitlines()])
    assert any(word.startswith("slides: 4 of 4 in ") for word in words)
    program(*arguments)
    assert log.read_text().splitlines()[: len(lines)] == lines
    assert log.read_text().count("compress ") == 2


def test_a_failure_stands_in_the_log(tmp_path):
    log = tmp_path / "log.txt"
    result = program("predict", tmp_path, "--model", tmp_path, "--out", tmp_path / "a.csv", "--log-file", log)
    assert result.returncode == 2 and "no slides and no grids in the folder" in result.stderr
    assert result.stderr.split(": ", 1)[1].partition(" See ")[0] in log.read_text()


def test_a_log_that_cannot_be_written_is_refused_before_the_work(slides, tmp_path):
    out = tmp_path / "grids"
    result = run("compress", slides / "good.csv", "--out", out, "--log-file", tmp_path)
    assert result.exit_code == 2 and "cannot be written: Is a directory" in said(result)
    assert not out.exists()


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """Forty patches in two classes."""
    folder, random = tmp_path_factory.mktemp("patches"), np.random.default_rng(0)
    for label, color in (("dark", 60), ("light", 180)):
        (folder / "tone" / label).mkdir(parents=True)
        for i in range(20):
            pixels = random.normal(color, 20, (31, 31, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "tone" / label / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def model(grids, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    task = ("--task", "classification", "--target", "label", "--max-steps", 4)
    assert run("fit", grids / "grids.csv", *task, "--out", folder).exit_code == 0
    return folder


def interrupted(after, *arguments):
    """Run the program, send it SIGINT when it has printed `after`, and return its exit status and output."""
    command = [sys.executable, "-u", "-m", "sknic.cli", *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    # What runs in the background of a script inherits that SIGINT is ignored.
    streams["preexec_fn"] = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, **streams, start_new_session=True) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if after in line:
                break
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to workers too
        lines += process.stdout
    return process.returncode, lines


def check(code, lines, arguments, *kept):
    """One message, the last line: what is kept, and the command as it was typed."""
    text = "".join(lines)
    assert code == 130, text
    assert "Traceback" not in text
    assert text.count("interrupted") == 1
    last = lines[-1].strip()
    assert last.startswith("sknic: interrupted: ") and all(one in last for one in kept), last
    assert last.endswith(" ".join(["To continue: python -m sknic.cli", *map(str, arguments)]))


FOREVER = ("--max-steps", 100_000, "--device", "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_compress_keeps_grids(n_jobs, slides, tmp_path):
    copies = tmp_path / "slides"
    copies.mkdir()
    for i in range(60):
        shutil.copy(slides / "slide_0000.tiff", copies / f"{i}.tiff")
    sizes = ("--stride", 32)
    arguments = ("compress", copies, "--out", tmp_path / "grids", *sizes, "--n-jobs", n_jobs)
    code, lines = interrupted("slides: ", *arguments)
    check(code, lines, arguments, f"kept in {tmp_path / 'grids'}")
    n_kept = int(re.search(r"(\d+) compressed slide", lines[-1])[1])
    assert n_kept == len(list((tmp_path / "grids").glob("*.h5"))) > 0
    again = run("compress", copies, "--out", tmp_path / "grids", *sizes, "--dry-run")
    assert f"'cached': {n_kept}" in said(again)


def test_evaluate_says_that_nothing_is_in_the_folder(grids, tmp_path):
    task = ("--task", "classification", "--target", "label")
    arguments = ("evaluate", grids / "grids.csv", *task, "--out", tmp_path / "out", *FOREVER)
    check(*interrupted("cross-validation of", *arguments), arguments, f"no new result in {tmp_path / 'out'}")
    assert not (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.slow
def test_evaluate_goes_on_with_the_next_fold(grids, tmp_path):
    out = tmp_path / "out"
    task = ("--task", "regression", "--target", "score", "--max-steps", 300, "--n-filters", 4, "--cv", 3)
    arguments = ("evaluate", grids / "grids.csv", *task, "--device", "cpu", "--out", out)
    check(*interrupted("folds: 1 of 3", *arguments), arguments, f"1 finished fold is kept in {out / '.folds'}")
    whole = run(*arguments[:-1], tmp_path / "other")
    assert whole.exit_code == 0
    again = run(*arguments)
    assert again.exit_code == 0 and not (out / ".folds").exists()
    # What the kept fold took is not spent again, and its predictions are those of an evaluation without interruption.
    assert (out / "predictions.csv").read_bytes() == (tmp_path / "other" / "predictions.csv").read_bytes()


@pytest.mark.slow
def test_evaluate_keeps_its_predictions_while_it_repeats(grids, tmp_path):
    task = ("--task", "classification", "--target", "label", "--repeats", 100, "--max-steps", 4)
    arguments = ("evaluate", grids / "grids.csv", *task, "--out", tmp_path / "out")
    check(*interrupted("auc of each fold", *arguments), arguments, f"predictions and metrics are in {tmp_path / 'out'}")
    assert (tmp_path / "out" / "predictions.csv").exists()


def test_fit_keeps_the_old_model(grids, tmp_path):
    task = ("--task", "classification", "--target", "label")
    arguments = ("fit", grids / "grids.csv", *task, "--out", tmp_path / "out", *FOREVER)
    check(*interrupted("step ", *arguments), arguments, f"there is no new model in {tmp_path / 'out'}")
    assert list(tmp_path.iterdir()) == []


def test_train_encoder_keeps_its_best(patches, tmp_path):
    options = ("--code-size", 4, "--batch-size", 16, "--eval-every", 4, *FOREVER)
    arguments = ("train-encoder", patches, "--out", tmp_path / "out", *options)
    code, lines = interrupted("step ", *arguments)
    check(code, lines, arguments, f"{tmp_path / 'out' / 'encoder.safetensors'} has the best weights of")
    assert (tmp_path / "out" / "encoder.safetensors").exists()


@pytest.mark.slow
def test_make_cohort_keeps_slides(tmp_path):
    arguments = ("make-cohort", tmp_path / "out", "--n-slides", 200, "--size", 20)
    check(*interrupted("slides drawn: ", *arguments), arguments, f"kept in {tmp_path / 'out'}")


@pytest.mark.slow
def test_explain_keeps_maps(grids, model, tmp_path):
    many = tmp_path / "grids"
    many.mkdir()
    for i in range(100):
        shutil.copy(grids / "grid0.h5", many / f"{i}.h5")
    arguments = ("explain", many, "--model", model, "--out", tmp_path / "out")
    check(*interrupted("maps: ", *arguments), arguments, f"kept in {tmp_path / 'out'}")


@pytest.mark.slow
def test_predict_keeps_grids(slides, tmp_path):
    task = ("--task", "regression", "--target", "score", "--max-steps", 4)
    table, encoder = slides / "good.csv", slides / "encoder.safetensors"
    assert run("fit", table, *task, "--encoder", encoder, "--out", tmp_path / "model").exit_code == 0
    copies = tmp_path / "slides"
    copies.mkdir()
    for i in range(400):
        shutil.copy(slides / "slide_0000.tiff", copies / f"{i}.tiff")
    arguments = ("predict", copies, "--model", tmp_path / "model", "--out", tmp_path / "out.csv")
    check(*interrupted("slides: ", *arguments), arguments, f"{tmp_path / 'out.csv'} is not written")
    assert not (tmp_path / "out.csv").exists()
