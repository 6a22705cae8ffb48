import os
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sknic import Slide, SlideCompressor
from sknic.compression.inputs import RULES
from sknic.exceptions import CompressionError, MppWarning, SlideFailureWarning, TissueWarning
from sknic.grids import orient

from .conftest import MeanEncoder, tissue, write_slide


def pooled(grids):
    return np.stack([grid.embeddings.astype(float).mean(0) for grid in grids])


def test_the_data_free_checks_of_scikit_learn_pass(data_free_checks, encoder):
    for check in data_free_checks:
        check("SlideCompressor", SlideCompressor(encoder))


def test_each_embedding_is_the_encoder_on_the_pixels_of_its_cell(slides, encoder):
    (grid,) = SlideCompressor(encoder).fit_transform(slides[:1])
    assert grid.shape == (20, 20)
    assert 200 < grid.n_cells < 300
    with Slide(slides[0]) as slide:
        for (row, column), embedding in zip(grid.cells, grid.embeddings):
            patch = slide.read(column * 32, row * 32, 32, 32, mpp=0.5)
            np.testing.assert_allclose(embedding, patch.mean((0, 1)), rtol=1e-3)


def test_a_stride_smaller_than_the_patch_overlaps_patches(slides, encoder):
    (grid,) = SlideCompressor(encoder, stride=16, patch_size=32).transform(slides[:1])
    assert grid.shape == (40, 40)
    assert (grid.patch_size, grid.stride) == (32, 16)


def test_without_a_mask_bright_patches_are_dropped(slides, encoder):
    (grid,) = SlideCompressor(encoder, tissue=None).transform(slides[:1])
    assert grid.n_cells == 16 * 16
    assert (grid.embeddings.mean(1) < 245).all()


def test_a_mask_function_decides(slides, encoder):
    def left_half(slide):
        mask = np.zeros((10, 10), bool)
        mask[:, :5] = True
        return mask

    (grid,) = SlideCompressor(encoder, tissue=left_half).transform(slides[:1])
    assert grid.n_cells == 200
    assert grid.cells[:, 1].max() == 9


def test_eight_orientations_are_those_of_the_turned_pixels(tmp_path):
    class CornerEncoder(MeanEncoder):
        def transform(self, patches):
            return patches[:, :8, :4].mean(axis=(1, 2), dtype=np.float32)

    pixels = tissue(0)
    path = write_slide(tmp_path / "slide.tiff", pixels)
    (grid,) = SlideCompressor(CornerEncoder(), tissue=None, orientations=8).transform([path])
    with Slide(path) as slide:
        decoded = slide.read(0, 0, 640, 640, mpp=0.5)
    for k, version in enumerate(grid.orientations):
        turned = orient(decoded.transpose(2, 0, 1), k).transpose(1, 2, 0)
        for (row, column), embedding in list(zip(version.cells, version.embeddings))[::17]:
            corner = turned[row * 32 : row * 32 + 8, column * 32 : column * 32 + 4]
            np.testing.assert_allclose(embedding, corner.mean((0, 1)), rtol=1e-3)


@pytest.mark.parametrize(
    "make",
    [list, tuple, np.array, lambda p: np.array(p, object), pd.Series, lambda p: pd.Series(p, dtype="string"),
     lambda p: [Path(x) for x in p], lambda p: pd.DataFrame({"slide": p})],
)  # fmt: skip
def test_paths_come_in_any_container(make, slides, encoder):
    grids = SlideCompressor(encoder).transform(make(slides))
    assert grids.shape == (3,)
    assert [grid.slide for grid in grids] == slides


@pytest.mark.parametrize("X", ["slide.svs", [1, 2], [["a", "b"]]])
def test_what_is_no_list_of_paths_is_refused(X, encoder):
    with pytest.raises(ValueError, match="path"):
        SlideCompressor(encoder).fit(X)


WRONG = [
    ("mpp", 50), ("mpp", "0.5"), ("mpp", float("nan")), ("patch_size", 0), ("patch_size", True), ("stride", 1.5),
    ("min_tissue", 1.0), ("min_tissue", -0.1), ("min_tissue", None), ("orientations", 4), ("orientations", "8"),
    ("on_error", "ignore"), ("slide_mpp", "0.5"), ("slide_mpp", 0), ("batch_size", 0), ("batch_size", 2.5),
    ("n_jobs", "a"), ("n_jobs", 0), ("device", "gpu"), ("device", 3), ("precision", "half"), ("cache_dir", 7),
    ("verbose", "loud"), ("tissue", "otus"), ("tissue", 5),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_with_its_name_before_any_slide_is_opened(name, value, encoder):
    compressor = SlideCompressor(encoder, **{name: value})
    for use in (compressor.fit, compressor.transform, compressor.plan):
        with pytest.raises(ValueError, match=rf"^{name}=.*: expected "):
            use(["a.svs"])


def test_a_typing_error_is_answered_with_what_was_meant(encoder):
    with pytest.raises(ValueError, match=r"did you mean 'otsu'\?"):
        SlideCompressor(encoder, tissue="otus").fit(["a.svs"])


def test_a_gpu_that_is_not_there_is_one_error_before_any_slide_is_opened(encoder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=r"^device='cuda': expected 'auto' or 'cpu'"):
        SlideCompressor(encoder, device="cuda").transform(["a.svs", "b.svs"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match=r"^device='cuda:2': expected 'cuda:0' to 'cuda:1'"):
        SlideCompressor(encoder, device="cuda:2").transform(["a.svs"])


def test_all_arguments_but_the_encoder_are_given_by_name(encoder):
    with pytest.raises(TypeError):
        SlideCompressor(encoder, 0.5)


def test_every_parameter_has_a_rule(encoder):
    assert {*RULES, "encoder"} == set(SlideCompressor(encoder).get_params(deep=False))


def test_the_output_has_one_name_and_no_table(encoder):
    assert SlideCompressor(encoder).get_feature_names_out().tolist() == ["grid"]
    assert not hasattr(SlideCompressor(encoder), "set_output")


def test_an_encoder_without_um_per_px_needs_them_as_a_setting(slides):
    class Plain(MeanEncoder):
        mpp = None

    with pytest.raises(ValueError, match=r"^mpp=None: expected"):
        SlideCompressor(Plain()).fit(slides)
    assert SlideCompressor(Plain(), mpp=0.5).transform(slides[:1])[0].n_cells


@pytest.mark.parametrize("value, dtype", [(7e4, "float32"), (100.0, "float16")])
def test_embeddings_that_float16_cannot_hold_stay_numbers(value, dtype, slides):
    class Scaled(MeanEncoder):
        def transform(self, patches):
            return np.full((len(patches), 3), value, np.float32)

    (grid,) = SlideCompressor(Scaled()).transform(slides[:1])
    assert grid.embeddings.dtype == dtype
    assert (grid.embeddings == value).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_embeddings_that_are_not_finite_fail_the_slide(value, slides):
    class Broken(MeanEncoder):
        def transform(self, patches):
            return np.full((len(patches), 3), value)

    with pytest.raises(CompressionError, match=r"the encoder's output: \d+ of \d+ numbers are NaN or infinite"):
        SlideCompressor(Broken()).transform(slides[:1])


def test_a_fitted_encoder_survives_clone_and_pickle(encoder):
    compressor = SlideCompressor(encoder, stride=16)
    assert clone(compressor).encoder is encoder
    assert clone(make_pipeline(compressor))[0].encoder is encoder
    assert clone(compressor).stride == 16
    assert pickle.loads(pickle.dumps(compressor)).encoder.name == "mean"


def test_a_frozen_encoder_serves(slides, encoder):
    grids = SlideCompressor(FrozenEstimator(encoder)).transform(slides[:1])
    assert grids[0].fingerprint == "mean"


def test_an_unfitted_encoder_is_refused(slides):
    from sknic import MultitaskEncoder

    with pytest.raises(NotFittedError):
        SlideCompressor(MultitaskEncoder()).fit(slides)


def test_what_is_no_encoder_is_refused(slides):
    with pytest.raises(TypeError, match="fingerprint"):
        SlideCompressor(object()).fit(slides)


def test_it_runs_in_cross_validation_and_search(slides, encoder):
    pipe = make_pipeline(SlideCompressor(encoder), FunctionTransformer(pooled), Ridge())
    scores = cross_val_score(pipe, slides, [1.0, 2.0, 3.0], cv=3, scoring="neg_mean_absolute_error")
    assert np.isfinite(scores).all()
    blind, seeing = BlindEncoder("blind"), encoder
    target = pooled(SlideCompressor(encoder).transform(slides))[:, 0]
    candidates = {"slidecompressor__encoder": [blind, seeing], "ridge__alpha": [1e-6]}
    search = GridSearchCV(pipe, candidates, cv=3, scoring="neg_mean_absolute_error").fit(slides, target)
    assert search.best_estimator_[0].encoder.name == "mean"
    assert search.cv_results_["mean_test_score"][1] > search.cv_results_["mean_test_score"][0]


class BlindEncoder(MeanEncoder):
    """Says the same of every patch."""

    def transform(self, patches):
        return np.ones_like(super().transform(patches))


def test_the_representations_name_the_encoder(encoder):
    compressor = SlideCompressor(encoder, stride=16)
    assert "MeanEncoder" in repr(compressor)
    assert "stride=16" in repr(compressor)
    assert "MeanEncoder" in compressor._repr_html_()


def test_an_all_white_slide_is_an_empty_grid_and_a_warning(tmp_path, encoder):
    path = write_slide(tmp_path / "white.tiff", np.full((640, 640, 3), 255, np.uint8))
    with pytest.warns(TissueWarning, match=r"1 of 1 slide without tissue:\n.*white\.tiff: no patch is more than 60%"):
        (grid,) = SlideCompressor(encoder).transform([path])
    assert (grid.n_cells, grid.shape, grid.code_size) == (0, (20, 20), 3)


def test_a_slide_without_um_per_px_fails_clearly_and_slide_mpp_mends_it(tmp_path, encoder):
    path = write_slide(tmp_path / "plain.tiff", tissue(0), mpp=None)
    with pytest.raises(CompressionError, match="slide_mpp"):
        SlideCompressor(encoder).transform([path])
    for slide_mpp in (0.5, {path: 0.5}, {"plain.tiff": 0.5}, {"plain": 0.5}, pd.Series({"plain": 0.5})):
        assert SlideCompressor(encoder, slide_mpp=slide_mpp).transform([path])[0].n_cells > 100


@pytest.mark.parametrize("form", [str, Path, lambda path: f"./{path}", os.path.abspath, lambda path: Path(path).name])
@pytest.mark.parametrize("asked", [str, Path, lambda path: f"./{path}", os.path.abspath])
def test_stated_um_per_px_are_found_however_a_path_is_written(tmp_path, encoder, monkeypatch, form, asked):
    (tmp_path / "folder").mkdir()
    write_slide(tmp_path / "folder" / "a.tiff", tissue(0), mpp=0.5)
    monkeypatch.chdir(tmp_path)
    stated = {form("folder/a.tiff"): 0.25}
    (grid,) = SlideCompressor(encoder, slide_mpp=stated).transform([asked("folder/a.tiff")])
    assert grid.slide_mpp == 0.25


def test_a_slide_whose_um_per_px_are_not_stated_is_told_of(slides, encoder):
    stated = pd.Series({slides[0]: 0.25, slides[1] + "x": 0.25, slides[2]: np.nan})
    with pytest.warns(MppWarning, match=rf"does not name 1 of 3 slides, such as {slides[1]}"):
        grids = SlideCompressor(encoder, slide_mpp=stated).transform(slides[:3])
    assert [grid.slide_mpp for grid in grids] == [0.25, 0.5, 0.5]
    with pytest.raises(ValueError, match="slide_mpp: 0 is not the path of a slide"):
        SlideCompressor(encoder, slide_mpp=pd.Series([0.25] * 3)).transform(slides[:3])


def test_a_bad_slide_costs_one_slide(slides, tmp_path, encoder):
    bad = tmp_path / "bad.svs"
    bad.write_text("no slide")
    paths = [slides[0], str(bad), slides[1]]
    with pytest.raises(CompressionError, match=r"1 of 3.*\n.*bad\.svs") as caught:
        SlideCompressor(encoder).transform(paths)
    assert list(caught.value.failures) == [str(bad)]
    assert [grid is None for grid in caught.value.grids] == [False, True, False]
    with pytest.warns(SlideFailureWarning, match=r"bad\.svs"):
        grids = SlideCompressor(encoder, on_error="skip").transform(paths)
    assert [grid.n_cells > 0 for grid in grids] == [True, False, True]
    assert grids[1].code_size == 3


class HalvingEncoder(MeanEncoder):
    """Off by a share in half precision."""

    def __init__(self, name="mean", error=0.0):
        super().__init__(name)
        self.error = error

    def embedder(self, device="cpu", precision="float32"):
        return lambda patches: self.transform(patches) * (1 + self.error * (precision != "float32"))


def test_half_precision_that_is_close_enough_has_grids_of_its_own(slides, tmp_path):
    full, half = (
        SlideCompressor(HalvingEncoder(error=0.005), precision=precision, cache_dir=tmp_path / "grids").transform(
            slides
        )
        for precision in ("float32", "float16")
    )
    assert full[0].path != half[0].path
    np.testing.assert_allclose(half[0].embeddings, full[0].embeddings, rtol=0.01)


@pytest.mark.parametrize("native", ["bfloat16", "float32"])
def test_fast_is_what_the_machine_computes_natively_and_the_grid_says_which(slides, tmp_path, monkeypatch, native):
    monkeypatch.setattr("sknic.compression.compressor.resolve_precision", lambda precision, device: native)
    encoder = HalvingEncoder(error=0.005)
    fast, same = (
        SlideCompressor(encoder, precision=precision, cache_dir=tmp_path / "grids").transform(slides[:1])[0]
        for precision in ("fast", native)
    )
    assert fast.header.precision == native
    assert fast.path == same.path
    exact = SlideCompressor(encoder).transform(slides[:1])[0]
    assert np.array_equal(fast.embeddings, exact.embeddings) == (native == "float32")


def test_half_precision_that_changes_the_embeddings_fails_the_slide(slides):
    with pytest.raises(CompressionError, match=r"precision='float16' changes the embeddings by 5\.00%"):
        SlideCompressor(HalvingEncoder(error=0.05), precision="float16").transform(slides[:1])


def test_half_precision_needs_an_encoder_that_offers_it(slides, encoder):
    with pytest.raises(CompressionError, match="has only transform"):
        SlideCompressor(encoder, precision="float16").transform(slides[:1])
