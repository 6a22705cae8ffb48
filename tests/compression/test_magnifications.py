"""Two magnifications in one grid: each fine cell has the embedding of the coarse patch around it."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from sknic import GridCNNRegressor, MeanRGBEncoder, SlideCompressor
from sknic.cli.app import app
from sknic.compression.job import Outcome
from sknic.compression.magnifications import combined
from sknic.estimators import load_estimator
from sknic.exceptions import CompressionError, ProvenanceError, TissueWarning
from sknic.grids import Grid, orient, stack_magnifications

from .conftest import tissue, write_slide

SETTINGS = {"patch_size": 16, "tissue": None}
MPPS = [0.5, 2.0]


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    """Paths of three slides at 0.5 um/px."""
    folder = tmp_path_factory.mktemp("slides")
    return [write_slide(folder / f"{seed}.tiff", tissue(seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def encoder():
    return MeanRGBEncoder(patch_size=16, mpp=0.5).fit()


def compressor(encoder, mpp=MPPS, **options):
    return SlideCompressor(encoder, mpp=mpp, **{**SETTINGS, **options})


def by_hand(fine, coarse):
    """Channels of the coarse cell that contains a fine one, or of the nearest if it is background."""
    found = []
    for row, column in fine.cells:
        place = (np.array([row, column]) + 0.5) / 4 - 0.5  # in coarse cells
        distance = np.linalg.norm(coarse.cells - place, axis=1)
        inside = (coarse.cells == np.array([row, column]) // 4).all(axis=1)
        found.append(np.flatnonzero(inside)[0] if inside.any() else distance.argmin())
    return np.asarray(coarse.embeddings)[found]


def test_channels_of_the_coarse_grid_are_repeated_over_the_fine_one(slides, encoder):
    for path in slides:
        (fine,), (coarse,), (both,) = (compressor(encoder, mpp).transform([path]) for mpp in (0.5, 2.0, MPPS))
        np.testing.assert_array_equal(both.cells, fine.cells)
        np.testing.assert_array_equal(both.embeddings[:, :3], fine.embeddings)
        np.testing.assert_array_equal(both.embeddings[:, 3:], by_hand(fine, coarse))
        assert (both.code_size, both.dtype, both.shape) == (6, fine.dtype, fine.shape)
        assert (both.mpp, both.header.coarse_mpp) == (0.5, (2.0,)) and fine.header.coarse_mpp == ()
        assert both.fingerprint == encoder.fingerprint()


def test_a_fine_cell_whose_coarse_patch_is_background_gets_the_nearest_one(encoder):
    fine = Grid(np.zeros((3, 1)), [[0, 0], [0, 5], [9, 9]], (12, 12), mpp=0.5, patch_size=16, slide_mpp=0.5)
    coarse = Grid([[7.0], [8.0]], [[0, 0], [2, 1]], (3, 3), mpp=2.0, patch_size=16, slide_mpp=0.5)
    # [0, 5] lies in coarse cell [0, 1], [9, 9] in [2, 2]; neither is stored.
    assert stack_magnifications([fine, coarse]).embeddings[:, 1].tolist() == [7, 7, 8]


def test_three_magnifications(slides, encoder):
    (grid,) = compressor(encoder, [0.5, 1.0, 2.0]).transform(slides[:1])
    (last,) = compressor(encoder, [0.5, 2.0]).transform(slides[:1])
    assert grid.code_size == 9 and grid.header.coarse_mpp == (1.0, 2.0)
    np.testing.assert_array_equal(grid.embeddings[:, 6:], last.embeddings[:, 3:])


def test_orientations_are_those_of_both(slides, encoder):
    (grid,) = compressor(encoder, orientations=8).transform(slides[:1])
    (plain,) = compressor(encoder).transform(slides[:1])
    assert len(grid.orientations) == 8
    # The mean color of a patch does not change when it is turned.
    for k, turned in enumerate(grid.orientations):
        np.testing.assert_allclose(turned.to_dense(), orient(plain.to_dense(), k), atol=2e-3)


def test_the_cache_has_a_grid_of_each_magnification_and_shares_them(slides, encoder, tmp_path):
    compressor(encoder, 2.0, cache_dir=tmp_path).transform(slides)
    both = compressor(encoder, cache_dir=tmp_path)
    assert both.plan(slides).status.tolist() == ["to do"] * 3
    outcomes = both.compress(slides)
    assert [outcome.status for outcome in outcomes] == ["done"] * 3
    assert len(list(tmp_path.glob("*.h5"))) == 6
    assert [outcome.status for outcome in both.compress(slides)] == ["cached"] * 3
    assert both.plan(slides).status.tolist() == ["cached"] * 3
    assert {path.name for path in tmp_path.glob("*.csv")} == {"manifest.csv"}
    assert len((tmp_path / "manifest.csv").read_text().splitlines()) == 4
    (plain,) = compressor(encoder).transform(slides[:1])
    np.testing.assert_array_equal(outcomes[0].grid.embeddings, plain.embeddings)
    assert len(pickle.dumps(outcomes[0].grid)) < 2000  # two paths
    again = pickle.loads(pickle.dumps(outcomes[0].grid))
    np.testing.assert_array_equal(again.embeddings, plain.embeddings)


def test_it_is_kept_in_a_file_and_read_back(slides, encoder, tmp_path):
    (grid,) = compressor(encoder).transform(slides[:1])
    again = grid.write(tmp_path / "grid.h5")
    np.testing.assert_array_equal(again.embeddings, grid.embeddings)
    assert again.header == grid.header


def test_a_model_of_two_magnifications_refuses_grids_of_others(slides, encoder):
    X = compressor(encoder).transform(slides)
    model = GridCNNRegressor(max_steps=2, n_filters=4, device="cpu", random_state=0).fit(X, [1.0, 2.0, 3.0])
    assert model.provenance_["coarse_mpp"] == "2" and model.predict(X).shape == (3,)
    with pytest.raises(ValueError, match="has 3 features, but GridCNNRegressor is expecting 6"):
        model.predict(compressor(encoder, 0.5).transform(slides))
    with pytest.raises(ProvenanceError, match="um/px of the coarser channels 1 of .* is not 2"):
        model.predict(compressor(encoder, [0.5, 1.0]).transform(slides))


def test_a_slide_that_fails_or_has_no_tissue_at_one_magnification_is_named_with_it(slides, encoder, tmp_path):
    (tmp_path / "bad.tiff").write_text("not a slide")
    with pytest.raises(CompressionError, match=r"bad\.tiff: at 0\.5 um/px: "):
        compressor(encoder).transform([slides[0], str(tmp_path / "bad.tiff")])
    small = write_slide(tmp_path / "small.tiff", tissue(0)[100:140, 100:160])
    plan = compressor(encoder).plan([small, slides[0]])
    assert plan.status.tolist() == ["no tissue", "to do"] and plan.reason[0].startswith("at 2 um/px: the slide is")
    with pytest.warns(TissueWarning, match="at 2 um/px: the slide is smaller than a patch"):
        empty, whole = compressor(encoder).transform([small, slides[0]])
    assert (empty.n_cells, empty.code_size, whole.code_size) == (0, 6, 6)


@pytest.mark.parametrize("mpp", [[], [2.0, 0.5], [0.5, 0.5], [0.5, 20], ["a"], [0.5, None]])
def test_a_list_that_is_not_of_ascending_um_per_px_is_refused(slides, encoder, mpp):
    with pytest.raises(ValueError, match="mpp=.*: expected .* a list of such numbers, the finest first"):
        compressor(encoder, mpp).fit(slides)


def test_what_cannot_be_stacked_is_refused():
    fine = Grid(np.zeros((1, 1)), [[0, 0]], (4, 4), mpp=0.5, patch_size=16, slide_mpp=0.5, slide="a")
    known = {"patch_size": 16, "slide_mpp": 0.5}
    with pytest.raises(ValueError, match=r"its slide differs from that of grids\[0\]"):
        stack_magnifications([fine, Grid(np.zeros((1, 1)), [[0, 0]], (1, 1), mpp=2.0, slide="b", **known)])
    with pytest.raises(ValueError, match="0.25 um/px after 0.5"):
        stack_magnifications([fine, Grid(np.zeros((1, 1)), [[0, 0]], (1, 1), mpp=0.25, slide="a", **known)])
    with pytest.raises(ValueError, match="has no cells"):
        stack_magnifications([fine, Grid(np.zeros((0, 1)), np.zeros((0, 2)), (1, 1), mpp=2.0, slide="a", **known)])


def test_one_slide_under_two_paths_is_stacked(slides, encoder, tmp_path):
    """The finer grid is in the cache, with the path that the slide had then; the coarser one is new."""
    moved = tmp_path / "moved" / Path(slides[0]).name
    moved.parent.mkdir()
    shutil.copy2(slides[0], moved)
    compressor(encoder, 0.5, cache_dir=tmp_path / "grids").transform(slides[:1])
    (outcome,) = compressor(encoder, [0.5, 2.0], cache_dir=tmp_path / "grids").compress([moved])
    assert outcome.error == "" and outcome.slide == str(moved)
    (fresh,) = compressor(encoder, [0.5, 2.0]).transform([moved])
    np.testing.assert_array_equal(outcome.grid.embeddings, fresh.embeddings)


def test_what_cannot_be_stacked_fails_alone():
    known = {"patch_size": 16, "slide_mpp": 0.5, "slide": "a"}
    fine = Grid(np.zeros((1, 1)), [[0, 0]], (4, 4), mpp=0.5, slide_digest="1", **known)
    coarse = Grid(np.zeros((1, 1)), [[0, 0]], (1, 1), mpp=2.0, slide_digest="2", **known)
    outcome = combined([Outcome("a", "cached", grid=fine), Outcome("a", "done", grid=coarse)], [0.5, 2.0])
    assert (outcome.status, outcome.grid) == ("failed", None) and "its slide_digest differs" in outcome.error


def test_the_command_line_takes_two(slides, tmp_path):
    arguments = ["compress", *slides[:2], "--out", str(tmp_path), "--patch-size", "64", "--tissue", "none"]
    result = CliRunner().invoke(app, [*arguments, "--mpp", "0.5", "--mpp", "2"])
    assert result.exit_code == 0, result.output
    assert sorted(Grid.read(path).mpp for path in tmp_path.glob("*.h5")) == [0.5, 0.5, 2.0, 2.0]
    assert "2 slides: 2 done" in result.output
    result = CliRunner().invoke(app, [*arguments, "--mpp", "0.5", "--mpp", "2"])
    assert "2 slides: 2 cached" in result.output


def test_a_model_is_fitted_and_predicts_from_the_folder_of_both(slides, tmp_path):
    table = pd.DataFrame({"path": slides, "patient": ["a", "b", "c"], "score": [1.0, 2.0, 3.0]})
    table.to_csv(tmp_path / "table.csv", index=False)
    grids, model = str(tmp_path / "grids"), str(tmp_path / "model")
    settings = ["--mpp", "0.5", "--mpp", "1", "--patch-size", "64", "--tissue", "none"]
    for command in (
        ["compress", str(tmp_path / "table.csv"), "--out", grids, *settings],
        ["fit", str(tmp_path / "table.csv"), "--task", "regression", "--target", "score", "--grids", grids]
        + ["--out", model, "--max-steps", "2"],
        ["predict", str(tmp_path / "table.csv"), "--model", model, "--out", str(tmp_path / "predictions.csv")],
    ):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
    assert "3 cached" in result.output
    fitted = load_estimator(tmp_path / "model" / "model.safetensors")
    X = SlideCompressor(mpp=[0.5, 1.0], patch_size=64, tissue=None, cache_dir=grids).transform(slides)
    found = pd.read_csv(tmp_path / "predictions.csv")["prediction"]
    np.testing.assert_allclose(found, fitted.predict(X), rtol=1e-5)


def test_damage_at_any_magnification_is_kept():
    known = {"patch_size": 16, "slide_mpp": 0.5, "slide": "a"}
    fine = Grid(np.zeros((1, 1)), [[0, 0]], (4, 4), mpp=0.5, **known)
    coarse = Grid(np.zeros((1, 1)), [[0, 0]], (1, 1), mpp=2.0, damage="level 1", **known)
    assert stack_magnifications([fine, coarse]).header.damage == "level 1" and fine.header.damage is None
