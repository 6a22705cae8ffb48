"""Rows that are not independent are found by what the table shows."""

import pandas as pd
import pytest

from sknic.datasets.rows import find_patient_column, similar_ids, tcga_patients


def _table(n_slides=12, **columns):
    return pd.DataFrame({"path": [f"{i}.svs" for i in range(n_slides)], **columns}, dtype=object)


@pytest.mark.parametrize(
    "name",
    ["Case ID", "bcr_patient_barcode", "submitter_id", "cases.submitter_id", "PatientID", "PATIENT_ID", "USUBJID"]
    + ["Pat.-Nr.", "Fallnummer", "患者ID", "animal_id", "record_id", "Sample", "accession_number", "TCGA_ID", "MRN"],
)
def test_a_column_named_like_patients_is_found(name):
    table = _table(**{name: [str(i // 2) for i in range(12)], "age": [str(50 + i // 4) for i in range(12)]})
    assert find_patient_column(table, ["path"]) == name


def test_a_column_of_any_name_whose_cells_look_like_repeated_ids_is_found():
    table = _table(who=[f"B12-{i // 2:02d}" for i in range(12)], batch=["b1", "b2"] * 6)
    assert find_patient_column(table, ["path"]) == "who"


def test_two_columns_of_patients_with_one_name_are_not_overlooked():
    table = pd.DataFrame([[f"{i}.svs", "a", "b"] for i in range(4)], columns=["path", "case", "case"])
    assert find_patient_column(table, ["path"]) == "case"


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("grade", ["G1", "G2", "G3"] * 4),
        ("age", [str(50 + i // 2) for i in range(12)]),
        ("date", [f"2020-01-{i // 2 + 1:02d}" for i in range(12)]),
        ("pT", ["1", "2", "3", "4"] * 3),
        ("slide_id", [f"S{i}" for i in range(12)]),
        ("case_control", ["case", "control"] * 6),
        ("comment", ["see slide 2", "ok"] * 6),
    ],
)
def test_what_repeats_for_another_reason_is_not_the_patient(name, cells):
    assert find_patient_column(_table(**{name: cells}), ["path"]) is None


@pytest.mark.parametrize(
    "ids", [["007", "7"], ["7", "7.0"], ["P-1", "p1"], ["TCGA-A1-A0SB-01Z-00-DX1", "TCGA-A1-A0SB-11A"], ["A-01", "A-1"]]
)
def test_ids_that_may_be_one_patient_are_pointed_out(ids):
    assert similar_ids([*ids, "other"]) == [sorted(ids)]


def test_ids_of_different_patients_are_left_alone():
    assert similar_ids(["P1", "P10", "P100", "TCGA-A1-A0SB", "TCGA-A1-A0SC"]) == []


def test_names_of_tcga_say_the_patients_where_they_repeat():
    paths = [f"x/TCGA-A1-A0S{i // 2}-01Z-00-DX{i % 2}.svs" for i in range(4)]
    assert tcga_patients(paths) == ["TCGA-A1-A0S0", "TCGA-A1-A0S0", "TCGA-A1-A0S1", "TCGA-A1-A0S1"]
    assert tcga_patients(paths[::2]) is None
    assert tcga_patients([*paths, "a/HE.svs", "b/HE.svs"])[-3:] == ["TCGA-A1-A0S1", "a/HE.svs", "b/HE.svs"]
