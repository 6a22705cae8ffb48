"""Tables and columns of polars, where those of pandas go."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from sknic import CrossValEnsemble, GridCNNClassifier, GridCoxSurvival, SlideCompressor
from sknic.evaluation import SlideAndTable, added_value, aggregate, by_patient, estimate
from sknic.evaluation.baseline import MeanEmbedding

polars = pytest.importorskip("polars", reason="polars is not installed")

RNG = np.random.default_rng(0)
GRIDS = [RNG.normal(size=(3, 2, 2)).astype(np.float32) + i % 2 for i in range(24)]
TABLE = polars.DataFrame(
    {
        "event": [i % 3 > 0 for i in range(24)],
        "time": [1.0 + i // 2 for i in range(24)],
        "label": ["ab"[i % 2] for i in range(24)],
        "patient": [f"p{i // 2}" for i in range(24)],
        "age": [None, *RNG.normal(60, 5, 23)],
        "stage": [None, *(("I", "II", "III") * 8)[:23]],
    }
)
QUICK = {"n_filters": 4, "max_steps": 3, "device": "cpu", "random_state": 0}


@pytest.mark.parametrize(
    "model, y", [(GridCoxSurvival(**QUICK), ["event", "time"]), (GridCNNClassifier(**QUICK), "label")]
)
def test_targets_patients_and_weights_may_be_columns(model, y):
    options = {"groups": TABLE["patient"], "sample_weight": TABLE["time"]}
    found = CrossValEnsemble(model, cv=2, random_state=0).fit(GRIDS, TABLE[y], **options)
    pandas = {name: values.to_numpy() for name, values in options.items()}
    frame = as_pandas(TABLE)
    wanted = CrossValEnsemble(model, cv=2, random_state=0).fit(GRIDS, frame[y], **pandas)
    np.testing.assert_array_equal(found.oof_prediction_, wanted.oof_prediction_)
    assert found.oof_score().n == 12


def as_pandas(table):
    import pandas as pd

    return pd.DataFrame({column.name: column.to_list() for column in table.get_columns()})


def test_a_table_may_be_x():
    X = TABLE[["time", "event"]]
    ensemble = CrossValEnsemble(Ridge(), cv=2, random_state=0).fit(X, TABLE["time"])
    assert ensemble.predict(X).shape == (24,)


def test_clinical_data_beside_slides():
    X = TABLE[["age", "stage"]].with_columns(polars.Series("grid", GRIDS, dtype=polars.Object))
    model = SlideAndTable(make_pipeline(MeanEmbedding(), LogisticRegression()), cv=2, random_state=0)
    fitted = model.fit(X, TABLE["label"], groups=TABLE["patient"])
    frame = as_pandas(X)
    again = SlideAndTable(make_pipeline(MeanEmbedding(), LogisticRegression()), cv=2, random_state=0)
    wanted = again.fit(frame, TABLE["label"].to_list(), groups=TABLE["patient"].to_list())
    np.testing.assert_allclose(fitted.predict_proba(X), wanted.predict_proba(frame))
    options = {"groups": TABLE["patient"], "cv": 2, "n_resamples": 20, "random_state": 0}
    assert len(added_value(model, X, TABLE["label"], **options).predictions) == 24


def test_measures_and_paths():
    assert estimate("accuracy", TABLE["label"], TABLE["label"], groups=TABLE["patient"]).n == 12
    names, means = aggregate(TABLE["time"], TABLE["patient"])
    assert dict(zip(names, means))["p3"] == 4.0
    assert len(by_patient(GRIDS, TABLE["patient"], TABLE["time"])[0]) == 12
    SlideCompressor().fit(polars.Series(["a.svs"]))
