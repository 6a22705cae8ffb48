"""Which rows of a table are not independent: a slide in several rows, a column that looks like the patient."""

import os
import re
from collections import defaultdict

from sknic.datasets.cohort import shown
from sknic.exceptions import DatasetError

_PATIENT = {"patient", "patients", "case", "subject", "participant", "person", "donor", "individual", "proband", "mrn"}
_FOREIGN = ("patient", "pazient", "pacient", "paciente", "participant", "subject")
_ID = {"id", "ids", "no", "nr", "num", "number", "nummer", "name", "code", "key", "barcode", "bcr", "submitter", "uid"}
_ID |= {"uuid", "identifier", "pseudonym", "pid", "anon", "anonymized", "study", "hospital", "the"}
_ALONE = {"id", "pid", "uid", "barcode", "identifier", "pseudonym"}
_SAMPLES, _SAMPLE_BYTES = 16, 4096


def find_patient_column(table, used=()):
    """The column of a table that looks like the patient.

    Parameters
    ----------
    table : DataFrame of str
    used : sequence of str, default=()
        Columns that are something else.

    Returns
    -------
    str or None
        A column named after patients, cases, subjects ..., or an id whose values repeat; of several the one with the
        fewest values, which keeps most slides together.
    """
    columns = [name for name in table if name not in used and list(table.columns).count(name) == 1]
    named = [name for name in columns if _is_patient(name)]
    if not named:
        repeats = [name for name in columns if 1 < table[name].nunique() < len(table)]
        named = [name for name in repeats if _words(name) <= _ID and _words(name) & _ALONE]
    return min(named, key=lambda name: table[name].nunique(), default=None)


def _is_patient(name):
    words = _words(name)
    rest = {word for word in words if word not in _PATIENT and not re.match(_foreign_word(), word)}
    return len(rest) < len(words) and rest <= _ID


def _foreign_word():
    return rf"({'|'.join(_FOREIGN)})(in|innen|en|e|s|o|i|a|es|os|id|no|nr|nummer|number|name|code|identifier)*$"


def _words(name):
    """Lower-case words of a column's name: patientID, patient_id and "Patient ID" have the same ones."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", name)
    return set(re.findall(r"[^\W_]+", spaced.casefold()))


def similar_ids(ids):
    """Groups of ids that differ only in case, spaces, signs or leading zeros: perhaps one patient, perhaps not."""
    groups = defaultdict(set)
    for name in map(str, ids):
        plain = re.sub(r"[\W_]+", "", name.casefold())
        groups[re.sub(r"(?<!\d)0+(?=\d)", "", plain)].add(name)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def refuse_repeated_slides(paths, rows, targets, where):
    """Raise DatasetError where one slide stands in several rows: by path, by link, or as a copy.

    Parameters
    ----------
    paths : sequence of str
        File of each row; those that do not exist are compared by path.
    rows : sequence of int
        Row of each path in the file.
    targets : sequence of hashable
        What each row says of its slide.
    where : str or Path
        The table, for the message.
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
    more = f"; {len(repeated) - 1} more slides repeat" if len(repeated) > 1 else ""
    copies = " (files with the same content)" if len(names) > 1 else ""
    raise DatasetError(
        f"{where}: rows {shown([rows[i] for i in numbers])} are {what}: {shown(names, 3)}{copies}{more}. "
        "A slide on both sides of a split is not a test: keep one row per slide"
    )


def _identities(paths):
    """For each file what tells it from the others: its real path, or its content where another has its size."""
    real = [os.path.realpath(path) for path in paths]
    sizes = defaultdict(set)
    for path in set(real):
        if os.path.isfile(path):
            sizes[os.path.getsize(path)].add(path)
    twins = {path for size, files in sizes.items() if size and len(files) > 1 for path in files}
    samples = {path: _sample(path) for path in twins}
    return [samples.get(path) or path for path in real]


def _sample(path):
    """Size and some of the bytes of a file; None where it cannot be read."""
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
