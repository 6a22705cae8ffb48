"""Displays draw what they are given on the axes they are given, and show nothing by themselves."""

import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from sknic.evaluation import CrossValEnsemble, estimate, net_benefit, split_by_risk
from sknic.exceptions import DegenerateDataError
from sknic.grids import Grid
from sknic.plotting import (
    DecisionCurveDisplay,
    FeatureMapsDisplay,
    GridDisplay,
    KaplanMeierDisplay,
    LearningCurveDisplay,
    RejectionDisplay,
    RocDisplay,
    SaliencyDisplay,
    ScatterDisplay,
    TissueDisplay,
    overlay,
    pca_rgb,
)
from sknic.plotting.style import COLORS
from sknic.slides import Slide

RNG = np.random.RandomState(0)
PATIENT = np.repeat(np.arange(40), 2)
X = RNG.normal(size=(80, 3))
SCORE = X[:, 0] + 0.5 * RNG.normal(size=80)
LABEL = np.where(SCORE > 0, "tumour", "benign")
SURVIVAL = Surv.from_arrays((RNG.rand(40) < 0.6)[PATIENT], np.exp(-X[::2, 0])[PATIENT] + 0.2)
CELLS = np.argwhere(np.add.outer(np.arange(9), np.arange(14)) % 5 > 0)
GRID = Grid(RNG.normal(size=(len(CELLS), 8)), CELLS, (9, 14), mpp=0.5, patch_size=128)
HISTORY = [
    {"epoch": 1, "train_loss": 1.0, "valid_loss": 1.2, "lr": 1e-2, "event_best": True},
    {"epoch": 2, "train_loss": 0.6, "valid_loss": 0.9, "lr": 1e-2, "event_best": True},
    {"epoch": 3, "train_loss": 0.5, "valid_loss": 1.0, "lr": 1e-3, "event_best": False},
]

CHARTS = {
    "grid": lambda ax: GridDisplay.from_grid(GRID, ax=ax),
    "features": lambda ax: FeatureMapsDisplay.from_grid(GRID, 5, ax=ax),
    "saliency": lambda ax: SaliencyDisplay.from_grid(GRID, RNG.rand(9, 14), ax=ax),
    "survival": lambda ax: KaplanMeierDisplay.from_predictions(SURVIVAL, X[:, 0], groups=PATIENT, ax=ax),
    "scatter": lambda ax: ScatterDisplay.from_predictions(SCORE, X[:, 0], groups=PATIENT, ax=ax),
    "roc": lambda ax: RocDisplay.from_predictions(LABEL, X[:, 0], groups=PATIENT, ax=ax),
    "decision": lambda ax: DecisionCurveDisplay.from_predictions(LABEL, 1 / (1 + np.exp(-X[:, 0])), ax=ax),
    "rejection": lambda ax: RejectionDisplay.from_predictions("spearman", SCORE, X[:, 0], X[:, 1], ax=ax),
    "learning": lambda ax: LearningCurveDisplay([HISTORY]).plot(ax),
}


class Remembering(Ridge):
    """A regressor with the history of a network."""

    def fit(self, X, y):
        self.history_ = HISTORY
        return super().fit(X, y)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def _texts(ax):
    return [text.get_text() for text in ax.texts]


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_a_display_draws_on_the_axes_given_and_makes_no_other_figure(draw):
    figure, ax = plt.subplots()
    display = draw(ax)
    assert display.ax_ is ax and display.figure_ is figure and plt.get_fignums() == [figure.number]
    assert ax.has_data()


@pytest.mark.parametrize("draw", CHARTS.values(), ids=CHARTS)
def test_a_display_without_axes_makes_a_figure_that_can_be_saved(draw, tmp_path):
    draw(None).figure_.savefig(tmp_path / "picture.png", dpi=50)
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_importing_the_displays_chooses_no_backend():
    code = "import matplotlib as m, sknic.plotting; print(m.rcParams._get_backend_or_none())"
    environment = {"PATH": "", "HOME": "/nonexistent", "MPLCONFIGDIR": plt.matplotlib.get_configdir()}
    command = [sys.executable, "-W", "ignore", "-c", code]
    assert subprocess.run(command, check=True, env=environment, capture_output=True, text=True).stdout == "None\n"


def test_similar_cells_get_similar_colours_and_background_is_white():
    embeddings = np.repeat(np.eye(3), [40, 40, len(CELLS) - 80], axis=0) + 0.01 * RNG.normal(size=(len(CELLS), 3))
    image = pca_rgb(Grid(embeddings, CELLS, (9, 14)))
    tissue = np.zeros((9, 14), bool)
    tissue[tuple(CELLS.T)] = True
    assert (image[~tissue] == 1).all() and image.min() >= 0 and image.max() <= 1
    colours = image[tuple(CELLS.T)]
    within = np.ptp(colours[:40], axis=0)[:2].max()
    between = np.abs(colours[:40].mean(axis=0) - colours[40:80].mean(axis=0)).max()
    assert within < 0.3 * between


def test_a_colour_means_the_same_in_grids_that_are_coloured_together():
    half = len(CELLS) // 2
    whole = pca_rgb(GRID)
    parts = pca_rgb(*(Grid(GRID.embeddings[rows], CELLS[rows], (9, 14)) for rows in (slice(half), slice(half, None))))
    for image, rows in zip(parts, (slice(half), slice(half, None))):
        np.testing.assert_allclose(image[tuple(CELLS[rows].T)], whole[tuple(CELLS[rows].T)], atol=1e-5)


@pytest.mark.parametrize("embeddings, n", [(np.ones((5, 8)), 5), (np.zeros((0, 8)), 0), (np.eye(5, 2), 5)])
def test_a_grid_without_three_components_has_no_colors(embeddings, n):
    with pytest.raises(DegenerateDataError, match=f"{n} cells of"):
        pca_rgb(Grid(embeddings, CELLS[:n], (9, 14)))


def test_axes_of_a_grid_are_in_mm_where_its_scale_is_known_and_in_cells_elsewhere():
    ax = GridDisplay.from_grid(GRID).ax_
    assert ax.get_xlabel() == "x (mm)" and ax.get_xlim()[1] == pytest.approx(14 * 128 * 0.5 / 1000)
    assert GridDisplay.from_grid(Grid(GRID.embeddings, CELLS, (9, 14))).ax_.get_xlabel() == "x (cells)"


def test_the_features_that_vary_most_are_mapped_unless_others_are_asked_for():
    varied = Grid(GRID.embeddings * 1.5 ** np.arange(8), CELLS, (9, 14))
    assert _texts(FeatureMapsDisplay.from_grid(varied, 2).ax_) == ["feature 7", "feature 6"]
    assert _texts(FeatureMapsDisplay.from_grid(varied, [3, 0]).ax_) == ["feature 3", "feature 0"]


def test_survival_shows_the_p_value_the_ratio_and_the_numbers_at_risk():
    display = KaplanMeierDisplay.from_predictions(SURVIVAL, X[:, 0], groups=PATIENT, time_unit="years")
    summary = display.ax_.get_legend().get_title().get_text()
    assert summary.startswith("log-rank p") and "hazard ratio" in summary
    assert _texts(display.ax_)[:3] == ["at risk", "low", str(display.groups.low.n)]
    assert display.ax_.get_xlabel() == "Time (years)"
    assert display.groups.low.n + display.groups.high.n == 40


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_patient_followed_until_a_tick_is_at_risk_there(dtype):
    times = np.array([0.2, 0.4, 0.6, 0.8, 1.0, 1.2] * 2, dtype)
    risk = np.repeat([0.0, 1.0], 6) + np.linspace(0, 0.1, 12)
    display = KaplanMeierDisplay.from_predictions(Surv.from_arrays(np.ones(12, bool), times), risk)
    counts = ["6", "6", "5", "4", "3", "2", "1"]
    assert _texts(display.ax_) == ["at risk", "low", *counts, "high", *counts]


def test_survival_curves_are_steps_from_one_through_the_estimates():
    display = KaplanMeierDisplay(split_by_risk(SURVIVAL, X[:, 0], groups=PATIENT)).plot(at_risk=False)
    time, survival = display.lines_[1].get_data()
    high = display.groups.high
    assert (time[0], survival[0]) == (0, 1) and display.lines_[1].get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(survival[1:-1], high.survival)


def test_scatter_and_roc_state_the_estimate_and_its_interval():
    scatter = ScatterDisplay.from_predictions(SCORE, X[:, 0], groups=PATIENT, unit="mitoses")
    by_patient = estimate("spearman", SCORE, X[:, 0], groups=PATIENT)
    assert scatter.ax_.get_title("left") == f"Spearman {by_patient}, n = 40 patients"
    assert scatter.ax_.get_xlabel() == "True (mitoses)"
    roc = RocDisplay.from_predictions(LABEL, X[:, 0], groups=PATIENT)
    assert roc.area.value == pytest.approx(roc_auc_score(LABEL, X[:, 0]))
    assert str(roc.area) in roc.ax_.get_legend().get_texts()[0].get_text()
    at = np.interp(np.linspace(0, 1, len(roc.low)), roc.fpr, roc.tpr)
    assert np.mean((roc.low - 1e-9 <= at) & (at <= roc.high + 1e-9)) > 0.9


def test_the_title_of_a_scatter_plot_says_what_was_counted():
    values, noise = np.arange(12.0), np.tile([0.0, 5.0, 1.0], 4)
    titles = [
        ScatterDisplay.from_predictions(values, values + noise, groups=groups).ax_.get_title("left")
        for groups in (np.repeat(list("abcd"), 3), None)
    ]
    assert [title.split(", ")[-1] for title in titles] == ["n = 4 patients", "n = 12 slides"]


def test_several_targets_are_not_drawn_as_one():
    both = np.column_stack([SCORE, SCORE + 100])
    with pytest.raises(ValueError, match="ScatterDisplay takes one target per slide, and y has several columns"):
        ScatterDisplay.from_predictions(both, both)
    with pytest.raises(ValueError, match="ScatterDisplay takes one target"):
        ScatterDisplay.from_estimator(Ridge().fit(X, both), X, both)
    one = ScatterDisplay.from_predictions(both[:, :1], X[:, :1])
    assert one.spearman.value == estimate("spearman", SCORE, X[:, 0]).value


def test_a_class_too_rare_for_a_band_still_has_a_curve():
    rare = np.arange(len(X)) < 2
    roc = RocDisplay.from_predictions(rare, X[:, 0])
    assert roc.low is None and not roc.ax_.collections
    assert roc.area.value == pytest.approx(roc_auc_score(rare, X[:, 0]))


def test_models_on_the_same_roc_axes_get_their_own_colors():
    first = RocDisplay.from_predictions(LABEL, X[:, 0], name="a")
    second = RocDisplay.from_predictions(LABEL, X[:, 1], name="b", ax=first.ax_)
    assert first.line_.get_color() != second.line_.get_color()
    assert len(first.ax_.get_legend().get_texts()) == 2


def test_displays_come_from_fitted_estimators():
    ridge, logistic = Ridge().fit(X, SCORE), LogisticRegression().fit(X, LABEL)
    cox = CoxPHSurvivalAnalysis().fit(X, SURVIVAL)
    assert (ScatterDisplay.from_estimator(ridge, X, SCORE).y_pred == ridge.predict(X)).all()
    area = RocDisplay.from_estimator(logistic, X, LABEL).area.value
    assert area == pytest.approx(roc_auc_score(LABEL, logistic.predict_proba(X)[:, 1]))
    groups = KaplanMeierDisplay.from_estimator(cox, X, SURVIVAL, groups=PATIENT).groups
    assert groups.threshold == split_by_risk(SURVIVAL, cox.predict(X), groups=PATIENT).threshold


def test_learning_curves_mark_the_weights_that_were_kept():
    ax = LearningCurveDisplay([HISTORY]).plot().ax_
    kept = [line for line in ax.lines if line.get_label() == "weights kept"]
    assert [line.get_data() for line in kept] == [([2], [0.9])]


def test_learning_curves_of_an_ensemble_of_pipelines_show_every_model():
    ensemble = CrossValEnsemble(make_pipeline(FunctionTransformer(), Remembering()), cv=2).fit(X, SCORE)
    display = LearningCurveDisplay.from_estimator(ensemble)
    assert len(display.histories) == 2 and len(display.lines_) == 4
    with pytest.raises(ValueError, match="Ridge has no history_"):
        LearningCurveDisplay.from_estimator(Ridge())


@pytest.fixture(scope="module")
def real_slide(test_data):
    with Slide(test_data / "slides" / "CMU-1-Small-Region.svs") as slide:
        yield slide


def test_the_tissue_of_a_real_slide_is_outlined_in_mm(real_slide):
    display = TissueDisplay.from_slide(real_slide, max_size=256)
    assert display.ax_.get_xlim()[1] == pytest.approx(2220 * 0.499 / 1000, rel=0.01)
    assert 0.1 < display.mask.mean() < 0.6 and display.ax_.collections
    real_slide.read(0, 0, 8, 8)  # still open
    with pytest.raises(ValueError, match="tissue=None"):
        TissueDisplay.from_slide(real_slide, tissue=None)


def test_saliency_lies_on_the_same_pixels_in_the_display_and_the_overlay(real_slide):
    grid = Grid(np.ones((1, 3)), [[9, 4]], (23, 17), mpp=0.5, patch_size=128)
    saliency = np.zeros((23, 17))
    saliency[9, 4] = 1
    display = SaliencyDisplay.from_grid(grid, saliency, slide=real_slide.path, max_size=512)
    left, right, bottom, top = display.image_.get_extent()
    assert (right - left) / 17 == pytest.approx(0.064) and (bottom - top) / 23 == pytest.approx(0.064)
    picture, (thumbnail, mpp) = overlay(real_slide.path, saliency, grid, max_size=512), real_slide.thumbnail(512)
    rows, columns = np.nonzero((picture != thumbnail).any(axis=2))
    for places, first in ((rows, 9 * 64), (columns, 4 * 64)):
        assert places.min() * mpp == pytest.approx(first, abs=mpp)
        assert (places.max() + 1) * mpp == pytest.approx(first + 64, abs=mpp)


def test_a_decision_curve_lies_at_the_prevalence_for_low_thresholds_and_at_zero_for_high_ones():
    display = DecisionCurveDisplay.from_predictions([0, 0, 0, 1], [0.2, 0.3, 0.2, 0.8], name="CNN")
    at, benefit = display.line_.get_data()
    assert benefit[at < 0.2] == pytest.approx(0.25 - 0.75 * at[at < 0.2] / (1 - at[at < 0.2]))
    assert set(benefit[(at > 0.31) & (at <= 0.8)]) == {0.25}
    assert set(benefit[at > 0.81]) == {0}
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["CNN", "everybody", "nobody"]


def test_models_on_the_axes_of_one_decision_curve_have_a_color_each_and_common_references():
    truth, axes = [0, 0, 0, 1], plt.subplots()[1]
    said = {"a": [0.2, 0.3, 0.2, 0.8], "b": [0.1, 0.6, 0.2, 0.5], "c": [0.4, 0.4, 0.3, 0.9]}
    curves = [DecisionCurveDisplay.from_predictions(truth, said[name], name=name, ax=axes).line_ for name in said]
    assert [line.get_color() for line in curves] == list(COLORS[:3])
    assert [line.get_label() for line in axes.lines] == ["a", "everybody", "nobody", "b", "c"]
    assert axes.get_ylim() == pytest.approx((-0.3 * 0.25, 1.1 * 0.25), abs=1e-3)
    other = DecisionCurveDisplay.from_predictions([0, 1, 1, 1], said["a"], name="d", ax=axes)
    assert [line.get_label() for line in axes.lines[5:]] == ["d", "everybody, for d"]
    np.testing.assert_array_equal(axes.lines[6].get_ydata(), net_benefit([0, 1, 1, 1]))
    assert other.line_.get_color() == COLORS[3] and axes.get_ylim()[1] > 0.75


@pytest.mark.parametrize("names", [(None, None), ("a", "b")])
def test_rejection_curves_on_the_same_axes_have_a_color_each(names):
    axes = plt.subplots()[1]
    for name in names:
        RejectionDisplay.from_predictions("spearman", SCORE, X[:, 0], X[:, 1], name=name, ax=axes)
    assert [line.get_color() for line in axes.lines] == list(COLORS[:2])


def test_a_rejection_curve_keeps_the_slides_that_are_doubted_least():
    wrong = np.arange(10) >= 8
    truth = np.zeros(10, int)
    display = RejectionDisplay.from_predictions("accuracy", truth, wrong.astype(int), np.arange(10))
    np.testing.assert_allclose(display.line_.get_ydata(), [1] * 8 + [8 / 9, 0.8])
    again = RejectionDisplay.from_predictions("accuracy", truth, wrong, -np.arange(10), ax=display.ax_, name="inverted")
    np.testing.assert_allclose(again.line_.get_ydata(), [0, 0, *(1 - 2 / np.arange(3, 11))])
    assert display.ax_.get_ylabel() == "accuracy"


def test_the_legend_of_survival_covers_no_curve():
    display = KaplanMeierDisplay.from_predictions(SURVIVAL, X[:, 0], groups=PATIENT)
    display.figure_.canvas.draw()
    renderer = display.figure_.canvas.get_renderer()
    legend = display.ax_.get_legend().get_window_extent(renderer)
    assert legend.y0 >= display.ax_.get_window_extent(renderer).y1
    assert legend.y1 <= display.ax_._left_title.get_window_extent(renderer).y0 + 1
