"""Grids from a bank of embeddings: the layouts and targets of mosaic slides, and what models find in them."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknic import GridCNNClassifier, MeanRGBEncoder, SlideCompressor, load_encoder
from sknic.datasets import make_grid_cohort, make_mosaic_cohort
from sknic.evaluation import auc, estimate
from sknic.exceptions import DatasetError

from .helpers import ROLES, MeanColour, pack


@pytest.fixture
def root(tmp_path):
    pack(tmp_path / "patches", per_source=9)
    return tmp_path / "patches"


def grid_cohort(root, n_slides=12, **options):
    settings = {"cell_size": 32, "shape": (20, 20), "roles": ROLES, "bank_size": 60, "random_state": 0} | options
    return make_grid_cohort(root, n_slides, MeanColour(), **settings)


def test_layouts_targets_and_parts_are_those_of_the_mosaic(root, tmp_path):
    grids = grid_cohort(root)
    slides = make_mosaic_cohort(root, 12, tmp_path / "out", cell_size=32, shape=(20, 20), roles=ROLES, random_state=0)
    assert grids.table.equals(slides.table)
    assert grids.groups == slides.groups
    for ours, theirs in zip(grids.tissue, slides.tissue):
        np.testing.assert_array_equal(ours, theirs)


def test_a_cell_holds_an_embedding_of_its_kind_from_the_sources_of_its_part(root):
    cohort = grid_cohort(root)
    names = ["adeno", "healthy", "tubular", "serrated"]
    level = {f"{label}{s}": 20 + 55 * n + 7 * s for n, label in enumerate(names) for s in range(6)}
    for grid, part, tissue in zip(cohort.grids, cohort.table["part"], cohort.tissue):
        np.testing.assert_array_equal(grid.cells, np.argwhere(tissue > 0))
        shown = np.rint(np.asarray(grid.embeddings, float)[:, 0] * 255)
        kinds = tissue[tissue > 0]
        for label, kind in {"healthy": 1, "tubular": 2, "adeno": 3, "serrated": 4}.items():
            own = {level[group] for group in cohort.groups[part] if group.startswith(label)}
            assert set(shown[kinds == kind]) <= own


def test_the_same_seed_gives_the_same_grids_and_another_gives_others(root):
    first, again, other = (grid_cohort(root, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.grids[3].to_dense(), again.grids[3].to_dense())
    assert (
        first.grids[3].n_cells != other.grids[3].n_cells
        or (first.grids[3].embeddings != other.grids[3].embeddings).any()
    )


def test_a_selection_keeps_grids_beside_their_rows(root):
    cohort = grid_cohort(root)
    part = cohort.select([5, 2])
    assert part.grids == [cohort.grids[5], cohort.grids[2]]
    assert list(part.table["slide"]) == ["slide_0005", "slide_0002"]


def test_the_true_hazard_is_better_than_chance_and_no_score_of_the_layout_beats_it(root):
    cohort = grid_cohort(root, 400, bank_size=2)
    assert 0.65 < cohort.best_concordance < 0.9
    shuffled = cohort.table.assign(log_hazard=np.random.RandomState(0).permutation(cohort.table["log_hazard"]))
    blind = type(cohort)(cohort.paths, shuffled, grids=cohort.grids)
    assert blind.best_concordance < cohort.best_concordance - 0.1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"cell_size": 40}, DatasetError, "cell_size=40"),
        ({"bank_size": 0}, ValueError, "bank_size=0"),
        ({"reserve": 1.0}, ValueError, r"reserve=1\.0"),
        ({"roles": {"tumour": "polyp/adeno"}}, ValueError, "expected the keys"),
        ({"roles": {**ROLES, "hot": "polyp/bone"}}, DatasetError, "'polyp/bone'"),
    ],
)
def test_what_cannot_be_made_is_said(root, options, error, message):
    with pytest.raises(error, match=message):
        grid_cohort(root, **options)


def test_an_object_that_cannot_embed_is_refused(root):
    with pytest.raises(TypeError, match="expected a fitted encoder"):
        make_grid_cohort(root, 2, "sknic-he-1", roles=ROLES)


def pooled(cohort, grids, model):
    """Test part's truth and prediction of the tumour fraction by a linear model of the mean embedding."""
    means = np.array([np.asarray(grid.embeddings, np.float32).mean(0) for grid in grids])
    train = (cohort.table["part"] == "train").to_numpy()
    truth = cohort.table["tumour_fraction"].to_numpy()
    return truth[~train], make_pipeline(StandardScaler(), model).fit(means[train], truth[train]).predict(means[~train])


def test_grids_have_the_slides_and_targets_of_the_mosaic(test_data, tmp_path):
    options = {"shape": (20, 20), "reserve": 0.0, "parts": {"train": 0.5, "test": 0.5}, "random_state": 3}
    slides = make_mosaic_cohort(test_data / "patches", 4, tmp_path, **options)
    drawn = make_grid_cohort(test_data / "patches", 4, MeanRGBEncoder(), cell_size=128, **options)
    assert drawn.table.equals(slides.table)
    compressed = SlideCompressor(MeanRGBEncoder(), mpp=0.5, patch_size=128).transform(slides.paths)
    for one, other in zip(drawn.grids, compressed):
        # The rim of a slide may count as tissue or not.
        assert abs(one.n_cells - other.n_cells) < 0.1 * other.n_cells
        np.testing.assert_allclose(one.embeddings.mean(axis=0), other.embeddings.mean(axis=0), atol=0.1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_pooled_model_scores_the_same_on_grids_as_on_compressed_slides(test_data, tmp_path):
    options = {"shape": (20, 20), "reserve": 0.0, "parts": {"train": 0.5, "test": 0.5}, "random_state": 3}
    slides = make_mosaic_cohort(test_data / "patches", 60, tmp_path, **options)
    encoder = MeanRGBEncoder()
    compressed = SlideCompressor(encoder, mpp=0.5, patch_size=128).transform(slides.paths)
    drawn = make_grid_cohort(test_data / "patches", 60, encoder, cell_size=128, **options)
    assert drawn.table.equals(slides.table)
    truth, of_slides = pooled(slides, compressed, Ridge(1.0))
    _, of_grids = pooled(drawn, drawn.grids, Ridge(1.0))
    interval = estimate("spearman", truth, of_slides, groups=slides.patients[slides.table["part"] == "test"])
    assert interval.low <= spearmanr(truth, of_grids)[0] <= min(interval.high + 0.02, 1.0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_cnn_scores_the_same_on_grids_as_on_compressed_slides(test_data, tmp_path):
    options = {"shape": (24, 24), "reserve": 0.0, "parts": {"train": 0.5, "test": 0.5}, "random_state": 0}
    slides = make_mosaic_cohort(test_data / "patches", 120, tmp_path, n_jobs=2, **options)
    encoder = load_encoder(test_data / "encoders" / "encoder_multitask-4.h5")
    compressed = SlideCompressor(encoder, mpp=0.5, patch_size=128).transform(slides.paths)
    drawn = make_grid_cohort(test_data / "patches", 120, encoder, **options)
    train = (slides.table["part"] == "train").to_numpy()
    truth = (slides.table["pattern"] == "replacement").to_numpy()
    found = {}
    for name, grids in {"slides": compressed, "grids": drawn.grids}.items():
        model = GridCNNClassifier(max_steps=600, random_state=0)
        model.fit([g for g, chosen in zip(grids, train) if chosen], truth[train])
        found[name] = model.predict_proba([g for g, chosen in zip(grids, train) if not chosen])[:, 1]
    interval = estimate("auc", truth[~train], found["slides"], groups=slides.patients[~train])
    assert interval.low <= auc(truth[~train], found["grids"]) <= min(interval.high + 0.02, 1.0)


def test_amounts_of_tissue_do_not_tell_the_growth_pattern(root):
    cohort = grid_cohort(root, 200, bank_size=40)
    train = (cohort.table["part"] == "train").to_numpy()
    means = np.array([np.asarray(grid.embeddings, np.float32).mean(0) for grid in cohort.grids])
    truth = (cohort.table["pattern"] == "replacement").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(means[train], truth[train])
    assert 0.2 < auc(truth[~train], model.predict_proba(means[~train])[:, 1]) < 0.8
