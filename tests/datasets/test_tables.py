import numpy as np
import pytest

from sknic.datasets import load_tcga_survival, load_tupac16
from sknic.exceptions import DatasetError, SlideFailureWarning, UnknownPatientWarning

CDR = """bcr_patient_barcode,type,OS,OS.time,PFI,PFI.time,Redaction
TCGA-A1-0001,BRCA,1.0,1355.0,1.0,754.0,
TCGA-A1-0002,BRCA,0.0,1685.0,0.0,1685.0,
TCGA-A1-0003,BRCA,,100.0,,,
TCGA-A1-0004,BRCA,1.0,0.0,1.0,0.0,
TCGA-A1-0005,BRCA,1.0,10.0,1.0,10.0,Redacted
TCGA-B1-0006,COAD,0.0,33.0,0.0,33.0,
"""
SLIDES = "\ufeffFILENAME,PATIENT\n" + "".join(
    f"{patient}-01Z-00-{kind},{patient}\n"
    for patient in ["TCGA-A1-0001", "TCGA-A1-0002", "TCGA-A1-0003", "TCGA-A1-0004", "TCGA-A1-0005", "TCGA-B1-0006"]
    for kind in (["DX1", "DX2", "TS1"] if patient == "TCGA-A1-0001" else ["DX1"])
)


@pytest.fixture
def tcga(tmp_path):
    (tmp_path / "cdr.csv").write_text(CDR)
    (tmp_path / "slides.csv").write_text(SLIDES, encoding="utf-8")
    folder = tmp_path / "slides"
    folder.mkdir()
    for name in ("TCGA-A1-0001-01Z-00-DX1", "TCGA-A1-0001-01Z-00-DX2", "TCGA-A1-0002-01Z-00-DX1"):
        (folder / f"{name}.8F1E-UUID.svs").touch()
    return folder, tmp_path / "cdr.csv", tmp_path / "slides.csv"


def test_tcga_slides_meet_their_patients_outcomes(tcga):
    cohort = load_tcga_survival(*tcga, "BRCA", "PFI")
    assert [path.rsplit("/")[-1][:23] for path in cohort.paths] == cohort.table["slide"].tolist()
    assert cohort.patients.tolist() == ["TCGA-A1-0001", "TCGA-A1-0001", "TCGA-A1-0002"]
    assert cohort.survival.tolist() == [(True, 754.0), (True, 754.0), (False, 1685.0)]


def test_tcga_endpoints_differ(tcga):
    np.testing.assert_array_equal(load_tcga_survival(*tcga, ["BRCA"], "OS").survival["time"], [1355, 1355, 1685])


def test_a_slide_of_another_patient_and_two_outcomes_of_one_are_refused(tcga):
    tcga[2].write_text(SLIDES.replace("DX2,TCGA-A1-0001", "DX2,TCGA-A1-0002"), encoding="utf-8")
    with pytest.raises(DatasetError, match="row 3: TCGA-A1-0001-01Z-00-DX2 is not of the patient TCGA-A1-0002"):
        load_tcga_survival(*tcga, "BRCA")
    tcga[2].write_text(SLIDES, encoding="utf-8")
    tcga[1].write_text(CDR + "TCGA-A1-0001,BRCA,1.0,1355.0,0.0,900.0,\n")
    assert len(load_tcga_survival(*tcga, "BRCA", "OS")) == 3  # the same in both rows
    with pytest.raises(DatasetError, match="row 8: TCGA-A1-0001 has another PFI than above"):
        load_tcga_survival(*tcga, "BRCA", "PFI")


def test_an_event_that_is_neither_0_nor_1_is_named(tcga):
    tcga[1].write_text(CDR + "TCGA-A1-0009,BRCA,2,1355.0,0.0,900.0,\n")
    with pytest.raises(DatasetError, match=r"row \d+: OS is 2; expected 0, 1 or an empty cell"):
        load_tcga_survival(*tcga, "BRCA", "OS")
    assert len(load_tcga_survival(*tcga, "BRCA", "PFI")) == 3


def test_patients_in_lower_case_are_found_and_unknown_ones_are_named(tcga):
    tcga[2].write_text(SLIDES.replace(",TCGA-A1-0001", ",tcga-a1-0001"), encoding="utf-8")
    assert load_tcga_survival(*tcga, "BRCA").patients.tolist().count("TCGA-A1-0001") == 2
    tcga[2].write_text(SLIDES.replace(",TCGA-A1-0001", ",TCGA-A1-9999"), encoding="utf-8")
    with pytest.warns(UnknownPatientWarning, match="1 patients of .* are not in .*: TCGA-A1-9999"):
        load_tcga_survival(*tcga, "BRCA")


def test_missing_tcga_slides_are_named_or_skipped(tcga):
    next(tcga[0].glob("*0002*")).unlink()
    with pytest.raises(DatasetError, match="1 of 3 slides .*TCGA-A1-0002-01Z-00-DX1.*on_missing='skip'"):
        load_tcga_survival(*tcga, "BRCA")
    with pytest.warns(SlideFailureWarning, match="TCGA-A1-0002"):
        cohort = load_tcga_survival(*tcga, "BRCA", on_missing="skip")
    assert len(cohort) == 2 and cohort.missing == ["TCGA-A1-0002-01Z-00-DX1"]


@pytest.mark.parametrize(
    "cancer, endpoint, error, message",
    [
        ("BRCA", "RFS", ValueError, "endpoint='RFS'"),
        ("BRAC", "OS", DatasetError, r"has no \['BRAC'\]"),
        ("COAD", "OS", DatasetError, "1 of 1 slides"),
        ("CRC", "OS", DatasetError, r"has no \['READ'\]"),
        ("BRCA", "DSS", DatasetError, "DSS"),
    ],
)
def test_bad_tcga_requests_are_named(tcga, cancer, endpoint, error, message):
    with pytest.raises(error, match=message):
        load_tcga_survival(*tcga, cancer, endpoint)


@pytest.fixture
def tupac(tmp_path):
    (tmp_path / "truth.csv").write_text("id,mitosis_score,molecular_score\n001,1,-0.85\n002,3,0.52\n")
    folder = tmp_path / "slides"
    (folder / "part 1").mkdir(parents=True)
    (folder / "part 1" / "TUPAC-TR-001.svs").touch()
    (folder / "TUPAC-TR-002.svs").touch()
    (folder / "TUPAC-TR-002.svs.txt").touch()
    return folder, tmp_path / "truth.csv"


def test_tupac_ids_join_slide_names(tupac):
    cohort = load_tupac16(*tupac)
    assert [path.rsplit("/")[-1] for path in cohort.paths] == ["TUPAC-TR-001.svs", "TUPAC-TR-002.svs"]
    assert cohort.score.tolist() == [-0.85, 0.52] and cohort.table["mitosis_score"].tolist() == [1, 3]
    assert cohort.patients.tolist() == ["001", "002"]


def test_missing_tupac_slides_are_named_or_skipped(tupac):
    (tupac[0] / "TUPAC-TR-002.svs").unlink()
    with pytest.raises(DatasetError, match="1 of 2 slides .*002"):
        load_tupac16(*tupac)
    with pytest.warns(SlideFailureWarning, match="002"):
        assert load_tupac16(*tupac, on_missing="skip").missing == ["002"]


def test_test_slides_do_not_get_the_scores_of_training_slides(tupac):
    for number in (1, 2):
        (tupac[0] / f"TUPAC-TE-00{number}.svs").touch()
    paths = load_tupac16(*tupac).paths
    assert [path.rsplit("/")[-1] for path in paths] == ["TUPAC-TR-001.svs", "TUPAC-TR-002.svs"]
    (tupac[0] / "TUPAC-TR-002.svs").unlink()
    with pytest.raises(DatasetError, match="1 of 2 slides .*002"):
        load_tupac16(*tupac)


def test_two_slides_of_one_tupac_id_are_an_error(tupac):
    (tupac[0] / "copy-001.svs").touch()
    with pytest.raises(DatasetError, match="two slides for id 001"):
        load_tupac16(*tupac)


@pytest.mark.parametrize(
    "text, message",
    [
        ("id,score\n001,1\n", "mitosis_score"),
        ("id,mitosis_score,molecular_score\n001,1,\n", "scores are missing"),
        ("id,mitosis_score,molecular_score\n001,1,0\n001,1,0\n", "occur twice"),
        ("id,mitosis_score,molecular_score\n001,1,abc\n", "column 'molecular_score' is not of numbers"),
        ("id,mitosis_score,molecular_score\n001,high,0\n", "column 'mitosis_score' is not of numbers"),
        ("id,mitosis_score,molecular_score\n001,9,0\n", r"scores are impossible for the ids \['001'\]"),
        ("id,mitosis_score,molecular_score\n001,1,inf\n", r"scores are impossible for the ids \['001'\]"),
    ],
)
def test_a_bad_tupac_truth_is_named(tupac, text, message):
    tupac[1].write_text(text)
    with pytest.raises(DatasetError, match=message):
        load_tupac16(*tupac)


def test_an_empty_folder_is_named(tupac, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="no slides"):
        load_tupac16(tmp_path / "empty", tupac[1])
    with pytest.raises(DatasetError, match="no such folder"):
        load_tupac16(tmp_path / "absent", tupac[1])


def test_the_real_tables_are_read(test_data, tmp_path):
    tables = test_data / "tables"
    for number in range(1, 501):
        (tmp_path / f"TUPAC-TR-{number:03d}.svs").touch()
    assert len(load_tupac16(tmp_path, tables / "tupac16_train_ground_truth.csv")) == 500
    (tmp_path / "TCGA-BH-A0C3-01Z-00-DX1.UUID.svs").touch()
    arguments = tmp_path, tables / "tcga_cdr.csv", tables / "TCGA-BRCA-DX_SLIDE.csv", "BRCA"
    with pytest.warns(SlideFailureWarning):
        cohort = load_tcga_survival(*arguments, "OS", on_missing="skip")
    assert cohort.patients.tolist() == ["TCGA-BH-A0C3"] and len(cohort.missing) > 900
