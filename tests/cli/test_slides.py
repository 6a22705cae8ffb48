"""From slides to a model and to predictions: settings go along, and one bad slide costs one slide."""

import json
import shutil

import pandas as pd
import pytest

from sknic import Grid
from sknic.cli.settings import Compression, say
from sknic.exceptions import CompressionError

from .helpers import names, run, said

LEARN = ("--task", "regression", "--target", "score", "--max-steps", 1)


def n_grids(folder):
    return len(list(folder.glob("*.h5")))


@pytest.fixture
def compressed(slides, tmp_path):
    """Grids of the four slides with settings that are not the defaults."""
    folder = tmp_path / "grids"
    options = ("--encoder", slides / "encoder.safetensors", "--out", folder, "--stride", 64, "--tissue", "otsu")
    assert run("compress", slides / "good.csv", *options).exit_code == 0
    return folder


def test_a_model_of_slides_predicts_other_slides_in_the_same_way(slides, tmp_path):
    options = ("--encoder", slides / "encoder.safetensors", "--out", tmp_path / "model")
    result = run("fit", slides / "good.csv", *LEARN, *options)
    assert result.exit_code == 0, result.output
    assert "4 slides of 2 patients; target from" in result.output
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "digests.json",
        "encoder.safetensors",
        "grids",
        "history.csv",
        "learnt_slides.csv",
        "model.safetensors",
        "model_card.md",
        "options.toml",
        "run.json",
    ]
    result = run("predict", slides / "good.csv", "--model", tmp_path / "model", "--out", tmp_path / "p.csv")
    assert result.exit_code == 0 and n_grids(tmp_path / "model" / "grids") == 4
    assert pd.read_csv(tmp_path / "p.csv")["prediction"].notna().all()


def test_fit_evaluate_and_predict_take_the_settings_of_the_grids(slides, compressed, tmp_path):
    said = "settings of the existing grids: stride=64"
    for command, out in (("fit", "model"), ("evaluate", "result")):
        cv = ("--cv", 2) if command == "evaluate" else ()
        result = run(command, slides / "good.csv", *LEARN, *cv, "--grids", compressed, "--out", tmp_path / out)
        assert result.exit_code == 0 and said in result.output
        record = json.loads((tmp_path / out / "run.json").read_text())["settings"]["compression"]
        assert (record["stride"], record["tissue"]) == (64, "otsu")
    options = ("--model", tmp_path / "model", "--grids", compressed, "--out", tmp_path / "p.csv")
    assert said in run("predict", slides / "good.csv", *options).output
    assert n_grids(compressed) == 4


def test_other_settings_than_those_of_the_grids_are_said(slides, compressed, tmp_path):
    options = ("--grids", compressed, "--tissue", "density", "--out", tmp_path / "model")
    result = run("fit", slides / "good.csv", *LEARN, *options)
    assert "its grids have tissue=otsu, not density: the slides are compressed again" in result.output
    assert {Grid.read(path).stride for path in compressed.glob("*.h5")} == {64}


@pytest.mark.parametrize(
    "kept, wanted, changed",
    [
        ({"stride": 64}, {}, "stride=64, not 128"),
        ({}, {"stride": 64}, "stride=128, not 64"),
        ({"stride": 128}, {}, None),
        ({"min_tissue": 0}, {}, "min_tissue=0, not 0.6"),
        ({"orientations": 8}, {"orientations": 1}, "orientations=8, not 1"),
        (
            {"tissue": "{stem}.geojson"},
            {"tissue": "{stem}.geojson", "classes": ["Tumor"]},
            "classes=None, not ['Tumor']",
        ),
        ({"tissue": "density"}, {"classes": []}, None),
    ],
)
def test_a_setting_left_to_its_default_is_compared_too(capsys, kept, wanted, changed):
    recorded = Compression("sknic-he-1", kept).record()
    say(Compression("sknic-he-1", wanted), recorded, "folder")
    printed = capsys.readouterr().out
    if changed is None:
        assert printed.startswith("folder: settings of the existing grids")
    else:
        assert printed == f"folder: its grids have {changed}: the slides are compressed again\n"


def test_settings_are_read_from_headers_where_there_is_no_record(slides, compressed, tmp_path):
    (compressed / "run.json").unlink()
    options = ("--grids", compressed, "--encoder", slides / "encoder.safetensors", "--out", tmp_path / "model")
    result = run("fit", slides / "good.csv", *LEARN, *options)
    assert (
        "stride=64" in result.output and "their tissue option is not recorded, tissue=density is used" in result.output
    )


def test_grids_of_an_encoder_that_is_gone_are_not_computed_anew_in_silence(slides, compressed, tmp_path):
    record = json.loads((compressed / "run.json").read_text())
    record["settings"]["encoder"] = str(tmp_path / "gone.h5")
    (compressed / "run.json").write_text(json.dumps(record))
    result = run("fit", slides / "good.csv", *LEARN, "--grids", compressed, "--out", tmp_path / "model")
    assert result.exit_code == 2 and names(result, tmp_path / "gone.h5") and "--encoder" in result.output


@pytest.mark.parametrize("content", ['{"settings": {"tissue"', "[]", "\0\0"])
def test_a_damaged_record_of_grids_is_named_and_nothing_is_compressed_anew(content, slides, compressed, tmp_path):
    (compressed / "run.json").write_text(content)
    result = run("fit", slides / "good.csv", *LEARN, "--grids", compressed, "--out", tmp_path / "model")
    assert result.exit_code == 2 and "Restore it, or delete it and give --encoder" in said(result)
    assert n_grids(compressed) == 4 and (compressed / "run.json").read_text() == content


def test_a_column_of_um_per_px_is_used_and_kept_with_the_grids(slides, tmp_path):
    table = pd.read_csv(slides / "good.csv").assign(scale=[0.25, None, 0.25, 0.5])
    table["path"] = [str(slides / path) for path in table["path"]]
    table.to_csv(tmp_path / "t.csv", index=False)
    options = ("--encoder", slides / "encoder.safetensors", "--slide-mpp", "scale")
    assert run("compress", tmp_path / "t.csv", *options, "--out", tmp_path / "grids").exit_code == 0
    mpps = {Grid.read(path).slide_mpp for path in (tmp_path / "grids").glob("*.h5")}
    assert mpps == {0.25, 0.5}
    assert run("fit", tmp_path / "t.csv", *LEARN, "--grids", tmp_path / "grids", "--out", tmp_path / "m").exit_code == 0
    assert n_grids(tmp_path / "grids") == 4


def test_um_per_px_stated_for_some_slides_are_not_those_of_the_others(slides, tmp_path):
    """The grids of a folder come from two runs, of which one states the um/px of its slides."""
    table = pd.read_csv(slides / "good.csv")
    table["path"] = [str(slides / path) for path in table["path"]]
    table.to_csv(tmp_path / "all.csv", index=False)
    grids, encoder = tmp_path / "grids", ("--encoder", slides / "encoder.safetensors")
    for rows, stated in ((table[:2], ("--slide-mpp", 0.25)), (table[2:], ())):
        rows.to_csv(tmp_path / "part.csv", index=False)
        assert run("compress", tmp_path / "part.csv", *encoder, *stated, "--out", grids).exit_code == 0
    before = {Grid.read(path).slide: Grid.read(path).slide_mpp for path in grids.glob("*.h5")}
    assert sorted(before.values()) == [0.25, 0.25, 0.5, 0.5]
    fitted = run("fit", tmp_path / "all.csv", *LEARN, "--grids", grids, "--out", tmp_path / "m")
    assert fitted.exit_code == 0, fitted.output
    assert {Grid.read(path).slide: Grid.read(path).slide_mpp for path in grids.glob("*.h5")} == before


def test_two_um_per_px_of_one_slide_are_refused(slides, tmp_path):
    path = str(slides / pd.read_csv(slides / "good.csv")["path"][0])
    pd.DataFrame({"path": [path, path], "scale": [0.25, 0.5]}).to_csv(tmp_path / "t.csv", index=False)
    result = run("compress", tmp_path / "t.csv", "--slide-mpp", "scale", "--out", tmp_path / "grids")
    assert result.exit_code == 2 and "has 0.25 and 0.5 um/px: expected one number" in said(result)


def test_um_per_px_stated_for_the_training_are_those_of_its_slides_later(slides, tmp_path, monkeypatch):
    """From any folder, and for the slides of the training only: a new one may come from another scanner."""
    table = pd.read_csv(slides / "good.csv").assign(scale=0.25)
    shutil.copytree(slides, tmp_path / "study")
    table.to_csv(tmp_path / "study" / "t.csv", index=False)
    monkeypatch.chdir(tmp_path / "study")
    options = ("--encoder", slides / "encoder.safetensors", "--slide-mpp", "scale")
    assert run("compress", "t.csv", *options, "--out", "grids").exit_code == 0
    assert {Grid.read(path).slide_mpp for path in (tmp_path / "study" / "grids").glob("*.h5")} == {0.25}
    monkeypatch.chdir(tmp_path)
    assert run("fit", "study/t.csv", *LEARN, "--grids", "study/grids", "--out", "m").exit_code == 0
    assert n_grids(tmp_path / "study" / "grids") == 4
    table.assign(path=[f"study/{path}" for path in table["path"]]).to_csv("u.csv", index=False)
    for stated in ("scale", 0.25):
        assert run("fit", "u.csv", *LEARN, *options[:3], stated, "--grids", f"g{stated}", "--out", "n").exit_code == 0
        assert run("predict", "u.csv", "--model", "n", "--out", "p.csv").exit_code == 0
        assert n_grids(tmp_path / f"g{stated}") == 4
    shutil.copy(tmp_path / "study" / table["path"][0], tmp_path / "new.tiff")
    result = run("predict", "new.tiff", "--model", "n", "--out", "p.csv")
    assert "--slide-mpp stated the um/px of its slides, but not of 1 here, such as new.tiff" in said(result)


def test_bad_slides_are_all_named_and_nothing_is_trained(slides, tmp_path):
    options = ("--encoder", slides / "encoder.safetensors", "--out", tmp_path / "model")
    result = run_failing("fit", slides / "all.csv", *LEARN, *options)
    assert "2 of 6 slides cannot be used" in result and "glass.tiff: no tissue" in result and "page.svs: " in result
    assert "--on-error skip" in result and not (tmp_path / "model" / "model.safetensors").exists()
    assert n_grids(tmp_path / "model" / "grids") == 5


def run_failing(*arguments):
    from sknic.exceptions import CompressionError

    with pytest.raises(CompressionError) as error:
        run(*arguments)
    return str(error.value)


def test_bad_slides_are_skipped_when_asked_to(slides, tmp_path):
    encoder = ("--encoder", slides / "encoder.safetensors", "--on-error", "skip")
    result = run("fit", slides / "all.csv", *LEARN, *encoder, "--out", tmp_path / "model")
    assert result.exit_code == 0 and "remaining: 4 slides of 2 patients" in result.output
    assert len(json.loads((tmp_path / "model" / "run.json").read_text())["skipped"]) == 2

    options = ("--grids", tmp_path / "model" / "grids", "--cv", 2, "--out", tmp_path / "result")
    assert run("evaluate", slides / "all.csv", *LEARN, *encoder, *options).exit_code == 0
    table = pd.read_csv(tmp_path / "result" / "predictions.csv", dtype={"fold": str})
    assert table["error"].notna().sum() == 2 and table["prediction"].notna().sum() == 4
    assert set(table["fold"].dropna()) == {"0", "1"}
    assert run("report", tmp_path / "result").exit_code == 0
    assert "2 slides could not be used and were left out" in (tmp_path / "result" / "report.html").read_text()


@pytest.mark.parametrize(("on_error", "code"), [("raise", 1), ("skip", 0)])
def test_predict_writes_the_good_slides_and_marks_the_others(on_error, code, slides, tmp_path):
    options = ("--encoder", slides / "encoder.safetensors", "--out", tmp_path / "model")
    assert run("fit", slides / "good.csv", *LEARN, *options).exit_code == 0
    options = ("--model", tmp_path / "model", "--out", tmp_path / "p.csv", "--on-error", on_error)
    result = run("predict", slides / "all.csv", *options)
    assert result.exit_code == code and "2 of 6 slides have no prediction" in result.output
    table = pd.read_csv(tmp_path / "p.csv")
    assert table["path"].tolist() == pd.read_csv(slides / "all.csv")["path"].tolist()
    assert table["prediction"].isna().tolist() == [False, True, True, False, False, False]
    assert table["error"].str.contains("no tissue").tolist()[1] and table["error"].notna().sum() == 2


def test_shards_are_compressed_apart_and_merged(slides, tmp_path):
    command = ["compress", slides / "good.csv", "--encoder", slides / "encoder.safetensors", "--out", tmp_path / "out"]
    assert "2 slides" in run(*command, "--shard", "2/2", "--dry-run").output
    result = run(*command, "--shard", "1/2")
    assert result.exit_code == 0 and "2 slides: 2 done" in result.output
    with pytest.raises(CompressionError, match=r"2 of 4 slides have no row in .*Shards not run: 2/2\."):
        run(*command, "--merge")
    assert run(*command, "--shard", "2/2").exit_code == 0
    for _ in range(2):
        result = run(*command, "--merge")
        assert result.exit_code == 0 and "4 slides: 4 done" in result.output
    table = pd.read_csv(slides / "good.csv")
    manifest = pd.read_csv(tmp_path / "out" / "manifest.csv")
    assert [path.split("/")[-1] for path in manifest.slide] == [path.split("/")[-1] for path in table.path]
    assert (n_grids(tmp_path / "out"), manifest.status.tolist()) == (4, ["done"] * 4)


@pytest.mark.parametrize("options", [("--shard", "0/2"), ("--shard", "x"), ("--merge", "--shard", "1/2"), ("--merge",)])
def test_shards_that_make_no_sense_are_refused(options, slides, tmp_path):
    result = run("compress", slides / "good.csv", "--out", tmp_path / "out", *options)
    assert result.exit_code == 2 and not (tmp_path / "out").exists()


def test_the_number_of_workers_may_be_left_to_compress(slides, tmp_path):
    command = ["compress", slides / "good.csv", "--encoder", slides / "encoder.safetensors", "--out", tmp_path / "out"]
    result = run(*command, "--n-jobs", "two")
    assert result.exit_code == 2 and "--n-jobs two: expected a whole number or auto" in " ".join(result.output.split())
    result = run(*command, "--n-jobs", "auto")
    assert result.exit_code == 0 and "4 slides: 4 done" in result.output
    assert json.loads((tmp_path / "out" / "run.json").read_text())["settings"]["n_jobs"] == "auto"
    # A slide to do has a row of its own; slides in the cache are only counted.
    other = run(*command, "--dry-run", "--stride", 32).output
    assert "'to do': 4" in other and other.count("to do") == 5
    again = run(*command, "--dry-run").output
    assert "'cached': 4" in again and again.count("cached") == 1
