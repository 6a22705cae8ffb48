import filecmp
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openslide
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from sknic.datasets import Cohort, make_histology_cohort, read_cohort
from sknic.datasets.drawing.layout import TissueLayout
from sknic.datasets.drawing.targets import LOG_HAZARD, draw_cohort, draw_survival
from sknic.exceptions import DatasetError


def drawn_table(n_slides, seed=0, score="hotspot", n_centers=3):
    return draw_cohort(n_slides, (20, 20), score, n_centers, 3, np.random.RandomState(seed))[1]


def test_importing_datasets_brings_in_no_torch():
    code = "import sys, sknic.datasets; print([m for m in ('torch', 'skorch', 'matplotlib') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"


def test_slides_open_with_mpp_tissue_and_a_white_margin(cohort):
    for path in cohort.paths:
        with openslide.OpenSlide(path) as slide:
            assert slide.dimensions == (2560, 2560)
            assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
            small = np.asarray(slide.get_thumbnail((320, 320)), int)
    edge = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    assert (edge.min(axis=1) > 225).mean() > 0.95
    middle = small[100:220, 100:220].reshape(-1, 3)
    assert (np.ptp(middle, axis=1) > 25).mean() > 0.8


def test_the_table_can_be_used_as_it_is(cohort):
    table = cohort.table
    assert list(table["slide"]) == [os.path.splitext(os.path.basename(path))[0] for path in cohort.paths]
    assert set(table["pattern"]) == {"desmoplastic", "replacement"}
    assert table["event"].dtype == bool and (table["time"] > 0).all() and (table["mpp"] == 0.5).all()
    assert cohort.survival.dtype.names == ("event", "time")
    np.testing.assert_array_equal(cohort.score, table["hotspot"])
    assert not table.isna().any(axis=None)


def test_the_same_call_draws_nothing_again(cohort, cohort_dir):
    before = {path: os.stat(path).st_mtime_ns for path in cohort.paths}
    again = make_histology_cohort(4, cohort_dir, shape=(20, 20), random_state=0)
    assert [TissueLayout(cells).hotspot for cells in again.tissue] == pytest.approx(list(again.table["hotspot"]))
    assert {path: os.stat(path).st_mtime_ns for path in again.paths} == before
    pd.testing.assert_frame_equal(again.table, cohort.table)


def test_the_same_seed_gives_the_same_bytes_whatever_the_jobs(cohort, tmp_path):
    again = make_histology_cohort(4, tmp_path, shape=(20, 20), random_state=np.random.RandomState(0), n_jobs=2)
    assert all(filecmp.cmp(a, b, shallow=False) for a, b in zip(cohort.paths, again.paths))


@pytest.mark.parametrize("kept", [0, 1000, 100_000])
def test_a_truncated_slide_is_drawn_again(cohort_dir, cohort, kept):
    path = Path(cohort.paths[1])
    good = path.read_bytes()
    path.write_bytes(good[:kept])
    make_histology_cohort(4, cohort_dir, shape=(20, 20), random_state=0)
    assert path.read_bytes() == good


def test_the_callers_random_state_is_left_alone(tmp_path):
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    make_histology_cohort(1, tmp_path, shape=(20, 20), random_state=0, file_format="aperio")
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert openslide.OpenSlide(str(tmp_path / "slide_0000.svs")).properties["openslide.vendor"] == "aperio"


def test_a_patients_slides_share_pattern_center_and_outcome():
    table = drawn_table(40)
    assert table["patient"].nunique() < 38
    shared = table.groupby("patient")[["pattern", "center", "time", "event"]].nunique()
    assert (shared == 1).all(axis=None)


def test_centers_and_patterns_are_not_confounded():
    patients = drawn_table(60).groupby("patient").first()
    counts = pd.crosstab(patients["pattern"], patients["center"]).to_numpy()
    assert np.ptp(counts) <= 1


def test_survival_follows_the_documented_hazards():
    rng = np.random.RandomState(0)
    table = pd.DataFrame({"patient": np.arange(2000) // 2, "hotspot": rng.beta(2, 3, 2000)})
    table["pattern"] = np.take(["replacement", "desmoplastic"], table["patient"] % 2)
    table = draw_survival(table, rng)
    patients = table.groupby("patient").agg(
        time=("time", "first"), event=("event", "first"), pattern=("pattern", "first"), hotspot=("hotspot", "mean")
    )
    assert 0.3 < patients["event"].mean() < 0.75
    data = pd.DataFrame(
        {
            "time": patients["time"],
            "event": patients["event"],
            "replacement": (patients["pattern"] == "replacement").astype(float),
            "hotspot": (patients["hotspot"] - patients["hotspot"].mean()) / patients["hotspot"].std(),
        }
    )
    fitted = CoxPHFitter().fit(data, "time", "event").params_
    assert fitted["replacement"] == pytest.approx(LOG_HAZARD[0], abs=0.25)
    assert fitted["hotspot"] == pytest.approx(LOG_HAZARD[1], abs=0.15)


@pytest.mark.parametrize("score", ["hotspot", "tumour_fraction"])
def test_the_score_is_the_one_asked_for(score):
    table = drawn_table(6, score=score)
    np.testing.assert_array_equal(table["score"], table[score])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_slides": 0}, "n_slides=0"),
        ({"score": "grade"}, "score='grade'"),
        ({"file_format": "png"}, "file_format='png'"),
    ],
)
def test_bad_arguments_are_named(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        make_histology_cohort(**({"n_slides": 2, "out_dir": tmp_path, "shape": (20, 20)} | change))


def test_a_written_cohort_is_read_again(cohort, cohort_dir):
    again = read_cohort(cohort_dir / "cohort.csv")
    assert [os.path.realpath(path) for path in again.paths] == [os.path.realpath(path) for path in cohort.paths]
    pd.testing.assert_frame_equal(again.table, cohort.table, check_exact=False)


def test_slide_and_patient_default_to_the_file(tmp_path):
    (tmp_path / "a.tiff").touch()
    pd.DataFrame({"path": ["a.tiff"], "grade": [2]}).to_csv(tmp_path / "slides.csv", index=False)
    table = read_cohort(tmp_path / "slides.csv").table
    assert table[["slide", "patient", "grade"]].values.tolist() == [["a", "a", 2]]


def test_slides_of_one_name_are_two_slides_of_two_patients(tmp_path):
    paths = ["P1/HE.tiff", "P2/HE.tiff"]
    for path in paths:
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    pd.DataFrame({"path": paths}).to_csv(tmp_path / "slides.csv", index=False)
    table = read_cohort(tmp_path / "slides.csv").table
    assert table[["slide", "patient"]].values.tolist() == [["P1-HE", "P1-HE"], ["P2-HE", "P2-HE"]]


@pytest.mark.parametrize("column", ["Patient ID", "patient_id", "case", "Patient"])
def test_a_column_that_looks_like_patients_names_them(tmp_path, column):
    for name in "abc":
        (tmp_path / f"{name}.tiff").touch()
    table = pd.DataFrame({"path": ["a.tiff", "b.tiff", "c.tiff"], column: ["007", "007", "8"], "grade": [1, 2, 3]})
    table.to_csv(tmp_path / "slides.csv", index=False)
    cohort = read_cohort(tmp_path / "slides.csv")
    assert cohort.patients.tolist() == ["007", "007", "8"] and column in cohort.table
    table[column] = ["7", "[Not Available]", "8"]
    table.to_csv(tmp_path / "slides.csv", index=False)
    with pytest.raises(DatasetError, match=r"row 3 .*Not Available"):
        read_cohort(tmp_path / "slides.csv")


def test_tcga_barcodes_name_the_patients_if_no_column_does(tmp_path):
    names = [f"TCGA-AA-000{patient}-01Z-00-DX{n}.svs" for patient, n in ((1, 1), (1, 2), (2, 1))]
    for name in names:
        (tmp_path / name).touch()
    pd.DataFrame({"path": names}).to_csv(tmp_path / "slides.csv", index=False)
    assert read_cohort(tmp_path / "slides.csv").patients.tolist() == ["TCGA-AA-0001"] * 2 + ["TCGA-AA-0002"]


@pytest.mark.parametrize(
    "events, times, wanted",
    [
        (["Dead", "Alive", "Alive"], [1, 2, 3], [True, False, False]),
        (["yes", "no", "no"], [1, 2, 3], [True, False, False]),
        ([1, 0, 0], [1, 2, 3], [True, False, False]),
        ([1, 2, 1], [1, 2, 3], "'2' is not a known word"),
        ([0, "", 1], [1, 2, 3], "row 3"),
        ([0, 1, 1], [1, -5, 3], "row 3: -5 is negative"),
        ([0, 1, 1], [1, "", 3], "row 3"),
    ],
)
def test_events_and_times_are_read_as_strictly_as_on_the_command_line(tmp_path, events, times, wanted):
    for name in "abc":
        (tmp_path / f"{name}.tiff").touch()
    table = pd.DataFrame({"path": ["a.tiff", "b.tiff", "c.tiff"], "event": events, "time": times})
    table.to_csv(tmp_path / "slides.csv", index=False)
    cohort = read_cohort(tmp_path / "slides.csv")
    if isinstance(wanted, str):
        with pytest.raises(DatasetError, match=wanted):
            cohort.survival  # noqa: B018  computed when asked for
    else:
        assert cohort.survival["event"].tolist() == wanted and cohort.survival["time"].tolist() == times


@pytest.mark.parametrize(
    "text, message",
    [("slide\na\n", "column 'path'"), ("path\nabsent.tiff\n", "absent.tiff"), ("", "the file is empty")],
)
def test_a_bad_table_of_slides_is_named(tmp_path, text, message):
    (tmp_path / "slides.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_cohort(tmp_path / "slides.csv")


def test_select_keeps_rows_in_order():
    table = pd.DataFrame({"slide": list("abc"), "patient": list("xyz"), "score": [1.0, 2.0, 3.0]})
    tissue = [np.full((2, 2), value, np.uint8) for value in range(3)]
    cohort = Cohort(["a.svs", "b.svs", "c.svs"], table, tissue=tissue)
    assert cohort.select(table["score"] > 1.5).paths == ["b.svs", "c.svs"]
    assert [cells[0, 0] for cells in cohort.select([2, 0]).tissue] == [2, 0]
    assert cohort.select([2, 0]).patients.tolist() == ["z", "x"]
    with pytest.raises(DatasetError, match="no column 'event'"):
        cohort.survival  # noqa: B018


def test_a_mask_has_bools_in_the_order_of_the_table():
    frame = pd.DataFrame({"slide": list("abcd"), "patient": list("wxyz"), "event": [0, 1, 1, 0]})
    cohort = Cohort([f"{name}.svs" for name in "abcd"], frame)
    with pytest.raises(DatasetError, match="in their order"):
        cohort.select(frame.sort_values("event")["event"] == 1)
    with pytest.raises(DatasetError, match="4 rows"):
        cohort.select([True, False])
    with pytest.raises(DatasetError, match="only 0 and 1"):
        cohort.select(frame["event"])
    assert cohort.select([False, True, True, False]).paths == cohort.select((False, True, True, False)).paths
    assert cohort.select([3, 3, 0]).paths == ["d.svs", "d.svs", "a.svs"]
    assert cohort.select(frame["event"] == 1).paths == ["b.svs", "c.svs"]
    assert cohort.select([3, 0]).paths == ["d.svs", "a.svs"] and len(cohort.select([])) == 0


def test_a_table_that_was_sorted_in_place_is_not_paired_with_the_slides():
    frame = pd.DataFrame({"patient": list("xyz"), "score": [3.0, 1.0, 2.0]})
    cohort = Cohort(["a.svs", "b.svs", "c.svs"], frame.set_axis([7, 8, 9]))
    frame.sort_values("score", inplace=True)
    assert cohort.score.tolist() == [3.0, 1.0, 2.0]  # a table of its own
    cohort.table.sort_values("score", inplace=True)
    for of in (lambda: cohort.score, lambda: cohort.patients, lambda: cohort.survival, lambda: cohort.select([0])):
        with pytest.raises(DatasetError, match="index of the table has changed"):
            of()
    with pytest.raises(DatasetError, match="3 rows for 2 slides"):
        Cohort(["a.svs", "b.svs"], frame)


def test_patients_called_0_and_1_stay_together(tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.tiff").touch()
    table = pd.DataFrame({"path": ["a.tiff", "b.tiff", "c.tiff"], "patient_id": [0, 1, 0]})
    table.to_csv(tmp_path / "slides.csv", index=False)
    assert read_cohort(tmp_path / "slides.csv").patients.tolist() == ["0", "1", "0"]


@pytest.mark.parametrize(
    "column, cells", [("case", [1, 0, 1]), ("Cases", ["controls", "cases", "cases"]), ("slide", [1, 2, 1])]
)
def test_answers_and_numbers_of_slides_are_not_patients(tmp_path, column, cells):
    for name in "abc":
        (tmp_path / f"{name}.tiff").touch()
    pd.DataFrame({"path": ["a.tiff", "b.tiff", "c.tiff"], column: cells}).to_csv(tmp_path / "slides.csv", index=False)
    assert len(set(read_cohort(tmp_path / "slides.csv").patients)) == 3


def test_one_of_two_columns_of_a_name_is_not_chosen(tmp_path):
    (tmp_path / "a.tiff").touch()
    (tmp_path / "slides.csv").write_text("path,score,score\na.tiff,1,2\n")
    with pytest.raises(DatasetError, match="2 columns named 'score'"):
        read_cohort(tmp_path / "slides.csv").score  # noqa: B018  read when asked for
