"""Two slides of some kB with a grid each, and a model, as the viewer opens them."""

import numpy as np
import pytest

from sknic.estimators import GridCNNClassifier, GridCNNRegressor
from sknic.evaluation import CrossValEnsemble
from sknic.viewer import create_app, open_views

from .helpers import TOKEN, draw_slide, make_grid


@pytest.fixture(scope="session")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    return [draw_slide(folder / f"{name}.tiff", seed) for seed, name in enumerate(("left", "right"))]


@pytest.fixture(scope="session")
def grids(slides):
    return [make_grid(slide, seed) for seed, slide in enumerate(slides)]


@pytest.fixture(scope="session")
def model(grids):
    model = GridCNNRegressor(max_steps=32, n_filters=4, device="cpu", n_threads=1, random_state=0)
    return model.fit(grids * 2, [0.0, 1.0, 0.0, 1.0])


@pytest.fixture(scope="session")
def ensemble():
    """Of classifiers of "a" and "b"."""
    classifier = GridCNNClassifier(max_steps=8, n_filters=4, device="cpu", n_threads=1, random_state=0)
    ensemble = CrossValEnsemble(classifier, cv=2, random_state=0, baseline=False)
    return ensemble.fit([make_grid(f"{seed}.tiff", seed) for seed in range(2, 10)], np.array(["a", "b"] * 4))


@pytest.fixture(scope="session")
def views(slides, grids, model):
    return open_views(slides, grids, lambda: model, truth=[{"score": "0.25"}, {}])


@pytest.fixture(scope="session")
def app(views):
    return create_app(views, TOKEN)
