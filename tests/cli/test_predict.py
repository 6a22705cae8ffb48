"""Predictions have one row for each row of the table, with its own columns."""

import shutil
import unicodedata

import numpy as np
import pandas as pd
import pytest

from sknic import Grid, load_encoder
from sknic.estimators import load_estimator
from sknic.exceptions import UnfamiliarSlidesWarning

from .helpers import failing, run, said


@pytest.fixture(scope="module")
def model(grids, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    options = ("--task", "classification", "--target", "label", "--max-steps", 24, "--out", folder)
    assert run("fit", grids / "grids.csv", *options).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def model_of_many(grids, tmp_path_factory):
    """A model of twelve patients, who show how slides differ."""
    folder = tmp_path_factory.mktemp("many")
    options = ("--task", "classification", "--target", "label", "--max-steps", 4, "--no-patient", "--out", folder)
    assert run("fit", grids / "grids.csv", *options).exit_code == 0
    return folder


def predicted(table, model, tmp_path, *options):
    result = run("predict", table, "--model", model, "--out", tmp_path / "p.csv", *options)
    return result, pd.read_csv(tmp_path / "p.csv", dtype=str)


def test_rows_keep_their_order_their_keys_and_their_number(grids, model, tmp_path):
    paths = [str(grids / f"grid{i}.h5") for i in (7, 3, 7, 0)]
    table = pd.DataFrame({"case": ["007", "7", "7", "0"], "path": paths, "prediction": list("wxyz")})
    table.to_csv(tmp_path / "t.csv", index=False)
    _, rows = predicted(tmp_path / "t.csv", model, tmp_path)
    assert rows["case"].tolist() == ["007", "7", "7", "0"]
    assert rows["slide"].tolist() == rows["path"].tolist() == paths
    assert rows["prediction (table)"].tolist() == list("wxyz")
    assert rows["probability a"][0] == rows["probability a"][2] != rows["probability a"][1]
    assert "error" not in rows


def test_predict_tells_how_far_each_slide_is_from_the_training(grids, model_of_many, tmp_path):
    like = Grid.read(grids / "grid0.h5")
    Grid(like.embeddings + 20, like.cells, like.shape, mpp=0.5, patch_size=64).write(tmp_path / "other.h5")
    pd.DataFrame({"path": [str(grids / "grid0.h5"), str(tmp_path / "other.h5")]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    with pytest.warns(UnfamiliarSlidesWarning, match=r"training: other\.h5\. "):
        _, rows = predicted(tmp_path / "t.csv", model_of_many, tmp_path)
    familiar, other = rows["distance"].astype(float)
    expected = load_estimator(model_of_many / "model.safetensors").distance_to_training([like])[0]
    assert familiar == pytest.approx(expected, abs=0.006) and familiar < 2 < 4 < other


def test_columns_of_earlier_predictions_are_all_kept(grids, model_of_many, tmp_path):
    table = pd.DataFrame({"path": [str(grids / "grid0.h5")], "distance (table)": ["first"], "distance": ["second"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    _, rows = predicted(tmp_path / "t.csv", model_of_many, tmp_path)
    assert rows["distance (table)"].tolist() == ["first"]
    assert rows["distance (table) (table)"].tolist() == ["second"]


def test_a_slide_of_the_table_is_the_users_name_of_it(grids, model, tmp_path):
    table = pd.DataFrame({"slide": ["one", "two"], "path": [str(grids / f"grid{i}.h5") for i in (0, 1)]})
    table.to_csv(tmp_path / "t.csv", index=False)
    _, rows = predicted(tmp_path / "t.csv", model, tmp_path)
    assert rows["slide"].tolist() == ["one", "two"] and rows["file"].tolist() == table["path"].tolist()


def test_a_grid_that_cannot_be_predicted_costs_itself(grids, model, tmp_path):
    good = Grid.read(grids / "grid0.h5")
    Grid(good.embeddings, good.cells, good.shape, mpp=1.0, patch_size=64).write(tmp_path / "scale.h5")
    Grid(np.zeros((1, 9)), np.zeros((1, 2)), (1, 1), mpp=0.5, patch_size=64).write(tmp_path / "wide.h5")
    Grid(np.zeros((0, 4)), np.zeros((0, 2)), (3, 3), mpp=0.5, patch_size=64).write(tmp_path / "empty.h5")
    (tmp_path / "text.h5").write_text("not a grid")
    names = [grids / "grid0.h5", *(tmp_path / f"{name}.h5" for name in ("scale", "wide", "empty", "text", "nothing"))]
    pd.DataFrame({"path": list(map(str, names))}).to_csv(tmp_path / "t.csv", index=False)
    result, rows = predicted(tmp_path / "t.csv", model, tmp_path, "--on-error", "skip")
    assert result.exit_code == 0
    assert rows["prediction"].notna().tolist() == [True, *[False] * 5]
    for row, word in enumerate(("um/px", "9 features", "no tissue", "not", "no such file"), 1):
        assert word in rows["error"][row]
    _, alone = predicted(grids / "grid0.h5", model, tmp_path)
    assert alone["probability a"][0] == rows["probability a"][0]


def test_grids_of_another_encoder_are_refused_by_its_name(grids, tmp_path):
    named = load_encoder("sknic-he-1", device="cpu").fingerprint()
    for name, fingerprint in (("ours", named), ("theirs", "0" * 64)):
        (tmp_path / name).mkdir()
        for i in range(4):
            old = Grid.read(grids / f"grid{i}.h5")
            scale = {"mpp": 0.5, "patch_size": 64, "fingerprint": fingerprint}
            Grid(old.embeddings[:], old.cells[:], old.shape, **scale).write(tmp_path / name / f"{i}.h5")
        pd.DataFrame({"path": [f"{i}.h5" for i in range(4)], "score": range(4)}).to_csv(
            tmp_path / name / "table.csv", index=False
        )
    task = ("--task", "regression", "--target", "score", "--max-steps", 2, "--device", "cpu")
    model = tmp_path / "model"
    assert run("fit", tmp_path / "ours" / "table.csv", *task, "--out", model).exit_code == 0
    result = run("predict", tmp_path / "theirs", "--model", model, "--out", tmp_path / "p.csv")
    assert result.exit_code == 1
    assert f"encoder 000000000000... of 0.h5 is not sknic-he-1 ({named[:12]}...)" in said(result)


def test_without_a_single_prediction_the_command_fails(model, tmp_path):
    (tmp_path / "text.h5").write_text("not a grid")
    result, rows = predicted(tmp_path / "text.h5", model, tmp_path, "--on-error", "skip")
    assert result.exit_code == 1 and rows["error"].notna().all()


def test_without_a_single_prediction_a_target_in_the_table_changes_nothing(model, tmp_path):
    (tmp_path / "text.h5").write_text("not a grid")
    pd.DataFrame({"path": [tmp_path / "text.h5"], "label": ["a"]}).to_csv(tmp_path / "t.csv", index=False)
    result, _ = predicted(tmp_path / "t.csv", model, tmp_path, "--on-error", "skip")
    assert result.exit_code == 1 and "1 of 1 slides have no prediction" in said(result)


def test_slides_for_a_model_of_grid_files_are_refused_with_the_remedy(model, slides, tmp_path):
    result = run("predict", slides / "good.csv", "--model", model, "--out", tmp_path / "p.csv")
    assert result.exit_code == 2 and "fitted on grid files" in " ".join(result.output.replace("│", " ").split())


def test_a_folder_of_grids_is_predicted(grids, model, tmp_path):
    _, rows = predicted(grids, model, tmp_path)
    assert len(rows) == 12


def test_a_second_column_of_a_name_is_kept_under_a_number(grids, model, tmp_path):
    rows = [[str(grids / "grid0.h5"), "a", "b"]]
    pd.DataFrame(rows, columns=["path", "id", "id"]).to_csv(tmp_path / "t.csv", index=False)
    _, table = predicted(tmp_path / "t.csv", model, tmp_path)
    assert table[["id", "id (2)"]].to_numpy().tolist() == [["a", "b"]]


def test_a_grid_is_found_in_either_form_of_its_accents(grids, model, tmp_path):
    file = tmp_path / unicodedata.normalize("NFD", "Müller.h5")
    file.write_bytes((grids / "grid0.h5").read_bytes())
    result, table = predicted(tmp_path / unicodedata.normalize("NFC", "Müller.h5"), model, tmp_path)
    assert result.exit_code == 0 and table["slide"].tolist() == [str(file)]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: b"", lambda data: data[:8] + b"{}" + data[10:]]
)
def test_a_damaged_model_is_named_in_our_words(damage, grids, model, tmp_path):
    copy = shutil.copytree(model, tmp_path / "model")
    file = copy / "model.safetensors"
    file.write_bytes(damage(file.read_bytes()))
    result = failing("predict", grids / "grid0.h5", "--model", copy, "--out", tmp_path / "p.csv")
    assert result.returncode == 1 and "it is cut off, damaged or not a safetensors file" in result.stderr


def test_the_spread_of_the_networks_is_a_column(grids, model, tmp_path):
    several = tmp_path / "several"
    options = ("--task", "regression", "--target", "score", "--max-steps", 8, "--n-members", 2, "--out", several)
    assert run("fit", grids / "grids.csv", *options).exit_code == 0
    table = predicted(grids / "grids.csv", several, tmp_path, "--spread")[1]
    estimator = load_estimator(several / "model.safetensors", device="cpu")
    expected = estimator.predict_spread([Grid.read(grids / name) for name in table["path"]])
    np.testing.assert_allclose(table["spread"].astype(float), expected, rtol=1e-5)
    assert (expected > 0).all()
    refused = run("predict", grids / "grids.csv", "--model", model, "--out", tmp_path / "no.csv", "--spread")
    assert refused.exit_code == 2 and "has only one network" in said(refused) and "--n-members 3" in said(refused)
