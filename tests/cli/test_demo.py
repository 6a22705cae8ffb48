"""The demo is the first thing that a newcomer runs: what it says can be learnt has to be learnt."""

import json

import pytest
from typer.testing import CliRunner

from sknic.cli import app


@pytest.mark.slow
def test_the_demo_learns_the_score_and_the_growth_pattern(tmp_path):
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    metrics = {
        kind: json.loads((tmp_path / kind / "metrics.json").read_text()) for kind in ("regression", "classification")
    }
    # Chance is 0 and 0.5; a network that was hardly trained gave -0.28 and 0.44.
    assert metrics["regression"]["spearman"]["low"] > 0
    assert metrics["classification"]["auc"]["low"] > 0.5
