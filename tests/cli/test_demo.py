"""The demo is the first thing that a newcomer runs: what it says can be learnt has to be learnt."""

import json

import pytest
from typer.testing import CliRunner

from sknic.cli import app
from sknic.evaluation import Verdict


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_demo_learns_all_three_targets(tmp_path):
    result = CliRunner().invoke(app, ["demo", "--out", str(tmp_path)], catch_exceptions=False)
    assert result.exit_code == 0
    for kind in ("regression", "classification", "survival"):
        verdict = Verdict.from_dict(json.loads((tmp_path / kind / "verdict.json").read_text()))
        assert verdict.score.low > verdict.chance, str(verdict)
        assert str(verdict) in " ".join(result.output.split())
