"""Which rows of a table are not independent: a slide in several rows, a column that looks like patients."""

import os
import re
from collections import defaultdict

from sknic.datasets.cohort import shown
from sknic.exceptions import DatasetError
from sknic.targets.events import NO, YES

_PATIENT = {
    "patient",
    "patients",
    "case",
    "cases",
    "subject",
    "subjects",
    "participant",
    "person",
    "donor",
    "individual",
}
_PATIENT |= {"proband", "mrn", "subj", "subjid", "usubjid", "pat", "ptid", "animal", "mouse"}
_FOREIGN = re.compile(
    "((patient|pazient|pacient|paciente|participant|subject)(in|innen|en|e|s|o|i|a|es|os)*|case|pat|fall)"
    "(id|no|nr|nummer|number|name|code|identifier)*$|.*(患者|病人|病例|환자|пациент)"
)
_ID = {"id", "ids", "no", "nr", "num", "number", "nummer", "name", "code", "key", "barcode", "bcr", "submitter", "uid"}
_ID |= {"uuid", "identifier", "pseudonym", "pid", "anon", "anonymized", "study", "hospital", "the", "tcga", "icgc"}
_ALONE = {"id", "pid", "uid", "barcode", "identifier", "pseudonym", "tcga"}
# What a patient has one or a few of: where its numbers repeat, slides belong together.
_PARTS = {"record", "accession", "specimen", "sample", "block", "biopsy", "client", "owner"}
_TCGA = re.compile(r"TCGA-\w{2}-\w{4}(?!\w)", re.IGNORECASE)
_SAMPLES, _SAMPLE_BYTES = 16, 4096


def find_patient_column(table, used=()):
    """Find the column of a table that looks like patients.

    Parameters
    ----------
    table : DataFrame of str
    used : sequence of str, default=()
        Columns that have another role.

    Returns
    -------
    str or None
        A column named after patients, cases, subjects ...; or else a column whose values repeat and that is named an
        id, or whose cells look like ids (letters and digits). Of several, the one with the fewest values, which keeps
        most slides together. If several columns have the same name, the name is returned for the caller to refuse.
    """
    columns = [name for name in dict.fromkeys(table) if name not in used]
    single = {name: table[name] for name in columns if list(table.columns).count(name) == 1}
    named = [name for name in columns if _is_patient(name) and not (name in single and _is_control(single[name]))]
    if any(name not in single for name in named):
        return next(name for name in named if name not in single)
    named = named or [name for name in single if _is_id(name, single[name])]
    named = named or [name for name in single if _are_ids(single[name])]
    return min(named, key=lambda name: single[name].nunique(), default=None)


def _is_patient(name):
    words = _words(name)
    rest = {word for word in words if word not in _PATIENT and not _FOREIGN.match(word)}
    return len(rest) < len(words) and rest <= _ID


def _is_control(column):
    """Whether a column "case" tells cases from controls, instead of naming patients."""
    answers = set(column.dropna().str.casefold())
    is_named = _words(column.name) <= {"case", "cases"}
    return is_named and len(answers) > 1 and answers <= {*YES, *NO, "case", "cases", "control", "controls"}


def _is_id(name, column):
    words = _words(name)
    return words <= _ID | _PARTS and bool(words & (_ALONE | _PARTS)) and 1 < column.nunique() < len(column)


def _are_ids(column):
    """Whether cells are single words of letters and digits, few of each: P01, P01, P02, but not grades G1, G2, G3."""
    if not 5 <= column.nunique() < len(column) <= 3 * column.nunique():
        return False
    return all(re.fullmatch(r"(?=.*[^\W\d_])(?=.*\d)[\w#/-]{2,40}", cell) for cell in column)


def _words(name):
    """Lower-case words of a column's name: patientID, patient_id and "Patient ID" have the same ones."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return set(re.findall(r"[^\W_]+", spaced.casefold()))


def tcga_patients(paths):
    """Patient barcodes in file names, the path itself for other names; None if no barcode is in two names.

    Parameters
    ----------
    paths : sequence of str

    Returns
    -------
    list of str or None
    """
    found = [_TCGA.match(os.path.basename(path)) for path in paths]
    barcodes = [match[0].upper() for match in found if match]
    if len(set(barcodes)) == len(barcodes):
        return None
    return [match[0].upper() if match else path for match, path in zip(found, paths)]


def refuse_other_barcodes(paths, patients, rows, table):
    """Raise DatasetError where a TCGA patient is not the one in the name of the file: a column was sorted alone.

    Parameters
    ----------
    paths, patients : sequence of str
        File and patient of each slide.
    rows : sequence of int
        Their rows in the table.
    table : str or Path
        Name of the table.
    """
    for path, patient, row in zip(paths, patients, rows):
        in_name, given = _TCGA.match(os.path.basename(path)), _TCGA.match(patient)
        if in_name and given and in_name[0].upper() != given[0].upper():
            raise DatasetError(f"{table}: row {row}: {os.path.basename(path)} is not of the patient {patient}")


def similar_ids(ids):
    """Groups of ids that differ only in case, spaces, signs, leading zeros or ".0", or in the sample of a TCGA patient.

    They may or may not be the same patient.
    """
    groups = defaultdict(set)
    for name in map(str, ids):
        tcga = _TCGA.match(name)
        plain = tcga[0] if tcga else re.sub(r"(?<=\d)\.0+$", "", name)
        plain = re.sub(r"(?<!\d)0+(?=\d)", "", plain.casefold())
        groups[re.sub(r"[\W_]+", "", plain)].add(name)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def refuse_repeated_slides(paths, rows, targets, where):
    """Raise DatasetError if a slide occurs in several rows: by path, through a link, or as a copy.

    Parameters
    ----------
    paths : sequence of str
        File of each row; those that do not exist are compared by path.
    rows : sequence of int
        Row of each path in the file.
    targets : sequence of hashable
        Target in each row.
    where : str or Path
        Name of the table, for the message.
    """
    found = defaultdict(list)
    for number, same in enumerate(_identities(paths)):
        found[same].append(number)
    repeated = [numbers for numbers in found.values() if len(numbers) > 1]
    if not repeated:
        return
    conflicts = [numbers for numbers in repeated if len({targets[i] for i in numbers}) > 1]
    numbers = (conflicts or repeated)[0]
    what = "one slide, different targets" if conflicts else "the same slide"
    names = dict.fromkeys(paths[i] for i in numbers)
    more = f"; {len(repeated) - 1} more slides are repeated" if len(repeated) > 1 else ""
    copies = " (files with the same content)" if len(names) > 1 else ""
    raise DatasetError(
        f"{where}: rows {shown([rows[i] for i in numbers])} are {what}: {shown(names, 3)}{copies}{more}. "
        "Keep one row per slide: one that counts twice distorts a score, and on both sides of a split it tests no model"
    )


def _identities(paths):
    """Identity of each file: its real path, or its content if another file has the same size."""
    real = [os.path.realpath(path) for path in paths]
    sizes = defaultdict(set)
    for path in set(real):
        if os.path.isfile(path):
            sizes[os.path.getsize(path)].add(path)
    twins = {path for size, files in sizes.items() if size and len(files) > 1 for path in files}
    samples = {path: _sample(path) for path in twins}
    return [samples.get(path) or path for path in real]


def _sample(path):
    """Size and some of the bytes of a file; None if it cannot be read."""
    size = os.path.getsize(path)
    try:
        with open(path, "rb") as file:
            parts = []
            for i in range(_SAMPLES):
                file.seek(max(0, size - _SAMPLE_BYTES) * i // (_SAMPLES - 1))
                parts.append(file.read(_SAMPLE_BYTES))
    except OSError:
        return None
    return size, hash(tuple(parts))
