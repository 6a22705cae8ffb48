"""A new kind of target is one class: folds, ensemble, table reading and report know it without another line."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import PoissonRegressor

from sknic import CrossValEnsemble
from sknic.cli.cohort import read_targets
from sknic.exceptions import DegenerateDataError
from sknic.report import RunFolder, report_of_run
from sknic.targets import KINDS, Regression, register


@pytest.fixture
def counts():
    """Whole numbers, such as mitoses per slide; stratified by whether there is any."""

    class Counts(Regression):
        name = "counts"
        title = "Predicting a count"
        metrics = ("spearman",)
        score_metric = "spearman"

        def fits(self, estimator, y):
            return isinstance(estimator, PoissonRegressor)

        def read(self, y):
            y = super().read(y)
            if (y < 0).any() or (y % 1).any():
                raise ValueError("y: expected counts")
            return y

        def from_table(self, table, columns, event_value=None):
            y, note = super().from_table(table, columns)
            return self.read(y).astype(int), note

        def check(self, y, where="y"):
            if not y.any():
                raise DegenerateDataError(f"{where} counts nothing")

        def strata(self, y):
            return y > 0

    yield register(Counts)
    del KINDS["counts"]


def test_a_fourth_kind_goes_from_a_table_to_a_report(counts, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    y = rng.poisson(np.exp(X[:, 0]))
    paths = [f"slide_{i}.tiff" for i in range(40)]
    frame = pd.DataFrame({"path": paths, "patient": np.arange(40) // 2, "mitoses": y})
    frame.to_csv(tmp_path / "table.csv", index=False)

    columns = {"target": "mitoses", "event": None, "time": None}
    targets = read_targets(tmp_path / "table.csv", "counts", columns, path="path")
    assert targets.y.tolist() == y.tolist() and len(set(targets.patients)) == 20

    ensemble = CrossValEnsemble(PoissonRegressor(), random_state=0).fit(X, targets.y, groups=targets.patients)
    assert ensemble.target_kind_ == "counts"
    assert ensemble.oof_score().value > 0.3
    kind = ensemble.kind_
    predictions = pd.DataFrame({"slide": paths, **kind.columns(targets.y, ensemble.oof_prediction_, None)})
    run = RunFolder("counts", predictions, {"spearman": ensemble.oof_score("spearman")})
    html = report_of_run(run).to_html()
    assert "Predicting a count" in html and "slide_0" in html


def test_a_fourth_kind_checks_its_values(counts):
    with pytest.raises(ValueError, match="expected counts"):
        CrossValEnsemble(PoissonRegressor()).fit(np.ones((4, 1)), [1, 2.5, 3, 1])
    with pytest.raises(DegenerateDataError, match="counts nothing"):
        CrossValEnsemble(PoissonRegressor()).fit(np.ones((4, 1)), [0, 0, 0, 0])
