"""TCGA: slides joined to the curated outcomes of the TCGA-CDR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sknic.datasets.cohort import Cohort, shown
from sknic.datasets.rows import refuse_other_barcodes
from sknic.datasets.slide_files import report_missing, slide_files
from sknic.datasets.table import read_table, typed
from sknic.exceptions import DatasetError, UnknownPatientWarning, warn

ENDPOINTS = ("OS", "DSS", "DFI", "PFI")
_GROUPS = {"CRC": ("COAD", "READ"), "GBMLGG": ("GBM", "LGG"), "NSCLC": ("LUAD", "LUSC")}


def load_tcga_survival(
    slides_dir: str | Path,
    cdr_csv: str | Path,
    slide_csv: str | Path,
    cancer: Any,
    endpoint: str = "PFI",
    *,
    diagnostic_only: bool = True,
    on_missing: str = "raise",
) -> Cohort:
    """Join TCGA slides to the survival of their patients.

    Slides (TCGA-XX-XXXX-01Z-00-DX1.<uuid>.svs, about 1 GB each; BRCA alone has 1,100 diagnostic ones) are open access
    at https://portal.gdc.cancer.gov, fetched with the gdc-client. Outcomes are Table S1 of Liu et al., Cell
    2018 (TCGA-CDR), as CSV; slide tables list the slides of each patient.

    Parameters
    ----------
    slides_dir : str or Path
        Folder with the slides, including subfolders. The part of a file's name before the first dot is the name of the
        slide.
    cdr_csv : str or Path
        Columns bcr_patient_barcode, type, <endpoint> (0 or 1), <endpoint>.time (days), and Redaction, of all studies
        whose slides `slide_csv` lists.
    slide_csv : str or Path
        Columns FILENAME (slide without suffix) and PATIENT.
    cancer : str or sequence of str
        TCGA studies, such as ``"BRCA"`` or ``("COAD", "READ")``; ``"CRC"`` means the latter, ``"NSCLC"`` LUAD and LUSC,
        ``"GBMLGG"`` GBM and LGG.
    endpoint : {"OS", "DSS", "DFI", "PFI"}
        Overall, disease-specific survival, disease-free or progression-free interval. The TCGA-CDR advises PFI where
        follow-up is short, and warns of DSS and DFI in some studies.
    diagnostic_only : bool
        Keep only the formalin-fixed diagnostic slides (-DX), not the frozen ones.
    on_missing : {"raise", "skip"}
        What to do about slides of the table that are not in the folder: DatasetError, or a warning and
        ``cohort.missing``.

    Returns
    -------
    Cohort
        ``table``: slide, patient, cancer, time (days), event. ``cohort.survival`` is the y of `GridCoxSurvival`,
        ``cohort.patients`` its groups. Patients that the TCGA-CDR redacts, whose endpoint is unknown, or
        whose follow-up is not above 0 days are left out.

    Raises
    ------
    DatasetError
        If a table is malformed, an event is neither 0 nor 1, a study is unknown, no patient has an outcome and a slide,
        or slides are missing (all are listed).

    Warns
    -----
    UnknownPatientWarning
        If patients of `slide_csv` are not in `cdr_csv`.
    SlideFailureWarning
        With ``on_missing="skip"``, if slides are missing.
    """
    if endpoint not in ENDPOINTS:
        raise ValueError(f"endpoint={endpoint!r}: expected one of {ENDPOINTS}")
    outcomes, known = _outcomes(cdr_csv, cancer, endpoint)
    slides = read_table(slide_csv, ("FILENAME", "PATIENT"))
    slides["PATIENT"] = slides["PATIENT"].str.upper()
    _tell_unknown(slides["PATIENT"], known, slide_csv, cdr_csv)
    slides = slides[slides["PATIENT"].isin(outcomes.index)].drop_duplicates("FILENAME")
    if diagnostic_only:
        slides = slides[slides["FILENAME"].str.contains("-DX", regex=False)]
    refuse_other_barcodes(slides["FILENAME"], slides["PATIENT"], slides.index, slide_csv)
    if not len(slides):
        raise DatasetError(f"{slide_csv}: no slides of patients with a known {endpoint} in {cancer}")
    paths = _by_name(slide_files(slides_dir), set(slides["FILENAME"]))
    there = slides["FILENAME"].isin(paths)
    missing = slides["FILENAME"][~there].tolist()
    report_missing(missing, on_missing, len(slides), slides_dir)
    slides = slides[there].reset_index(drop=True)
    table = outcomes.loc[slides["PATIENT"]].reset_index(drop=True)
    table.insert(0, "slide", slides["FILENAME"])
    table.insert(1, "patient", slides["PATIENT"])
    return Cohort([paths[name] for name in slides["FILENAME"]], table, missing=missing)


def _by_name(files, wanted):
    """Name of a slide (what stands before the first dot) to its file, for the slides that are wanted."""
    found: dict[str, str] = {}
    for path in files:
        name = Path(path).name.partition(".")[0]
        if name in wanted and name in found:
            raise DatasetError(f"two files for the slide {name}: {found[name]} and {path}")
        found[name] = path
    return found


def _tell_unknown(patients, known, slide_csv, cdr_csv):
    """Warn of patients that the outcomes do not name at all, which is not the same as an unknown outcome."""
    unknown = sorted(set(patients.dropna()) - known)
    if unknown:
        warn(f"{len(unknown)} patients of {slide_csv} are not in {cdr_csv}: {shown(unknown)}", UnknownPatientWarning)


def _outcomes(cdr_csv, cancer, endpoint):
    """cancer, time and event of each usable patient, by barcode; and the barcodes of all patients."""
    columns = ("bcr_patient_barcode", "type", endpoint, f"{endpoint}.time", "Redaction")
    table = read_table(cdr_csv, columns)
    table["bcr_patient_barcode"] = table["bcr_patient_barcode"].str.upper()
    known = set(table["bcr_patient_barcode"])
    for name in (endpoint, f"{endpoint}.time"):
        table[name] = typed(table[name])
        if table[name].dtype == object and table[name].notna().any():
            raise DatasetError(f"{cdr_csv}: column {name!r} has cells that are not numbers")
    studies = _GROUPS.get(cancer, (cancer,)) if isinstance(cancer, str) else tuple(cancer)
    unknown = sorted(set(studies) - set(table["type"]))
    if unknown:
        raise DatasetError(f"cancer={cancer!r}: {cdr_csv} has no {unknown}; it has {sorted(set(table['type']))}")
    table = table[table["type"].isin(studies)]
    other = table.index[table[endpoint].notna() & ~table[endpoint].isin([0, 1])]
    if len(other):
        value = table[endpoint][other[0]]
        raise DatasetError(f"{cdr_csv}: row {other[0]}: {endpoint} is {value:g}; expected 0, 1 or an empty cell")
    usable = (table["Redaction"] != "Redacted") & table[endpoint].isin([0, 1]) & (table[f"{endpoint}.time"] > 0)
    table = table[usable][["bcr_patient_barcode", "type", f"{endpoint}.time", endpoint]].drop_duplicates()
    twice = table["bcr_patient_barcode"].duplicated()
    if twice.any():
        patient = table["bcr_patient_barcode"][twice].iloc[0]
        raise DatasetError(f"{cdr_csv}: row {table.index[twice][0]}: {patient} has another {endpoint} than above")
    table = table.set_index("bcr_patient_barcode").set_axis(["cancer", "time", "event"], axis=1)
    return table.astype({"time": float, "event": bool}), known
