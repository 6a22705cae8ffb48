"""The scripts of benchmarks/paper: steps are found again, numbers of the paper are right, every experiment runs."""

import sys

import numpy as np
import pandas as pd
import pytest

from benchmarks.paper import ceiling, findings, models, run_all, table1, tasks
from benchmarks.paper import lab as lab_module


@pytest.fixture
def lab(tmp_path):
    options = ["--quick", "--device", "cpu", "--n-jobs", "1", "--out", str(tmp_path)]
    return lab_module.Lab(lab_module.read_options("", options))


def test_a_finished_step_is_found_again(lab):
    first = lab.step("a step", {"seed": 0}, lambda: {"x": np.arange(3)})
    again = lab.step("a step", {"seed": 0}, lambda: pytest.fail("it was finished"))
    assert np.array_equal(first["x"], again["x"])


def test_a_step_of_other_settings_is_another_step(lab):
    lab.step("a step", {"seed": 0}, lambda: {"x": np.zeros(1)})
    assert lab.step("a step", {"seed": 1}, lambda: {"x": np.ones(1)})["x"] == 1


def test_a_step_that_fails_leaves_nothing(lab):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        lab.step("a step", {}, fail)
    assert not lab.step_file("a step", {}).exists()


def test_settings_of_an_estimator_do_not_change_from_run_to_run(lab):
    settings = [models._settings(model()) for model in (models.pooled_ridge, models.pooled_ridge)]
    assert settings[0] == settings[1]
    assert "0x" not in str(settings)


@pytest.mark.parametrize(
    ("arguments", "wanted"), [(["--cohort", "mosaic"], "--patches"), (["--cohort", "table"], "--csv")]
)
def test_a_cohort_without_its_source_says_what_it_needs(capsys, arguments, wanted):
    with pytest.raises(SystemExit):
        lab_module.read_options("", arguments)
    assert wanted in capsys.readouterr().err


def test_table_3_of_the_paper_gives_its_table_2():
    from sknic.evaluation import task_inclusion

    included = pd.DataFrame([{task: task in subset for task in tasks.TASKS} for subset, _ in tasks.runs()])
    table3 = [tasks.PAPER["+".join(subset)][repeat] for subset, repeat in tasks.runs()]
    assert len(table3) == 18
    found = task_inclusion(included, table3)
    assert found["colorectal"] == found.max()
    assert found.to_dict() == pytest.approx(tasks.PAPER_INCLUSION, abs=0.1)


def test_a_difference_within_its_interval_is_called_that():
    from sknic.evaluation import compare

    rng = np.random.default_rng(0)
    y = rng.normal(size=40)
    near = y + 0.1 * rng.normal(size=40)
    told = findings.told
    assert "no difference shown" in told(compare("spearman", y, near, near + 0.05 * rng.normal(size=40)))
    assert "above" in told(compare("spearman", y, near, rng.normal(size=40)))
    assert "below" in told(compare("spearman", y, rng.normal(size=40), near))


def test_encoders_are_compared_by_cnns_trained_as_long():
    short = ["NIC multitask", "NIC BiGAN", "NIC mean-RGB"]
    found = table1.pairs([*short, *(name + table1.LONG for name in short), "pooled multitask + Ridge"])
    assert ("NIC multitask", "NIC BiGAN") in found
    assert ("NIC multitask" + table1.LONG, "NIC BiGAN" + table1.LONG) in found
    assert ("NIC BiGAN" + table1.LONG, "NIC BiGAN") in found
    assert ("NIC multitask" + table1.LONG, "pooled multitask + Ridge") in found
    assert not any(a.startswith(("NIC BiGAN", "NIC mean")) and a != b + table1.LONG for a, b in found)


def test_experiments_whose_targets_a_table_lacks_are_left_out_and_named(tmp_path, monkeypatch, capsys):
    (tmp_path / "a.svs").touch()
    (tmp_path / "slides.csv").write_text("path,score\na.svs,1\n")
    monkeypatch.setattr(run_all, "SCRIPTS", {"growth_pattern": run_all.growth_pattern, "survival": run_all.survival})
    options = ["--cohort", "table", "--csv", str(tmp_path / "slides.csv"), "--out", str(tmp_path / "out"), "--quick"]
    monkeypatch.setattr(sys, "argv", ["run_all.py", *options])
    run_all.main()
    printed = capsys.readouterr().out
    assert "growth_pattern: left out, this cohort has no column 'pattern'" in printed
    assert "survival: left out, this cohort has no column 'event'" in printed
    assert (tmp_path / "out" / "docs" / "paper_results.md").exists()


def test_the_page_holds_every_result_that_is_there(lab, tmp_path):
    differences = [{"this": "a", "against": "b", "difference": 0.5}]
    rows = [{"a": 1.0, "b": None}]
    lab.write("table1", "A title", rows, question="Q?", protocol="P.", findings=["F."], differences=differences)
    page = run_all.write_page(tmp_path, tmp_path / "docs").read_text()
    assert "## Synthetic cohort, quick mode" in page
    assert "| 1.000 | – |" in page
    assert "| a | b | 0.500 |" in page
    copied = tmp_path / "docs" / "paper" / "synthetic-quick"
    assert {file.name for file in copied.iterdir()} == {"table1.md", "table1.csv", "table1_differences.csv"}
    assert run_all.write_page(tmp_path / "elsewhere", tmp_path / "docs").read_text() == page


@pytest.mark.parametrize(("noise", "least", "most"), [(0.1, 0.9, 1.0), (100.0, -0.6, 0.6)])
def test_the_ceiling_is_what_the_cells_tell(noise, least, most):
    from sknic import Grid
    from sknic.datasets.drawing.targets import draw_cohort

    rng = np.random.RandomState(0)
    layouts, table = draw_cohort(24, (20, 20), "hotspot", 1, 3, rng)
    tissue = [layout.cells for layout in layouts]
    cells = [np.argwhere(kinds > 0) for kinds in tissue]
    signals = [np.stack([kinds[kinds > 0] == 4, kinds[kinds > 0] == 3], axis=1) for kinds in tissue]
    grids = [
        Grid(signal + noise * rng.normal(size=signal.shape), where, (20, 20)) for signal, where in zip(signals, cells)
    ]
    maps = ceiling.maps_out_of_fold(grids, tissue, table["patient"])
    found = np.corrcoef([ceiling.densest(of_slide) for of_slide in maps], table["hotspot"])[0, 1]
    assert least <= found <= most
    assert (ceiling.among_tumour(maps, tissue) > 0.9) == (noise < 1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sknic.exceptions.CollapseWarning")  # rightly given after two steps
@pytest.mark.timeout(1800)
def test_every_experiment_runs_on_drawn_slides(tmp_path, monkeypatch):
    monkeypatch.setattr(lab_module, "QUICK", lab_module.Size(16, 8, (20, 20), 200, 2, 2, 8, 1, 2, (0,)))
    arguments = ["--quick", "--device", "cpu", "--n-jobs", "1", "--out", str(tmp_path), "--published", str(tmp_path)]
    for script in run_all.SCRIPTS.values():
        script.main(arguments)
    assert {path.stem for path in tmp_path.glob("*/results/*.md")} == set(run_all.SCRIPTS)
