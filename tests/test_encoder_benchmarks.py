"""The scripts that train and judge encoders: no source is on both sides, and a card says what went in."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import encoder_body, encoder_data, encoder_probe, encoders, train_encoder
from benchmarks.encoder_card import ABOUT, card_text
from benchmarks.encoder_data import N_FOLDS, PatchData
from sknic.encoders.networks import new_encoder

TASKS = {"lymph": ["normal", "tumour"], "mitosis": ["mitosis", "other"], "colorectal": ["adipose", "mucus", "stroma"]}


@pytest.fixture(scope="module")
def data():
    """Patches of three tasks, ten sources each of one class and four patches; mucus has two sources."""
    random = np.random.default_rng(0)
    rows = [
        {"task": task, "label": label, "group": f"{label}{source}", "mpp": 0.5, "center": "a", "number": number}
        for task, labels in TASKS.items()
        for number, label in enumerate(labels)
        for source in range(2 if label == "mucus" else 10)
        for _ in range(4)
    ]
    table = pd.DataFrame(rows)
    table["fold"] = encoder_data._folds(table)
    shades = (
        60 + 60 * table.pop("number").to_numpy()[:, None, None, None] + random.normal(0, 9, (len(table), 64, 64, 3))
    )
    return PatchData(shades.clip(0, 255).astype(np.uint8), table)


def test_sources_are_in_one_fold_and_rare_classes_are_trained_on_only(data):
    assert (data.table.groupby(["task", "group"])["fold"].nunique() == 1).all()
    shared_out = data.table[data.table["label"] != "mucus"]
    assert set(shared_out["fold"]) == set(range(N_FOLDS))
    assert (shared_out.groupby("label")["fold"].nunique() == N_FOLDS).all()
    assert (data.table.query("label == 'mucus'")["fold"] == -1).all()


def test_what_is_held_out_is_not_trained_on(data):
    for tasks in (["lymph"], list(TASKS)):
        train, test = data.rows(tasks, held_out=False), data.rows(tasks, held_out=True)
        assert len(train) > len(test) > 0
        assert sorted([*train, *test]) == np.flatnonzero(data.table["task"].isin(tasks)).tolist()
        sources = data.table["task"] + data.table["group"]
        assert not set(sources.iloc[train]) & set(sources.iloc[test])


def test_a_digest_covers_patches_and_labels(data):
    rows = data.rows(["lymph"], held_out=False)
    relabelled = PatchData(data.patches, data.table.assign(label=data.table["label"].str.upper()))
    digests = {data.digest(rows), data.digest(rows[:-1]), relabelled.digest(rows)}
    assert len(digests) == 3


def test_a_probe_reads_what_is_there_and_is_asked_about_held_out_patches(data):
    class Shade:
        def transform(self, patches):
            return patches.mean((1, 2)).astype(np.float32)

    answers = encoder_probe.guesses(data, Shade(), list(TASKS))
    assert {task: encoder_probe.score(answer)["value"] for task, answer in answers.items()} == dict.fromkeys(TASKS, 1.0)
    for task, answer in answers.items():
        assert len(answer.truth) == len(data.rows([task], held_out=True))


def test_a_trained_encoder_has_a_card_and_goes_on_where_it_was(data, tmp_path):
    settings = {"max_steps": 3, "eval_every": 1, "batch_size": 16, "code_size": 8}
    encoder = train_encoder.train("sknic-he-1", data, tmp_path, 0, **settings)
    assert (encoder.patch_size, encoder.input_size, encoder.mpp) == (128, 64, 0.5)
    again = train_encoder.train("sknic-he-1", data, tmp_path, 0, **settings)  # from its checkpoint, nothing to do
    assert again.fingerprint() == encoder.fingerprint()
    card = encoder.card_
    assert card["data"]["lymph"]["patches"] == {"normal": 32, "tumour": 32}
    assert card["trained"]["steps"] == 3 and card["settings"]["seed"] == 0
    card |= {"held out": encoder_probe.probe_table(data, encoder), **ABOUT["sknic-he-1"]}
    text = card_text(card)
    assert all(about["source"] in text for about in card["data"].values())
    assert "train_encoder sknic-he-1 --seed 0" in text and "{" not in text


def test_a_recipe_may_start_from_a_file(data, tmp_path, monkeypatch):
    settings = {"max_steps": 1, "eval_every": 1, "batch_size": 16, "code_size": 8, "validation_fraction": None}
    start = train_encoder.train("sknic-he-1", data, tmp_path, 0, **settings)
    start.save(tmp_path / "start")
    recipe = train_encoder.Recipe(tuple(TASKS), {**settings, "init_lr": 1e-9}, init="start")
    monkeypatch.setitem(train_encoder.RECIPES, "again", recipe)
    monkeypatch.setattr(train_encoder, "test_data", lambda folder, name: tmp_path / name)
    again = train_encoder.train("again", data, tmp_path)
    before, after = (next(encoder.network_.parameters()).detach().numpy() for encoder in (start, again))
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert again.card_["settings"]["init"] == "start"


def test_rows_of_the_table_have_intervals_and_paired_differences():
    truth, groups = np.array(["a", "b"] * 20), np.arange(40).astype(str)
    right, wrong = encoder_probe.Answer(truth, truth, groups), encoder_probe.Answer(truth, truth[::-1], groups)
    assert encoders.row_of("e", {"lymph": right, "mitosis": wrong}) == {
        "encoder": "e",
        "lymph": "1.000 [1.000, 1.000]",
        "mitosis": "0.000 [0.000, 0.000]",
        "mean": "0.500",
    }
    row = encoders.differences("e", {"lymph": right}, {"lymph": wrong})
    assert row == {"encoder": "e", "lymph": "+1.000 [+1.000, +1.000]"}


def test_the_residual_body_costs_no_more_than_the_papers():
    by_hand = 27 * 128 * 31**2 + 9 * 128**2 * (15**2 + 7**2 + 3**2) + 9 * 128 * 128
    assert encoder_body.multiplications(new_encoder()) == by_hand
    assert encoder_body.multiplications(new_encoder(body="residual")) <= 1.01 * by_hand
