import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from sknic.datasets.drawing.histology import tissue_map
from sknic.datasets.drawing.layout import BACKGROUND, HOT, NORMAL, PATTERNS, STROMA, TUMOUR, draw_layout
from sknic.datasets.drawing.tissue import NAMES

SHAPES = [(20, 20), (24, 30), (48, 48)]


def draw(pattern, seed, shape=(24, 24), fraction=0.18, hot_share=0.15, clustering=0.5):
    return draw_layout(shape, pattern, fraction, hot_share, clustering, np.random.RandomState(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_both_patterns_have_the_same_amount_of_every_tissue(shape, seed):
    counts = [np.bincount(draw(pattern, seed, shape).cells.ravel(), minlength=5) for pattern in PATTERNS]
    np.testing.assert_array_equal(*counts)
    assert counts[0].all()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", range(4))
def test_stroma_surrounds_the_tumour_in_one_pattern_and_keeps_away_in_the_other(shape, seed):
    for pattern in PATTERNS:
        cells = draw(pattern, seed, shape).cells
        around = binary_dilation(cells >= TUMOUR, np.ones((3, 3))) & (cells < TUMOUR) & (cells > BACKGROUND)
        assert (cells[around] == (STROMA if pattern == "desmoplastic" else NORMAL)).all()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_drawn_slide_has_the_pixels_of_tissue_that_its_layout_has(pattern):
    layout = draw(pattern, 5)
    drawn = tissue_map(layout, np.random.RandomState(0))
    for cell, names in {TUMOUR: ["tumour"], HOT: ["proliferating"], BACKGROUND: ["glass"]}.items():
        assert np.isin(drawn, [NAMES.index(name) for name in names]).sum() == 16**2 * (layout.cells == cell).sum()
    stroma = (drawn == NAMES.index("stroma")).sum() / 16**2 / (layout.cells == STROMA).sum()
    assert 0.85 < stroma <= 1  # the rest is clusters of lymphocytes


@pytest.mark.parametrize("seed", range(4))
def test_tissue_lies_inside_a_white_margin(seed):
    cells = draw("replacement", seed).cells
    edge = np.concatenate([cells[0], cells[-1], cells[:, 0], cells[:, -1]])
    assert (edge == BACKGROUND).all()
    assert 0.3 < (cells > BACKGROUND).mean() < 0.8


def test_clustering_raises_the_hotspot_and_leaves_the_amount():
    strewn, together = (draw("replacement", 3, (48, 48), clustering=share) for share in (0.0, 1.0))
    assert (strewn.cells == HOT).sum() == (together.cells == HOT).sum()
    assert together.hotspot > 1.5 * strewn.hotspot


def test_amounts_of_tissue_do_not_tell_the_patterns_apart():
    rng, amounts, patterns = np.random.RandomState(0), [], []
    for number in range(200):
        pattern = PATTERNS[number % 2]
        layout = draw_layout((24, 24), pattern, rng.uniform(0.1, 0.28), rng.uniform(0.06, 0.24), rng.uniform(), rng)
        amounts.append([layout.tumour_fraction, layout.hot_fraction, layout.stroma_fraction])
        patterns.append(pattern == "replacement")
    chance = cross_val_predict(LogisticRegression(C=1e3), amounts, patterns, cv=5, method="predict_proba")[:, 1]
    assert 0.38 < roc_auc_score(patterns, chance) < 0.62


@pytest.mark.parametrize(
    "shape, pattern, fraction, message",
    [((24, 24), "pushing", 0.2, "pattern='pushing'"), ((19, 40), "replacement", 0.2, "at least 20 x 20")],
)
def test_bad_arguments_are_named(shape, pattern, fraction, message):
    with pytest.raises(ValueError, match=message):
        draw(pattern, 0, shape, fraction)
